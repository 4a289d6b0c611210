"""The control plane as a program: traits, start and stop. The only module that reads environment variables."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, DBAPIError
from traitlets import Bool, Dict, Float, Integer, List, TraitError, Unicode, default, validate
from traitlets.config import Application

from atelier_core.errors import AtelierError
from atelier_core.flavor import DEFAULTS, Flavor
from atelier_core.image import Image
from atelier_hub import features
from atelier_hub.artifacts.logs import LIMIT as LOG_LIMIT
from atelier_hub.artifacts.logs import LogStore
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.sweep import Sweep
from atelier_hub.auth import Authenticator
from atelier_hub.clients.jupyterhub import HubClient
from atelier_hub.context import DEFAULT_OUTPUT_LIMIT, Context, Settings
from atelier_hub.crypto import Keyring
from atelier_hub.db import Database
from atelier_hub.db.migrate import migrate
from atelier_hub.features.pipelines.snapshots import set_up_sweep
from atelier_hub.features.projects.service import Roles
from atelier_hub.feed import Feed
from atelier_hub.http import application, serve
from atelier_hub.streams import MOST_STREAMS, Streams


class StartError(AtelierError):
    """Why the control plane cannot start."""

    code = "cannot_start"


class AtelierHub(Application):
    """The control plane of Atelier: the REST API, the event feed and the run engine, as a service of JupyterHub."""

    name = "atelier-hub"
    description = __doc__

    config_file = Unicode("", help="A Python file with c.AtelierHub.… lines.").tag(config=True)
    ip = Unicode("127.0.0.1", help="Address to listen on.").tag(config=True)
    port = Integer(8009, help="Port to listen on; 0 takes a free one.").tag(config=True)
    base_path = Unicode("/services/atelier", help="Path prefix under the hub's proxy.").tag(config=True)
    extra_binds = List(
        Unicode(), help="host:port on which only /api/attempts/* and /api/health answer: how pods reach us."
    ).tag(config=True)
    data_dir = Unicode(help="Folder of the database, the store and the key file.").tag(config=True)
    db_url = Unicode(help="SQLAlchemy URL; SQLite in the data folder by default.").tag(config=True)
    store_url = Unicode(help="fsspec URL of the artifact store; in the data folder by default.").tag(config=True)
    hub_api_url = Unicode(help="URL of JupyterHub's REST API.").tag(config=True)
    api_token = Unicode(help="This service's own token at JupyterHub.").tag(config=True)
    advertise_url = Unicode(help="URL (…/api) under which workloads reach the control plane.").tag(config=True)
    backends = Dict(help='Name of a back end → {"type": entry point, its options…}.').tag(config=True)
    default_backend = Unicode(help="Where things run that do not say where.").tag(config=True)
    images = List(Dict(), help="Image definitions: name, reference, python, lock.").tag(config=True)
    flavors = List(
        Dict(), help="What one replica may have: name, description, cpu, memory, accelerator, accelerators, cluster."
    ).tag(config=True)
    secret_key_file = Unicode(help="Keys for stored secrets, one per line, newest first.").tag(config=True)
    auth_cache_seconds = Float(45, min=0, max=300, help="How long a token's owner is remembered.").tag(config=True)
    max_output_bytes = Integer(DEFAULT_OUTPUT_LIMIT, min=1, help="How large one output of a step may be.").tag(
        config=True
    )
    max_log_bytes = Integer(LOG_LIMIT, min=1, help="How much of all logs of one attempt is kept.").tag(config=True)
    max_streams = Integer(
        MOST_STREAMS, min=1, help="Event feeds and followed logs that one person may have open at a time."
    ).tag(config=True)
    single_user = Bool(False, help="Only one person uses this installation.").tag(config=True)
    gateway_url = Unicode(help="URL of the gateway, past the hub's proxy; empty where there is none.").tag(config=True)
    gateway_secret_file = Unicode(help="File with the secret that gateway and control plane share.").tag(config=True)
    gateway_public_path = Unicode("/services/atelier-gateway", help="The gateway below the hub's address.").tag(
        config=True
    )
    gateway_public_url = Unicode(help="The gateway as people reach it, with scheme and host, if known.").tag(
        config=True
    )
    mlflow_url = Unicode(help="URL of MLflow, which only this service and the gateway reach; empty: none.").tag(
        config=True
    )
    mlflow_password_file = Unicode(help="File with the password of MLflow's account `atelier`, its administrator.").tag(
        config=True
    )

    aliases = {  # noqa: RUF012 - traitlets' way
        "config": "AtelierHub.config_file",
        "ip": "AtelierHub.ip",
        "port": "AtelierHub.port",
        "data-dir": "AtelierHub.data_dir",
        "db-url": "AtelierHub.db_url",
        "log-level": "AtelierHub.log_level",
    }

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.INFO

    @default("data_dir")
    def _default_data_dir(self) -> str:
        return os.environ.get("ATELIER_DATA_DIR") or str(Path.home() / ".local/share/atelier")

    @default("db_url")
    def _default_db_url(self) -> str:
        return os.environ.get("ATELIER_DB_URL") or f"sqlite:///{Path(self.data_dir).absolute()}/atelier.sqlite"

    @default("store_url")
    def _default_store_url(self) -> str:
        return os.environ.get("ATELIER_STORE_URL") or f"file://{Path(self.data_dir).absolute()}/store"

    @default("hub_api_url")
    def _default_hub_api_url(self) -> str:
        return os.environ.get("JUPYTERHUB_API_URL", "http://127.0.0.1:8081/hub/api")

    @default("api_token")
    def _default_api_token(self) -> str:
        return os.environ.get("JUPYTERHUB_API_TOKEN", "")

    @default("advertise_url")
    def _default_advertise_url(self) -> str:
        return os.environ.get("ATELIER_ADVERTISE_URL", "")

    @default("secret_key_file")
    def _default_secret_key_file(self) -> str:
        return os.environ.get("ATELIER_SECRET_KEY_FILE") or str(Path(self.data_dir) / "secret.key")

    @default("backends")
    def _default_backends(self) -> dict[str, Any]:
        return {"local": {"type": "local"}}

    @default("default_backend")
    def _default_default_backend(self) -> str:
        return "local" if "local" in self.backends else next(iter(self.backends), "")

    @default("flavors")
    def _default_flavors(self) -> list[dict[str, Any]]:
        return [flavor.model_dump() for flavor in DEFAULTS]

    @validate("base_path")
    def _check_base_path(self, proposal: Any) -> str:
        path = "/" + proposal["value"].strip("/")
        return "" if path == "/" else path

    @validate("backends")
    def _check_backends(self, proposal: Any) -> dict[str, Any]:
        for name, options in proposal["value"].items():
            if not isinstance(options, dict) or "type" not in options:
                raise TraitError(f"backends[{name!r}] must be a dictionary with a 'type'")
        return dict(proposal["value"])

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read command line and configuration file; the command line wins."""
        super().initialize(argv)
        if self.config_file:
            path = Path(self.config_file).absolute()
            if not path.is_file():
                raise StartError(f"There is no configuration file {path}.", hint="Correct --config.")
            self.load_config_file(path.name, path=str(path.parent))
            self.update_config(self.cli_config)

    def settings(self) -> Settings:
        """The configuration, checked."""
        if self.default_backend not in self.backends:
            raise StartError(
                f"default_backend is {self.default_backend!r}, but backends has only {sorted(self.backends)}.",
                hint="Correct c.AtelierHub.default_backend.",
            )
        images = [Image.model_validate(image) for image in self.images]
        return Settings(
            data_dir=Path(self.data_dir).absolute(),
            base_path=self.base_path,
            local_url=f"http://127.0.0.1:{self.port}{self.base_path}/api",
            advertise_url=self.advertise_url,
            backends=self.backends,
            default_backend=self.default_backend,
            single_user=self.single_user,
            max_output_bytes=self.max_output_bytes,
            images={image.name: image for image in images},
            flavors=_check_flavors(self.flavors, self.backends),
            gateway_url=self.gateway_url.rstrip("/"),
            gateway_secret=_read_secret(self.gateway_secret_file, "gateway_secret_file"),
            gateway_public_url=(self.gateway_public_url or self.gateway_public_path).rstrip("/"),
            mlflow_url=self.mlflow_url.rstrip("/"),
            mlflow_password=_read_secret(self.mlflow_password_file, "mlflow_password_file"),
        )

    def build(self) -> FastAPI:
        """Wire everything; the database is brought up to date."""
        settings = self.settings()
        _check_data_dir(settings.data_dir)
        features.import_tables()
        db = _open_database(self.db_url)
        hub = HubClient(self.hub_api_url, self.api_token)
        store = _open_store(self.store_url)
        context = Context(
            settings=settings,
            db=db,
            hub=hub,
            auth=Authenticator(hub, Roles(db), self.auth_cache_seconds),
            keyring=Keyring(Path(self.secret_key_file)),
            store=store,
            logs=LogStore(store, self.max_log_bytes),
            feed=Feed(db),
            streams=Streams(self.max_streams),
        )
        sweep = Sweep(db, store)
        context.provide(sweep)
        created = application.create(context)
        set_up_sweep(context)
        context.background("sweep", sweep.run)
        return created

    def start(self) -> None:
        """Serve until a signal comes."""
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger().setLevel(cast("int | str", self.log_level))
        for chatty in ("httpx", "httpcore", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        sockets = serve.bind(self.ip, self.port, self.extra_binds)
        self.port = sockets[0].getsockname()[1]
        # Threads here do a millisecond of work each; the usual 5 ms turn would be most of a short step's time.
        sys.setswitchinterval(0.0005)
        app = self.build()
        gc.freeze()
        gc.enable()
        serve.run(app, sockets, self.base_path)


def _check_flavors(given: list[dict[str, Any]], backends: Mapping[str, Any]) -> tuple[Flavor, ...]:
    flavors: dict[str, Flavor] = {}
    for number, one in enumerate(given):
        try:
            flavor = Flavor.model_validate(one)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise StartError(f"flavors[{number}] is not right: {why}.", hint="Correct c.AtelierHub.flavors.") from None
        if flavor.name in flavors or (flavor.cluster and flavor.cluster not in backends):
            double = flavor.name in flavors
            why = "there is another of this name" if double else f"there is no back end {flavor.cluster!r}"
            raise StartError(f"The flavor {flavor.name!r} is not right: {why}.", hint="Correct c.AtelierHub.flavors.")
        flavors[flavor.name] = flavor
    return tuple(flavors.values())


def _read_secret(path: str, trait: str) -> str:
    if not path:
        return ""
    try:
        secret = Path(path).read_text().strip()
    except OSError as error:
        raise StartError(
            f"The secret {path} cannot be read ({error.strerror}).", hint=f"Correct c.AtelierHub.{trait}."
        ) from error
    if not secret:
        raise StartError(f"The secret {path} is empty.", hint="Write a long random text into it.")
    return secret


def _check_data_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"The data folder {path} cannot be written ({error.strerror}).",
            hint="Give this user the folder, make room, or set c.AtelierHub.data_dir to another.",
        ) from error


def _open_database(url: str) -> Database:
    try:
        db = Database(url)
        migrate(db)
    except ArgumentError as error:
        raise StartError("The database URL cannot be understood.", hint="Correct c.AtelierHub.db_url.") from error
    except (DBAPIError, ImportError) as error:
        # The driver's own words say what is wrong; they name host and user, never the password.
        cause = str(getattr(error, "orig", error)).splitlines()[0]
        raise StartError(
            f"The database cannot be used: {cause}.",
            hint="Start it, or correct c.AtelierHub.db_url; a damaged file comes back with `atelier restore`.",
        ) from error
    return db


def _open_store(url: str) -> ArtifactStore:
    try:
        return ArtifactStore(url)
    except (ValueError, ImportError, OSError) as error:
        raise StartError(
            f"The artifact store cannot be used: {error}.", hint="Correct c.AtelierHub.store_url."
        ) from error


def main() -> None:
    """Run the control plane; what keeps it from starting is one sentence, not a traceback."""
    try:
        AtelierHub.launch_instance()
    except (AtelierError, TraitError) as error:
        hint = getattr(error, "hint", "")
        print(f"atelier-hub cannot start: {error}" + (f" {hint}" if hint else ""), file=sys.stderr)
        raise SystemExit(1) from None
