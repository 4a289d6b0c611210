"""Notebooks as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import LocalProcessSpawner, SpawnException
from traitlets import Unicode, default

from atelier_core.errors import AtelierError
from atelier_core.names import personal_name
from atelier_spawner.notebooks.folders import Folders
from atelier_spawner.notebooks.kernels import write_kernels
from atelier_spawner.notebooks.membership import check_member
from atelier_spawner.notebooks.process import Process
from atelier_templates.images import load_images

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
# These may hold passwords: only who started the platform has them already.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_INDEXES = (
    *(*_PROXIES, "NO_PROXY", "no_proxy"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE"),
    *("UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_CACHE_DIR"),
)


def extension_config() -> str:
    """The folder whose configuration enables our server extension: an editable install has no file in `etc/jupyter`."""
    found = find_spec("atelier_server")
    return str(Path(found.origin).parent / "jupyter") if found and found.origin else ""


def past_proxies(env: Mapping[str, str], *urls: str) -> dict[str, str]:
    """What `env` needs for this machine and the platform at `urls` to be reached directly: a proxy would see tokens."""
    if not any(env.get(name) for name in _PROXIES):
        return {}
    known = (env.get("NO_PROXY") or env.get("no_proxy") or "").split(",")
    near = ["localhost", "127.0.0.1", *(urlsplit(url).hostname or "" for url in urls)]
    hosts = ",".join(dict.fromkeys(filter(None, (host.strip() for host in (*known, *near)))))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


class LocalNotebookSpawner(LocalProcessSpawner):
    """A person's server in a folder of their own; with several people under a uid of their own."""

    data_dir = Unicode(help="The platform's data folder.").tag(config=True)
    cache_dir = Unicode(help="Where the environments of images are; empty: notebooks have no kernels of images.").tag(
        config=True
    )
    one_person = Unicode(help="Why only one person can be served; empty when several can.").tag(config=True)

    process: Process | None = None

    @default("cmd")
    def _own_python(self) -> list[str]:
        return [sys.executable, "-m", "jupyterhub.singleuser"]

    @default("http_timeout")
    def _cold_start(self) -> int:
        """The first start after an installation reads everything from the disk and compiles it."""
        return 120

    @default("default_url")
    def _lab(self) -> str:
        return "/lab"

    @default("env_keep")
    def _ways_out(self) -> list[str]:
        """How this machine reaches package indexes: without it a kernel's image cannot be made behind a proxy."""
        kept: list[str] = super()._env_keep_default()
        return [*kept, *_CERTIFICATES, *(_INDEXES if self.one_person else ())]

    @property
    def project(self) -> str:
        """The project that the server belongs to: a named server's name, else the personal one."""
        return self.name or personal_name(self.user.name)

    @property
    def folders(self) -> Folders:
        """The data folder as this spawner sees it."""
        return Folders(Path(self.data_dir), several=not self.one_person)

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """What a program finds about its person; no system account is asked, there may be none."""
        personal = self.folders.personal(self.user.name)
        shared = self.folders.project(self.project) if self.name else personal
        # One person keeps the home that they have, with their keys and settings in it.
        home = Path.home() if self.one_person else personal
        shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
        env |= {"USER": self.user.name, "LOGNAME": self.user.name, "HOME": str(home), "SHELL": shell}
        env |= {"ATELIER_USER_DIR": str(personal), "ATELIER_PROJECT_DIR": str(shared)}
        env["ATELIER_PROJECT"] = self.project
        env["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [extension_config(), env.get("JUPYTER_CONFIG_PATH")]))
        env["JUPYTER_PATH"] = os.pathsep.join(filter(None, [self.kernels(), env.get("JUPYTER_PATH")]))
        env |= past_proxies(env, env.get("ATELIER_API_URL", ""), env.get("MLFLOW_TRACKING_URI", ""))
        return env

    def kernels(self) -> str:
        """The folder with the kernels of images; empty without one: a full disk must keep nobody from their files."""
        try:
            return str(write_kernels(Path(self.cache_dir), load_images())) if self.cache_dir else ""
        except OSError as error:
            self.log.warning("Notebooks have no kernels of images: %s", error)
            return ""

    def get_args(self) -> list[str]:
        """The server's own refusal to run as root is lifted where root is the one person, as in a container."""
        args: list[str] = super().get_args()
        return [*args, "--allow-root"] if self.one_person and os.geteuid() == 0 else args

    async def start(self) -> tuple[str, int]:
        """Start the server in the person's folder, under their number when there are several people."""
        try:
            if self.one_person:
                self.folders.identities.only_person(self.user.name, self.one_person)
            await self._check_member()
            self.notebook_dir = str(self._shown())
            identity = self._identity()
            # Again: the number may be that of a later project of this name, which others have made just now.
            await self._check_member()
            with self._log() as log:
                self.popen_kwargs = {**identity, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
                where = await super().start()
        except AtelierError as error:
            raise SpawnException(f"{error.message} {error.hint}".strip(), reason=error.code) from error
        self.process = Process.of(self.pid)
        self._record()
        return where

    async def _check_member(self) -> None:
        if self.name and not self.one_person:
            groups = frozenset(group.name for group in self.user.groups)
            url = str(self.environment.get("ATELIER_API_URL", ""))
            await check_member(url, self.api_token, self.name, self.user.name, groups)

    def make_preexec_fn(self, name: str) -> None:
        """Nothing: the change of identity is `subprocess`'s own, which needs no Python between fork and exec."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the server again after the hub restarted."""
        super().load_state(state)
        self.process = Process.load(state.get("process"))

    def get_state(self) -> dict[str, Any]:
        """The process, with what tells it from a later one of the same number."""
        state: dict[str, Any] = super().get_state()
        if self.process is not None:
            state["process"] = self.process.save()
        return state

    def clear_state(self) -> None:
        """Forget the process."""
        super().clear_state()
        self.process = None
        self._record_path.unlink(missing_ok=True)

    async def poll(self) -> int | None:
        """None while it runs. A hub that found its server again must not take a later process for it."""
        if self.proc is not None:
            status: int | None = await super().poll()
            return status
        if self.process is not None and self.process.alive():
            return None
        self.clear_state()
        return 0

    async def _signal(self, sig: int) -> bool:
        if self.proc is not None:
            return bool(await super()._signal(sig))
        return self.process is not None and self.process.signal(sig)

    def _shown(self) -> Path:
        return self.folders.project(self.project) if self.name else self.folders.personal(self.user.name)

    def _identity(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = {"cwd": self.notebook_dir, "umask": 0o077}
        if not self.one_person:
            identities = self.folders.identities
            uid = identities.uid(self.user.name)
            groups = [identities.gid(self.name)] if self.name else []
            # What is made in a project's folder is for its members; personal folders are closed as a whole.
            kwargs |= {"user": uid, "group": uid, "extra_groups": groups, "umask": 0o007}
        return kwargs

    @property
    def _file_name(self) -> str:
        return f"{self.user.name}+{self.name}" if self.name else self.user.name

    @property
    def _record_path(self) -> Path:
        return Path(self.data_dir) / "run" / "servers" / f"{self._file_name}.json"

    def _record(self) -> None:
        """Leave a note by which `atelier down` finds the server, also when the hub cannot be asked."""
        if self.process is None:
            return
        self._record_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._record_path.with_suffix(".new")
        fresh.write_text(json.dumps(self.process.save()))
        fresh.replace(self._record_path)

    def _log(self) -> Any:
        path = Path(self.data_dir) / "logs" / "servers" / f"{self._file_name}.log"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
