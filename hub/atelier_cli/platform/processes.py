"""The processes of the platform, and the files that they are configured by."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from atelier_cli.platform.backends import backends
from atelier_cli.platform.child import Command
from atelier_cli.platform.layout import GATEWAY_PATH, Layout, Secrets, Settings, load_secrets, write_private
from atelier_cli.platform.tracking import environment
from atelier_cli.platform.tracking import process as tracking
from atelier_core.errors import Conflict

NAMES = ("proxy", "hub", "control-plane", "gateway", "mlflow")
MLFLOW = "mlflow"
SUPERVISOR = "supervisor"


def commands(layout: Layout, settings: Settings, proxy: Sequence[str]) -> list[Command]:
    """In the order in which they start."""
    tokens = load_secrets(layout)
    found = [_proxy(settings, tokens, proxy), _hub(layout), _control_plane(layout), _gateway(layout)]
    return [*found, _mlflow(layout, settings, tokens)] if settings.mlflow else found


def _proxy(settings: Settings, tokens: Secrets, program: Sequence[str]) -> Command:
    argv = [*program, "--ip", settings.ip, "--port", str(settings.port)]
    argv += ["--api-ip", "127.0.0.1", "--api-port", str(settings.proxy_api_port)]
    argv += ["--error-target", f"{settings.hub_url}/hub/error", "--log-level", "warn"]
    return Command("proxy", tuple(argv), env={"CONFIGPROXY_AUTH_TOKEN": tokens.proxy}, grace=5)


def _hub(layout: Layout) -> Command:
    config = layout.hub / "jupyterhub_config.py"
    argv = (sys.executable, "-m", "jupyterhub", "-f", str(config))
    return Command("hub", argv, reads=(config, layout.hub_settings, layout.settings), grace=20)


def _control_plane(layout: Layout) -> Command:
    config = layout.data / "control-plane.py"
    return Command("control-plane", (sys.executable, "-m", "atelier_hub", "--config", str(config)), reads=(config,))


def _gateway(layout: Layout) -> Command:
    config = layout.data / "gateway.py"
    argv = (sys.executable, "-m", "atelier_gateway", "--config", str(config))
    return Command("gateway", argv, reads=(config, layout.gateway_secret), grace=15)


def _mlflow(layout: Layout, settings: Settings, tokens: Secrets) -> Command:
    """Started last, and not waited for: the first time it installs MLflow."""
    folder, cache = layout.mlflow, environment.default_cache()
    argv = (sys.executable, "-m", "atelier_cli.platform.tracking.process", *map(str, (cache, folder)))
    key = hashlib.sha256(f"flask {tokens.mlflow}".encode()).hexdigest()
    variables = tracking.variables(folder, tokens.mlflow, key, tracking.database_url(folder, settings.mlflow_db_url))
    reads = (tracking.config_file(folder), environment.LOCK, environment.SERVER)
    return Command(MLFLOW, (*argv, str(settings.mlflow_port)), env=variables, reads=reads, grace=10)


def write_configuration(layout: Layout, settings: Settings, *, admins: Sequence[str], one_person: str) -> None:
    """Write what the processes read when they start; unchanged text leaves a running process as it is."""
    hub = _hub_source(layout.data, admins=admins, one_person=one_person)
    write_private(layout.hub / "jupyterhub_config.py", hub)
    write_private(layout.gateway_secret, load_secrets(layout).gateway)
    if settings.mlflow:
        write_private(layout.mlflow_password, load_secrets(layout).mlflow)
        tracking.write_configuration(layout.mlflow, settings.mlflow_db_url)
    write_private(layout.data / "control-plane.py", _control_plane_source(layout, settings, one_person))
    write_private(layout.data / "gateway.py", _gateway_source(layout, settings))


def _hub_source(data: Path, *, admins: Sequence[str], one_person: str) -> str:
    """The text of the generated `jupyterhub_config.py`."""
    return (
        "# Written by `atelier up`. Your own settings go into jupyterhub_config.py in the data folder.\n"
        "from pathlib import Path\n\n"
        "from atelier_cli.platform.hub_settings import configure\n\n"
        f"configure(c, Path({str(data)!r}), admins={list(admins)!r}, one_person={one_person!r})  # noqa: F821\n"
    )


def _control_plane_source(layout: Layout, settings: Settings, one_person: str) -> str:
    values = {
        "ip": "127.0.0.1",
        "port": settings.control_plane_port,
        "data_dir": str(layout.control_plane),
        "base_path": "/services/atelier",
        "hub_api_url": f"{settings.hub_url}/hub/api",
        "api_token": load_secrets(layout).control_plane,
        "advertise_url": advertised(settings),
        "extra_binds": [settings.bind] if settings.bind else [],
        "backends": backends(layout, settings, one_person),
        "single_user": bool(one_person),
        "gateway_url": settings.gateway_url,
        "gateway_secret_file": str(layout.gateway_secret),
        "gateway_public_url": settings.public_gateway_url,
        "mlflow_url": settings.mlflow_url,
        "mlflow_password_file": str(layout.mlflow_password) if settings.mlflow else "",
    }
    return _source("AtelierHub", values)


def _gateway_source(layout: Layout, settings: Settings) -> str:
    values = {
        "ip": "127.0.0.1",
        "port": settings.gateway_port,
        "extra_binds": [settings.gateway_bind] if settings.gateway_bind else [],
        "base_path": GATEWAY_PATH,
        "data_dir": str(layout.gateway),
        "control_plane_url": f"{settings.control_plane_url}/services/atelier/api",
        "secret_file": str(layout.gateway_secret),
    }
    return _source("AtelierGateway", values)


def _source(program: str, values: dict[str, Any]) -> str:
    lines = [f"c.{program}.{name} = {value!r}  # noqa: F821" for name, value in values.items()]
    return "# Written by `atelier up`.\n" + "\n".join(lines) + "\n"


def advertised(settings: Settings) -> str:
    """Where workloads reach the control plane: what was said, else the extra address, else this machine."""
    if settings.advertise_url:
        return settings.advertise_url.rstrip("/").removesuffix("/api") + "/api"
    if settings.bind:
        return f"http://{settings.bind}/api"
    return f"{settings.control_plane_url}/services/atelier/api"


def choose_ports(settings: Settings, *, running: bool = False) -> Settings:
    """Free ports for what only this machine talks to, where none is chosen yet or the chosen one is taken now.

    While something is `running`, what was chosen stays: it is taken by ourselves.
    """
    chosen: dict[str, Any] = {}
    for name in (field.name for field in fields(settings) if field.name.endswith("_port")):
        port = getattr(settings, name)
        keep = port and (running or is_free("127.0.0.1", port))
        chosen[name] = port if keep else _free_port(set(chosen.values()))
    return replace(settings, **chosen)


def check_port(settings: Settings) -> None:
    """Raise `Conflict` if somebody else listens where the platform should be."""
    if not is_free(settings.ip, settings.port):
        raise Conflict(
            f"Port {settings.port} on {settings.ip} is in use by another program.",
            code="port_in_use",
            hint=f"Stop that program, or choose another port: atelier up --port {settings.port + 1}",
        )


def is_free(ip: str, port: int) -> bool:
    """Whether this process could listen there."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True


def answers(port: int, seconds: float = 0.2) -> bool:
    """Whether something on this machine accepts connections at `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds):
            return True
    except OSError:
        return False


def _free_port(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


def server_records(layout: Layout) -> list[Path]:
    """The notes that running notebooks left."""
    return sorted(layout.servers.glob("*.json"))


def read_json(path: Path) -> Any:
    """A JSON file's content, or none if it is missing or half-written."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
