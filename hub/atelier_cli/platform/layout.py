"""Where everything of one platform is, and what it was told."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from atelier_core.errors import Invalid
from atelier_spawner.notebooks.folders import identities_file

DEFAULT_PORT = 8000
GATEWAY_PATH = "/services/atelier-gateway"


def default_data() -> Path:
    """One person: below their home. Root: where other accounts can reach their own folders."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/atelier")
    return Path.home() / ".local" / "share" / "atelier"


@dataclass(frozen=True)
class Layout:
    """The paths below one data folder."""

    data: Path

    @property
    def hub(self) -> Path:
        """The hub's database, cookie secret, accounts."""
        return self.data / "hub"

    @property
    def accounts(self) -> Path:
        """Who may sign in."""
        return self.hub / "accounts.sqlite"

    @property
    def hub_database(self) -> Path:
        """JupyterHub's own."""
        return self.hub / "jupyterhub.sqlite"

    @property
    def databases(self) -> tuple[Path, ...]:
        """Every database that processes of the platform write to, as far as it is a file; not all are always there."""
        return (
            self.accounts,
            self.hub_database,
            identities_file(self.data),
            self.control_plane / "atelier.sqlite",
            self.mlflow / "mlflow.sqlite",
            self.mlflow / "auth.sqlite",
        )

    @property
    def control_plane(self) -> Path:
        """The control plane's database, store and key."""
        return self.data / "control-plane"

    @property
    def gateway(self) -> Path:
        """The gateway's routes and request log."""
        return self.data / "gateway"

    @property
    def workloads(self) -> Path:
        """What steps on this machine work in; other accounts pass through."""
        return self.data / "workloads"

    @property
    def cache(self) -> Path:
        """What can be made anew: environments of images."""
        return self.data / "cache"

    @property
    def run(self) -> Path:
        """What is true only while it runs."""
        return self.data / "run"

    @property
    def servers(self) -> Path:
        """One note per running notebook."""
        return self.run / "servers"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.data / "logs"

    @property
    def settings(self) -> Path:
        """What `atelier up` was told, for the next time."""
        return self.data / "platform.json"

    @property
    def secrets(self) -> Path:
        """Tokens between the processes."""
        return self.data / "secrets" / "platform.json"

    @property
    def mlflow(self) -> Path:
        """MLflow's databases and artifacts."""
        return self.data / "mlflow"

    @property
    def mlflow_password(self) -> Path:
        """The password of MLflow's administrator, alone in a file that the control plane can be pointed at."""
        return self.secrets.with_name("mlflow")

    @property
    def gateway_secret(self) -> Path:
        """What gateway and control plane know each other by, alone in a file that both can be pointed at."""
        return self.secrets.with_name("gateway")

    @property
    def token(self) -> Path:
        """The token of whoever started the platform."""
        return self.data / "token"

    @property
    def hub_settings(self) -> Path:
        """The operator's own additions to the hub's configuration."""
        return self.data / "jupyterhub_config.py"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.logs / f"{name}.log"

    def record(self, name: str) -> Path:
        """Which process is `name`; locked while it lives."""
        return self.run / f"{name}.json"


@dataclass(frozen=True)
class Settings:
    """What `atelier up` was told. Ports of 0 are chosen once and kept."""

    ip: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    hub_port: int = 0
    proxy_api_port: int = 0
    control_plane_port: int = 0
    gateway_port: int = 0
    gateway_pods_port: int = 0
    mlflow_port: int = 0
    mlflow: bool = True
    mlflow_db_url: str = field(default="", repr=False)
    admin: str = ""
    bind: str = ""
    advertise_url: str = ""
    kubeconfig: str = ""
    registry: str = ""
    cluster_options: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where a person on this machine finds the platform."""
        host = "127.0.0.1" if self.ip in {"", "0.0.0.0", "::"} else self.ip  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def service_url(self) -> str:
        """The control plane, as clients reach it."""
        return f"{self.url}/services/atelier"

    @property
    def control_plane_url(self) -> str:
        """The control plane, past the proxy."""
        return f"http://127.0.0.1:{self.control_plane_port}"

    @property
    def gateway_url(self) -> str:
        """The gateway, past the proxy."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def public_gateway_url(self) -> str:
        """The gateway, as clients reach it."""
        return f"{self.url}{GATEWAY_PATH}"

    @property
    def gateway_bind(self) -> str:
        """Where pods reach the gateway: at the host of the control plane's further address; empty without one.

        Whoever names another address for them has something between, which does not know of this one.
        """
        host, elsewhere = self.bind.rpartition(":")[0], urlsplit(self.advertise_url).netloc
        return f"{host}:{self.gateway_pods_port}" if host and elsewhere in ("", self.bind) else ""

    @property
    def mlflow_url(self) -> str:
        """MLflow, which only control plane and gateway speak to; empty where it is not wanted."""
        return f"http://127.0.0.1:{self.mlflow_port}" if self.mlflow else ""

    @property
    def hub_url(self) -> str:
        """The hub, past the proxy."""
        return f"http://127.0.0.1:{self.hub_port}"

    @property
    def proxy_api_url(self) -> str:
        """Where the hub tells the proxy its routes."""
        return f"http://127.0.0.1:{self.proxy_api_port}"

    def given(self, **options: Any) -> Settings:
        """With those options that are not None."""
        return replace(self, **{name: value for name, value in options.items() if value is not None})


@dataclass(frozen=True)
class Secrets:
    """Tokens between the processes; made once, readable by the platform alone."""

    proxy: str = field(repr=False)
    control_plane: str = field(repr=False)
    supervisor: str = field(repr=False)
    gateway: str = field(repr=False)
    mlflow: str = field(repr=False)


_SETTINGS = TypeAdapter(Settings)
_TOKENS = TypeAdapter(dict[str, str])


def _first(error: ValidationError) -> str:
    """What is wrong, without what the file says: it may be a password."""
    found = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([*map(str, found["loc"]), found["msg"]])


def load_settings(layout: Layout) -> Settings:
    """What the last `up` was told; defaults when there was none."""
    try:
        return _SETTINGS.validate_json(layout.settings.read_bytes())
    except FileNotFoundError:
        return Settings()
    except ValidationError as error:
        raise Invalid(
            f"{layout.settings} is damaged: {_first(error)}.",
            code="bad_settings",
            hint="Remove it; `atelier up` writes a new one from its options.",
        ) from None


def save_settings(layout: Layout, settings: Settings) -> None:
    """For the supervisor, and for the next time."""
    write_private(layout.settings, json.dumps(asdict(settings), indent=2))


def load_secrets(layout: Layout) -> Secrets:
    """The tokens; those that are not there yet are made."""
    try:
        known = _TOKENS.validate_json(layout.secrets.read_bytes()) if layout.secrets.exists() else {}
    except ValidationError as error:
        raise Invalid(
            f"{layout.secrets} is damaged: {_first(error)}.",
            code="bad_secrets",
            hint="Run `atelier down` and remove it; `atelier up` makes new ones.",
        ) from None
    names = [one.name for one in fields(Secrets)]
    if any(name not in known for name in names):
        known = {name: secrets.token_hex(32) for name in names} | known
        write_private(layout.secrets, json.dumps(known))
    return Secrets(**{name: known[name] for name in names})


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all or nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
