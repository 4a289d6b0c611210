"""What the contract suite needs to know of an engine. One subclass per back end; the tests use nothing else."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest

from atelier_core.backend import Backend, Usage
from atelier_core.workload import Code, Handle, Observation, Port, ReplicaUsage, Resources, Role, WorkloadSpec
from tests.harness.attempt_api import AttemptApi, code_archive, digest_of

_numbers = itertools.count()

MARK = """
import os, socket
def mark(text):
    s = socket.create_connection((HOST, PORT))
    s.sendall(b"POST /mark/%s HTTP/1.0\\r\\n\\r\\n" % text.encode()); s.recv(64); s.close()
def wait(text="never"):
    import time; time.sleep(600)
"""


class Engine(ABC):
    """A back end under test. `patience` is how long anything may take; `features` gate tests that cannot run there."""

    name: str
    image = "python"
    python: tuple[str, ...] = ("python",)
    patience = 20.0
    lag = 0.0  # how long after a command began its engine may still say that it is starting
    features: frozenset[str] = frozenset()

    def __init__(self, api: AttemptApi) -> None:
        self.api = api
        self._opened: list[Backend] = []
        self._made: set[str] = set()

    @abstractmethod
    def make(self) -> Backend:
        """A new instance on the same data, as after a restart of the control plane."""

    @abstractmethod
    async def kill_shim(self, handle: Handle, replica: str) -> None:
        """Kill what carries a replica, with nothing of it getting a chance to report."""

    @abstractmethod
    async def left_over(self, workload: str) -> list[str]:
        """What of a workload is still on the engine: processes, folders, objects."""

    async def usage(self, backend: Backend, handles: list[Handle]) -> dict[str, tuple[ReplicaUsage, ...]]:
        """What is known of the use of these workloads, whichever way it becomes known."""
        assert isinstance(backend, Usage)
        return await backend.usage(handles)

    def needs(self, feature: str) -> None:
        """Leave a test that is about something this engine does not have by nature."""
        if feature not in self.features:
            pytest.skip(f"{self.name} has no {feature}")

    async def backend(self) -> Backend:
        """A new instance, opened, closed after the test."""
        backend = self.make()
        await backend.open()
        self._opened.append(backend)
        return backend

    async def crash(self, backend: Backend) -> None:
        """Let go of an instance as if its process had died."""
        await backend.close()
        self._opened.remove(backend)

    async def clean(self) -> None:
        """Stop everything that the test made."""
        backend = self._opened[-1] if self._opened else await self.backend()
        for workload in self._made:
            await backend.stop(Handle(workload=workload), 0)
        self._made.clear()
        for opened in self._opened:
            await opened.close()
        self._opened.clear()

    def spec(self, source: str | tuple[str, ...] = "", **changes: Any) -> WorkloadSpec:
        """A workload that runs a Python text (with `mark` and `wait`) or a command."""
        workload = changes.pop("id", f"t{os.getpid():x}-{int(time.time() * 1000):x}-{next(_numbers)}")
        files = changes.pop("files", {})
        role = {"image": self.image, "command": source or ("true",)}
        if isinstance(source, str) and source:
            text = f"HOST, PORT = {self.api.host!r}, {self.api.port}\n{MARK}\nID = {workload!r}\n{source}"
            files = {**files, "main.py": text}
            role["command"] = (*self.python, "main.py")
        role.update(changes.pop("role", {}))
        archive = code_archive({"README": "code", **files})
        self.api.expect(workload, archive, changes.pop("artifacts", None))
        self._made.add(workload)
        return WorkloadSpec(
            id=workload,
            project="contract",
            roles=changes.pop("roles", (Role(**role),)),
            code=(Code(digest=digest_of(archive)),),
            url=self.api.url,
            token=f"token-{workload}",
            grace=changes.pop("grace", 2),
            **changes,
        )

    async def start(self, backend: Backend, spec: WorkloadSpec) -> Handle:
        """Start to the end of the iterator; the last handle."""
        handles = [handle async for handle in backend.start(spec)]
        return handles[-1]

    async def final(self, backend: Backend, workload: str) -> Observation:
        """Wait for the end, by `list`, which is the truth."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            seen = next((item for item in await backend.list() if item.workload == workload), None)
            if seen is not None and seen.final:
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError(f"{workload} did not end within {self.patience} s; last seen: {seen}")

    async def run(self, spec: WorkloadSpec) -> Observation:
        """Start it on a new instance and wait for its end."""
        backend = await self.backend()
        await self.start(backend, spec)
        return await self.final(backend, spec.id)

    async def marked(self, text: str, count: int = 1) -> None:
        """Wait until something was marked so often."""
        deadline = time.monotonic() + self.patience
        while self.api.marks(text) < count:
            assert time.monotonic() < deadline, f"{text!r} was marked {self.api.marks(text)} times, not {count}"
            await asyncio.sleep(0.02)

    async def log(self, backend: Backend, handle: Handle, replica: str = "main-0", follow: bool = True) -> bytes:
        """The whole log."""
        async with asyncio.timeout(self.patience):
            return b"".join([piece async for piece in backend.logs(handle, replica, follow)])


def gang_role(engine: Engine, name: str, count: int, **changes: Any) -> Role:
    """A role that runs `main.py` with small needs."""
    return Role(
        name=name,
        count=count,
        image=engine.image,
        command=(*engine.python, "main.py"),
        resources=Resources(cpu=0.1),
        **changes,
    )


def web_port() -> Port:
    """A port for whichever number is free."""
    return Port(name="http", port=0)


def folder_size(path: Path) -> int:
    """Bytes below a folder."""
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
