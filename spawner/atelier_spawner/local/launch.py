"""Bringing a workload's shims up: folders, `shim.json`, the right zygote."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import atelier_runtime
from atelier_core.errors import Invalid
from atelier_core.workload import Role, Topology, WorkloadSpec
from atelier_runtime.warm import runs_in_place
from atelier_spawner.local.attempt import Attempt, Record, Replica
from atelier_spawner.local.code_cache import CodeCache
from atelier_spawner.local.people import People, passage
from atelier_spawner.local.slots import Slots, environment_of
from atelier_spawner.local.zygote import Zygote
from atelier_spawner.shim import LOG_LIMIT, gang, shim_document, shim_spec

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_RUNTIME = Path(atelier_runtime.__file__).parent
_CODE_EVERY = 3600.0
WARM_SECONDS = 600.0
WARM_LIMIT = 16
# Numeric libraries read these when they are loaded, which a warm worker has done.
_READ_WHEN_LOADED = ("BLIS_", "GOMP_", "KMP_", "MKL_", "NUMEXPR_", "OMP_", "OPENBLAS_")


class _Key(NamedTuple):
    """What the forks of one zygote share."""

    python: Path
    uid: int | None = None
    groups: tuple[int, ...] = ()
    modules: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    in_place: bool = False


class Launcher:
    """Starts shims. The option `env` is what the operator adds to every command's environment; `modules` tells what a
    warm worker of an image imports."""

    def __init__(
        self,
        folder: Path,
        cache_dir: Path,
        own_python: Path,
        people: People,
        modules: Callable[[str], tuple[str, ...]],
        options: Mapping[str, Any],
    ) -> None:
        self._code = CodeCache(folder / "code")
        self._log = folder / "zygote.log"
        self._people = people
        self._runtime = cache_dir / "runtime" / _content_of(_RUNTIME) / "atelier_runtime"
        self._own = _Key(own_python)
        self._modules = modules
        self._env: dict[str, str] = dict(options.get("env", {}))
        self._log_limit = int(options.get("log_limit", LOG_LIMIT))
        self._warm_seconds = float(options.get("warm_seconds", WARM_SECONDS))
        self._warm_limit = int(options.get("warm_limit", WARM_LIMIT))
        self._zygotes: dict[_Key, Zygote] = {}

    def open(self) -> None:
        """Blocking: put the runtime where every user of this machine can read it, and have a zygote ready."""
        self._code.open()
        self._code.trim()
        for folder in reversed(self._runtime.parents[:3]):
            passage(folder)
        if not self._runtime.exists():
            self._install_runtime()
        self._zygote(self._own).warm_up()

    def _install_runtime(self) -> None:
        fresh = self._runtime.with_name(f".{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(_RUNTIME, fresh, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [fresh, *fresh.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        with contextlib.suppress(OSError):  # another control plane was faster
            fresh.rename(self._runtime)
        shutil.rmtree(fresh, ignore_errors=True)

    def close(self) -> None:
        """Let the zygotes end; what they forked runs on."""
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()

    def prepare(
        self, attempt: Attempt, spec: WorkloadSpec, environments: Mapping[str, Path], devices: list[str]
    ) -> None:
        """Blocking: make the folder and `shim.json` of every replica that has not been claimed."""
        record = attempt.record
        assert record is not None
        groups, whose = self._people.groups(spec), self._people.variables(spec)
        for replica in record.replicas:
            if attempt.claim(replica.name) is not None:
                continue
            role = next(role for role in spec.roles if role.name == replica.role)
            root = attempt.root(replica.name)
            root.mkdir(exist_ok=True, mode=0o700)
            orders = shim_spec(
                spec,
                role,
                replica.index,
                root=str(root),
                cache=str(self._code.of(spec.uid)),
                log_limit=self._log_limit,
                groups=groups,
                env=whose | self._environment(environments[role.image], replica, root, devices),
                gang=gang(spec, role, "127.0.0.1", record.rendezvous) if record.rendezvous else None,
            )
            _write_orders(attempt.orders(replica.name), shim_document(orders), spec.uid)
            if spec.uid is not None:
                os.chown(root, spec.uid, spec.uid)

    async def launch(self, attempt: Attempt, spec: WorkloadSpec, environments: Mapping[str, Path]) -> None:
        """Start the shim of every replica that has not been claimed, and see its claim."""
        record = attempt.record
        assert record is not None
        groups = self._people.groups(spec)  # known since `prepare`
        starts = []
        with contextlib.ExitStack() as held:
            for replica in record.replicas:
                if attempt.claim(replica.name) is not None:
                    attempt.keep_claim(replica.name)
                    continue
                role = next(role for role in spec.roles if role.name == replica.role)
                key = self._key(spec, role, environments[role.image], groups)
                zygote = self._zygote(key)
                held.enter_context(zygote.in_use())
                starts.append(_start(zygote, attempt, replica.name, key.in_place))
            await asyncio.gather(*starts)
        await self._trim()

    async def tend(self) -> None:
        """End warm zygotes, and remove code, that nobody needs any more, until cancelled."""
        trimmed = time.monotonic()
        while True:
            await asyncio.sleep(min(60.0, self._warm_seconds / 4))
            await self._trim()
            if time.monotonic() - trimmed > _CODE_EVERY:
                trimmed = time.monotonic()
                await asyncio.to_thread(self._code.trim)

    async def _trim(self) -> None:
        for zygote in self._unneeded():
            await asyncio.to_thread(zygote.close)

    def _unneeded(self) -> list[Zygote]:
        """Warm zygotes that were idle for `warm_seconds`, and the oldest of more than `warm_limit`; forgotten here."""
        warm = {key: zygote for key, zygote in self._zygotes.items() if key.in_place and not zygote.users}
        oldest = sorted(warm, key=lambda key: warm[key].used)
        extra = oldest[: max(0, len(warm) - self._warm_limit)]
        gone = [key for key in oldest if key in extra or warm[key].idle(self._warm_seconds)]
        return [self._zygotes.pop(key) for key in gone]

    def _key(self, spec: WorkloadSpec, role: Role, environment: Path, groups: tuple[int, ...]) -> _Key:
        """One zygote for all shims that execute a file, one per environment and user for commands run in place."""
        variables = {**self._env, **role.env, **role.secret_env}
        light = spec.light and spec.topology is Topology.SINGLE
        if not (light and runs_in_place(list(role.command), variables)):
            return self._own
        read = sorted(item for item in variables.items() if item[0].startswith(_READ_WHEN_LOADED))
        return _Key(
            environment / "bin" / "python", spec.uid, groups, self._modules(role.image), tuple(read), in_place=True
        )

    def _zygote(self, key: _Key) -> Zygote:
        if key not in self._zygotes:
            python = [str(key.python)] if key.in_place else [str(key.python), "-I", "-S"]
            self._zygotes[key] = Zygote(
                python, self._runtime, self._log, key.uid, key.groups, key.modules, dict(key.variables)
            )
        return self._zygotes[key]

    def _environment(self, environment: Path, replica: Replica, root: Path, devices: list[str]) -> dict[str, str]:
        ports = {f"ATELIER_PORT_{name.upper().replace('-', '_')}": str(port) for name, port in replica.ports.items()}
        return {
            "PATH": f"{environment / 'bin'}:{_SYSTEM_PATH}",
            "VIRTUAL_ENV": str(environment),
            "HOME": str(root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **environment_of(replica, devices),
            **self._env,
            **ports,
        }


async def _start(zygote: Zygote, attempt: Attempt, replica: str, in_place: bool) -> None:
    claim = await zygote.start(attempt.orders(replica), in_place)
    attempt.keep_claim(replica, claim)


def _content_of(folder: Path) -> str:
    """Names the runtime by its content: a new one never replaces files under those who use the old."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def make_record(spec: WorkloadSpec, slots: Slots) -> Record:
    """Choose devices and ports for a workload."""
    pairs = [(role, index) for role in spec.roles for index in range(role.count)]
    chosen = slots.devices([role.resources for role, _ in pairs])
    with FreePorts() as free:
        rendezvous = free.take() if spec.topology is Topology.GANG else 0
        replicas = tuple(
            Replica(
                role=role.name,
                index=index,
                cpu=role.resources.cpu,
                memory=role.resources.memory,
                accelerator=role.resources.device,
                devices=devices,
                ports=_ports(role, free),
            )
            for (role, index), devices in zip(pairs, chosen, strict=True)
        )
    return Record(
        workload=spec.id,
        kind=spec.kind,
        topology=spec.topology,
        grace=spec.grace,
        uid=spec.uid,
        rendezvous=rendezvous,
        replicas=replicas,
    )


class FreePorts:
    """Ports that are free now; all are held until the last one is chosen, so that none is given twice."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> FreePorts:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._sockets:
            held.close()

    def take(self) -> int:
        """One more."""
        held = socket.socket()
        held.bind(("127.0.0.1", 0))
        self._sockets.append(held)
        return int(held.getsockname()[1])


def _ports(role: Role, free: FreePorts) -> dict[str, int]:
    if role.count > 1 and any(port.port for port in role.ports):
        raise Invalid(
            f"The {role.count} replicas of {role.name!r} would all listen on the same port of this machine.",
            code="port_shared",
            hint="Use port 0 and listen on ATELIER_PORT_<NAME>, or one replica.",
        )
    return {port.name: port.port or free.take() for port in role.ports}


def _write_orders(path: Path, document: dict[str, Any], uid: int | None) -> None:
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
        if uid is not None:
            os.fchown(file.fileno(), -1, uid)
            os.fchmod(file.fileno(), 0o640)
    temporary.replace(path)
