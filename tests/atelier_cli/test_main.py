"""The command as a person meets it: sentences, exit codes, JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from atelier_cli import exits
from atelier_cli.main import COMMANDS, cli
from atelier_sdk import Credentials, credentials
from tests.harness.control_plane import ControlPlane


def atelier(home: Path, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, with a home of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
    return subprocess.run(
        [sys.executable, "-c", "from atelier_cli.main import main; main()", *arguments],
        env=clean | {"HOME": str(home), **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_tells_the_exit_codes(tmp_path: Path) -> None:
    done = atelier(tmp_path, "--help")
    assert done.returncode == exits.OK
    assert "cannot be reached" in done.stdout
    for command in ("up", "demo", "pipeline", "template", "login", "doctor"):
        assert f"  {command}" in done.stdout


def test_every_command_is_where_the_table_says() -> None:
    context = click.Context(cli)
    assert {name: cli.get_command(context, name).name for name in COMMANDS} == {name: name for name in COMMANDS}


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("pipeline", "run"), ("pipeline", "run", "missing.pipeline"), ("pipeline", "list", "--limit", "0")],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = atelier(tmp_path, *arguments)
    assert done.returncode == exits.USAGE
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_not_signed_in(tmp_path: Path) -> None:
    done = atelier(tmp_path, "pipeline", "list")
    assert done.returncode == exits.USAGE
    assert "not signed in" in done.stderr
    assert "atelier login" in done.stderr


def test_errors_are_json_for_programs(tmp_path: Path) -> None:
    done = atelier(tmp_path, "pipeline", "list", "--json")
    assert json.loads(done.stderr)["error"]["code"] == "no_credentials"
    done = atelier(tmp_path, "--json", "pipeline", "run", "missing.pipeline")
    assert json.loads(done.stderr)["error"]["code"] == "usage"


def test_exposed_token(tmp_path: Path) -> None:
    path = tmp_path / ".config" / "atelier" / "credentials.json"
    credentials.save(Credentials(url="http://127.0.0.1:9", token="t"), path)
    path.chmod(0o644)
    done = atelier(tmp_path, "project", "list")
    assert done.returncode == exits.USAGE
    assert "chmod 600" in done.stderr


def test_address_without_a_platform(tmp_path: Path) -> None:
    done = atelier(tmp_path, "login", "http://127.0.0.1:9", "--token", "t")
    assert done.returncode == exits.UNREACHABLE
    assert "no Atelier platform" in done.stderr
    assert not (tmp_path / ".config").exists()


def test_address_and_token_belong_together(tmp_path: Path) -> None:
    done = atelier(tmp_path, "pipeline", "list", ATELIER_URL="http://127.0.0.1:9")
    assert done.returncode == exits.USAGE
    assert "belong together" in done.stderr


def test_credentials_elsewhere(platform: ControlPlane, tmp_path: Path) -> None:
    token, file = platform.hub.add_user("elsewhere"), tmp_path / "keys" / "atelier.json"
    done = atelier(tmp_path, "--credentials", str(file), "login", platform.url, "--token", "-", stdin=token)
    assert done.returncode == exits.OK, done.stderr
    assert credentials.load(file).token == token
    assert not (tmp_path / ".config").exists()
    for done in (
        atelier(tmp_path, "--credentials", str(file), "project", "list"),
        atelier(tmp_path, "project", "list", ATELIER_CREDENTIALS=str(file)),
    ):
        assert done.returncode == exits.OK and "elsewhere" in done.stdout, done.stderr
    assert "not signed in" in atelier(tmp_path, "project", "list").stderr
    assert "not signed in" in atelier(tmp_path, "--credentials", str(tmp_path / "none"), "project", "list").stderr
