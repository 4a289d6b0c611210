"""The process `mlflow`: installs MLflow where it is missing, then becomes its server.

    python -m atelier_cli.platform.tracking.process CACHE FOLDER PORT

What it does meanwhile is in `FOLDER/state.json`, for `atelier status` and `atelier doctor`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atelier_cli.platform.layout import write_private
from atelier_cli.platform.tracking import environment
from atelier_core.errors import AtelierError

ADMIN = "atelier"
_CONFIG = """\
# Written by `atelier up`.
[mlflow]
default_permission = NO_PERMISSIONS
grant_default_workspace_access = false
database_uri = {database}
auth_cache_ttl_seconds = 60

[atelier]
database_uri = {tables}
"""
# MLflow's own switches; those with an underscore are what its command line sets for the server.
_SWITCHES = {
    "MLFLOW_ENABLE_WORKSPACES": "true",
    "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    "MLFLOW_RBAC_SEED_DEFAULT_ROLES": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "_MLFLOW_SGI_NAME": "uvicorn",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "GIT_PYTHON_REFRESH": "quiet",
}


def database_url(folder: Path, given: str = "") -> str:
    """Where MLflow keeps its tables: a given PostgreSQL, else a file in `folder`."""
    return given or f"sqlite:///{folder}/mlflow.sqlite"


def variables(folder: Path, password: str, secret: str, database: str) -> dict[str, str]:
    """What the server finds in its environment."""
    return {
        **_SWITCHES,
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (folder / "artifacts").as_uri(),
        "MLFLOW_AUTH_CONFIG_PATH": str(config_file(folder)),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret,
    }


def write_configuration(folder: Path, given: str = "") -> Path:
    """Write which databases MLflow's server uses; the file keeps a password from the process table."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "artifacts").mkdir(mode=0o700, exist_ok=True)
    accounts, tables = given or f"sqlite:///{folder}/auth.sqlite", database_url(folder, given)
    text = _CONFIG.format(database=accounts.replace("%", "%%"), tables=tables.replace("%", "%%"))
    write_private(config_file(folder), text)
    return config_file(folder)


def config_file(folder: Path) -> Path:
    """Where `write_configuration` writes."""
    return folder / "server.ini"


def state(folder: Path) -> Mapping[str, Any]:
    """What the process does: `installing`, `failed` (with a message) or `serving`; empty before its first start."""
    try:
        found = json.loads((folder / "state.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _say(folder: Path, doing: str, message: str = "") -> None:
    write_private(folder / "state.json", json.dumps({"state": doing, "message": message}))


def main() -> None:
    """See the module."""
    cache, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    python = environment.find(cache)
    if python is None:
        _say(folder, "installing")
        try:
            python = environment.make(cache)
        except AtelierError as error:
            _say(folder, "failed", error.message)
            raise SystemExit(f"{error.message} {error.hint}") from None
    _say(folder, "serving")
    command = [str(python), str(environment.SERVER), port, ADMIN, str(config_file(folder))]
    os.execv(python, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
