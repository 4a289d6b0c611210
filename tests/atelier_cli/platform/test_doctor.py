"""`atelier doctor` on a platform that is well, and on what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atelier_cli.platform.cluster_checks import cluster_checks
from atelier_cli.platform.layout import Settings
from tests.atelier_cli.platform.installation import Installation
from tests.harness.ports import free_port


def checks(installation: Installation, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = installation.run("doctor", "--json", *options, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {check["name"]: check for check in found}


def test_all_is_well(installation: Installation) -> None:
    code, found = checks(installation)
    assert code == 0, found
    assert {"python", "proxy", "disk", "port", "hub", "control-plane", "gateway", "token"} <= found.keys()
    assert found["token"]["message"] == "belongs to ada" and found["cluster"]["state"] == "skipped"


def test_before_the_first_start(spare: Installation) -> None:
    code, found = checks(spare)
    assert found["processes"]["state"] == "skipped" and "atelier up" in found["processes"]["message"]
    assert code == 0 or found["port"]["state"] == "bad"
    assert not spare.data.exists()


@pytest.mark.parametrize("name", ["hub", "secrets"])
def test_folder_open_to_others(installation: Installation, name: str) -> None:
    folder = installation.data / name
    folder.chmod(0o755)
    try:
        code, found = checks(installation)
    finally:
        folder.chmod(0o700)
    assert code == 1 and found["data folder"]["hint"] == f"chmod go-rwx {folder}"


def test_cluster_that_does_not_answer(spare: Installation) -> None:
    spare.data.mkdir()
    kubeconfig = spare.data / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [cluster]}
    kubeconfig.write_text(json.dumps({**config, "contexts": [context], "users": [{"name": "u", "user": {}}]}))
    (spare.data / "platform.json").write_text(json.dumps({"kubeconfig": str(kubeconfig)}))
    code, found = checks(spare)
    assert code == 1 and found["cluster"]["state"] == "bad" and "kubectl" in found["cluster"]["hint"]


@pytest.mark.parametrize("text", ["a: [b", "- a", "\0", "", "contexts: 1"])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    (check,) = cluster_checks(Settings(kubeconfig=str(tmp_path / "kubeconfig")), None)
    assert check.state == "bad" and "cannot be used" in check.message and "kubectl" in check.hint
