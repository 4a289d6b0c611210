"""The gateway as a program: traits, start and stop. The only module here that may read environment variables."""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path
from typing import Any, cast

from traitlets import Bool, Integer, List, TraitError, Unicode, default, validate
from traitlets.config import Application

from atelier_core.errors import AtelierError
from atelier_gateway import serve
from atelier_gateway.application import Gateway
from atelier_gateway.control_plane import ControlPlane
from atelier_gateway.parts import Parts
from atelier_gateway.peers import networks
from atelier_gateway.waking import MOST_WAITING


class StartError(AtelierError):
    """Why the gateway cannot start."""

    code = "cannot_start"


class AtelierGateway(Application):
    """The way to what Atelier runs: predictions go on while the control plane or the hub is away."""

    name = "atelier-gateway"
    description = __doc__

    config_file = Unicode("", help="A Python file with c.AtelierGateway.… lines.").tag(config=True)
    ip = Unicode("127.0.0.1", help="Address to listen on.").tag(config=True)
    port = Integer(8010, help="Port to listen on; 0 takes a free one.").tag(config=True)
    extra_binds = List(Unicode(), help="Further addresses, host:port: how pods reach MLflow.").tag(config=True)
    base_path = Unicode("/services/atelier-gateway", help="Path prefix under the hub's proxy.").tag(config=True)
    data_dir = Unicode(help="Folder of the routes and the request log.").tag(config=True)
    control_plane_url = Unicode("http://127.0.0.1:8009/services/atelier/api", help="The control plane's API.").tag(
        config=True
    )
    secret_file = Unicode(help="File with the secret that gateway and control plane share.").tag(config=True)
    mlflow = Bool(True, help="Whether /mlflow/ leads to MLflow.").tag(config=True)
    most_waiting = Integer(
        MOST_WAITING, min=1, help="How many requests may wait for one sleeping service; more are answered with 503."
    ).tag(config=True)
    trusted_proxies = List(
        Unicode(), ["127.0.0.0/8", "::1/128"], help="Networks of the proxies whose X-Forwarded-For counts."
    ).tag(config=True)

    aliases = {  # noqa: RUF012 - traitlets' way
        "config": "AtelierGateway.config_file",
        "ip": "AtelierGateway.ip",
        "port": "AtelierGateway.port",
        "data-dir": "AtelierGateway.data_dir",
        "secret-file": "AtelierGateway.secret_file",
        "log-level": "AtelierGateway.log_level",
    }

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.INFO

    @default("data_dir")
    def _default_data_dir(self) -> str:
        return os.environ.get("ATELIER_GATEWAY_DIR") or str(Path.home() / ".local/share/atelier/gateway")

    @default("secret_file")
    def _default_secret_file(self) -> str:
        return os.environ.get("ATELIER_GATEWAY_SECRET_FILE") or str(Path(self.data_dir) / "secret")

    @validate("base_path")
    def _check_base_path(self, proposal: Any) -> str:
        path = "/" + proposal["value"].strip("/")
        return "" if path == "/" else path

    @validate("trusted_proxies")
    def _check_proxies(self, proposal: Any) -> list[str]:
        try:
            networks(proposal["value"])
        except ValueError as error:
            raise TraitError(f"trusted_proxies: {error}") from None
        return list(proposal["value"])

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read command line and configuration file; the command line wins."""
        super().initialize(argv)
        if self.config_file:
            path = Path(self.config_file).absolute()
            if not path.is_file():
                raise StartError(f"There is no configuration file {path}.", hint="Correct --config.")
            self.load_config_file(path.name, path=str(path.parent))
            self.update_config(self.cli_config)

    def build(self) -> Gateway:
        """Wire everything and read the routes."""
        folder = _folder(Path(self.data_dir).absolute())
        secret = _secret(Path(self.secret_file))
        control_plane = ControlPlane(self.control_plane_url, secret)
        parts = Parts(folder, control_plane, secret, tuple(self.trusted_proxies), self.most_waiting)
        parts.load()
        return Gateway(parts, self.base_path, mlflow=self.mlflow)

    def start(self) -> None:
        """Serve until a signal comes."""
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger().setLevel(cast("int | str", self.log_level))
        gateway = self.build()
        listening = [serve.bind(self.ip, self.port), *map(serve.bind_address, self.extra_binds)]
        self.port = listening[0].getsockname()[1]
        serve.run(gateway, listening)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):  # a full disk is no reason not to serve
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StartError(
            f"The folder {path} cannot be written ({error.strerror}).",
            hint="Give this user the folder, or set c.AtelierGateway.data_dir to another.",
        ) from error
    return path


def _secret(path: Path) -> str:
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise StartError(
            f"The secret {path} cannot be read ({error.strerror}).", hint="Correct c.AtelierGateway.secret_file."
        ) from error
    if len(secret) < 16:
        raise StartError(
            f"The secret in {path} is too short to be one.",
            hint="Write a long random text into it: openssl rand -hex 32",
        )
    return secret


def main() -> None:
    """Run the gateway; what keeps it from starting is one sentence, not a traceback."""
    try:
        AtelierGateway.launch_instance()
    except (AtelierError, TraitError) as error:
        hint = getattr(error, "hint", "")
        print(f"atelier-gateway cannot start: {error}" + (f" {hint}" if hint else ""), file=sys.stderr)
        raise SystemExit(1) from None
