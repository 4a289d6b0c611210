"""The process `mlflow`: what it needs of the machine, PostgreSQL below it, and starts that were cut short."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from atelier_cli.platform.tracking import environment, process
from atelier_hub.clients.mlflow import Account, MlflowClient
from atelier_hub.features.registry.accounts import GRANTS, MEMBER
from tests.harness.mlflow import MlflowServer
from tests.harness.postgres import Postgres


@pytest.fixture
def on_postgres(tmp_path: Path, postgres: Postgres) -> Iterator[MlflowServer]:
    url = make_url(postgres.database()).set(drivername="postgresql").render_as_string(hide_password=False)
    server = MlflowServer(tmp_path / "mlflow", url).start()
    yield server
    server.stop()


def test_it_keeps_everything_in_postgresql(on_postgres: MlflowServer) -> None:
    client = MlflowClient(on_postgres.url, on_postgres.password)
    account = Account("member@team", "p" * 40, "team")
    client.make_workspace("team")
    client.make_account(account, GRANTS[MEMBER])
    run = client.create_run(account, client.experiment(account, "one"), "r", 1, {"atelier.run": "r"})
    on_postgres.stop(signal.SIGKILL)
    on_postgres.start()
    assert client.find_run(account, client.experiment(account, "one"), "atelier.run", "r") == run
    assert not list(on_postgres.folder.glob("*.sqlite"))
    stranger = httpx.get(f"{on_postgres.url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=30)
    assert stranger.status_code == 401


def test_what_it_is_told_is_for_its_owner_alone(tmp_path: Path) -> None:
    config = process.write_configuration(tmp_path / "mlflow", "postgresql://me:100%@host/db")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600 and stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert "100%%" in config.read_text()
    assert process.state(tmp_path / "mlflow") == {}
    (tmp_path / "mlflow/state.json").write_text(json.dumps({"state": "installing"}))
    assert process.state(tmp_path / "mlflow") == {"state": "installing"}


def test_an_installation_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    target = environment.folder(tmp_path)
    (tmp_path / f".{target.name}-left").mkdir()
    target.mkdir()  # without the mark that it is whole
    assert environment.find(tmp_path) is None
    python = environment.make(tmp_path)
    assert python.exists() and environment.find(tmp_path) == python
    assert not list(tmp_path.glob(f".{target.name}-*"))
