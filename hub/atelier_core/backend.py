"""The port through which the control plane runs things. Back ends register under the entry point `atelier.backends`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from atelier_core.image import Image
from atelier_core.workload import Handle, Observation, ReplicaUsage, WorkloadSpec


class Capability(StrEnum):
    """What a back end can do beyond running jobs; derived from the mix-ins it inherits."""

    ENDPOINTS = "endpoints"
    EXEC = "exec"
    CAPACITY = "capacity"
    USAGE = "usage"


@dataclass(frozen=True)
class BackendSettings:
    """What every back end is given.

    `data_dir` is its own folder; `images` maps image names to definitions; `options` is what the operator configured
    for this back end by name (checked by the back end itself).
    """

    name: str
    data_dir: Path
    images: Mapping[str, Image] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class Backend(ABC):
    """Starts, stops and observes workloads. Every method may be called again after the control plane was killed."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        mixins = {
            Endpoints: Capability.ENDPOINTS,
            Exec: Capability.EXEC,
            Capacity: Capability.CAPACITY,
            Usage: Capability.USAGE,
        }
        cls.capabilities = frozenset(capability for mixin, capability in mixins.items() if issubclass(cls, mixin))

    def __init__(self, settings: BackendSettings) -> None:
        self.settings = settings

    async def open(self) -> None:  # noqa: B027  # optional
        """Connect; raise `BackendUnavailable` with what to do when that cannot work."""

    async def close(self) -> None:  # noqa: B027  # optional
        """Let go of connections. What runs goes on running."""

    @abstractmethod
    def start(self, spec: WorkloadSpec) -> AsyncIterator[Handle]:
        """Start `spec`, yielding what to save after each stage so that a crash midway can be cleaned up.

        Calling it again for the same id finds what the first call made and goes on from there: nothing starts twice.
        When the iterator ends, every replica was handed over to the engine (not necessarily running yet).
        Raises `BackendUnavailable` (try again later), `QuotaExceeded` (wait) or `Invalid` (never will work).
        """

    @abstractmethod
    async def stop(self, handle: Handle, grace: float) -> None:
        """End it and remove everything it left on the engine; no error if it is already gone.

        When this returns, no process of the workload survives. Logs that are not archived are gone with it.
        """

    def expect(self, handles: Collection[Handle]) -> None:  # noqa: B027  # optional
        """These were started before, perhaps by a process that is no more: `list` and `watch` must find them."""

    def set_aside(self, project: str) -> None:  # noqa: B027  # optional
        """Blocking: the project is deleted. Who takes its name finds nothing that it left here, and what of it may
        still run gets at nothing of the new one. Quick; to be called again after a failure."""

    def remove_aside(self) -> None:  # noqa: B027  # optional
        """Blocking: remove what was set aside; what cannot be removed now waits for the next time."""

    @abstractmethod
    async def list(self) -> list[Observation]:
        """Everything of ours that the engine knows, running or ended and not yet stopped: the truth."""

    @abstractmethod
    def watch(self) -> AsyncIterator[Observation]:
        """Changes as they happen. May miss some; `list` repairs. Ends only when closed."""

    @abstractmethod
    def logs(self, handle: Handle, replica: str, follow: bool) -> AsyncIterator[bytes]:
        """What the replica wrote (stdout and stderr in order), from the beginning; `follow` waits for more."""


class Endpoints(ABC):
    """Where a service workload answers."""

    @abstractmethod
    async def endpoint(self, handle: Handle, port: str) -> str:
        """`http://host:port` by which the gateway reaches the service; `BackendUnavailable` if not ready."""


class Exec(ABC):
    """A command inside a running replica."""

    @abstractmethod
    async def exec(self, handle: Handle, replica: str, command: list[str]) -> tuple[int, bytes]:
        """Run `command` beside the replica's own; returns exit code and combined output."""


class Capacity(ABC):
    """What there is and what is free."""

    @abstractmethod
    async def capacity(self) -> dict[str, dict[str, float]]:
        """`{resource: {"total": …, "free": …}}`; cpu in cores, memory in bytes, accelerators by resource name."""


class Usage(ABC):
    """What runs uses now."""

    @abstractmethod
    async def usage(self, handles: Sequence[Handle]) -> dict[str, tuple[ReplicaUsage, ...]]:
        """What the replicas of all these workloads use, by workload and asked for together, never one by one.

        What nothing is known of is left out. `BackendUnavailable` where it cannot be known, and why.
        """
