"""What the control plane is told of a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atelier_cli.platform.backends import backends
from atelier_cli.platform.layout import Layout, Settings
from atelier_spawner.kubernetes.options import read_options

CLUSTER = Settings(kubeconfig="/k", bind="10.0.0.5:8081", gateway_port=7001, gateway_pods_port=7002, mlflow_port=7003)


def told(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    options = backends(Layout(tmp_path), replace(CLUSTER, **changes), "ada")["cluster"]
    read_options("cluster", {name: value for name, value in options.items() if name != "type"})
    return dict(options)


def test_pods_reach_mlflow_through_the_gateway(tmp_path: Path) -> None:
    assert CLUSTER.gateway_bind == "10.0.0.5:7002"
    options = told(tmp_path)
    assert options["mlflow_url"] == "http://10.0.0.5:7002/services/atelier-gateway/mlflow"
    assert options["platform_ports"] == [7002]
    assert told(tmp_path, advertise_url="http://10.0.0.5:8081/api")["mlflow_url"]
    mine = told(tmp_path, cluster_options={"mlflow_url": "https://other/mlflow", "platform_ports": [443]})
    assert (mine["mlflow_url"], mine["platform_ports"]) == ("https://other/mlflow", [443])


@pytest.mark.parametrize(
    "changes", [{"bind": ""}, {"mlflow": False}, {"advertise_url": "https://atelier.example.org/api"}], ids=str
)
def test_where_nobody_knows_the_way_steps_are_not_told_one(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert not {"mlflow_url", "platform_ports"} & set(told(tmp_path, **changes))
