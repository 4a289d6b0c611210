"""The one thing that a back end runs. Steps, trials, builds, jobs and services all compile to a `WorkloadSpec`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier_core.states import FINAL, Reason, State

# More than any machine has; and what is no number at all must not come in: sums with it are none either.
MAX_CPU, MAX_MEMORY, MAX_ACCELERATORS = 100_000.0, 2**53, 100_000
Cores = Annotated[float, Field(gt=0, le=MAX_CPU, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0, le=MAX_MEMORY)]
Accelerators = Annotated[int, Field(ge=0, le=MAX_ACCELERATORS)]
MAX_SECONDS = 10 * 366 * 86_400.0
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(_Frozen):
    """What one replica may have: `cpu` in cores, `memory` in bytes, whole accelerators of one resource name."""

    cpu: Cores = 0.1
    memory: Bytes = 256 * 1024**2
    accelerator: str = ""
    accelerators: Accelerators = 0

    @property
    def device(self) -> str:
        """The resource name of its accelerators: NVIDIA's where none is named; empty without accelerators."""
        return (self.accelerator or "nvidia.com/gpu") if self.accelerators else ""


class Port(_Frozen):
    """A TCP port that a replica listens on. Locally 0 asks for a free one, given as `ATELIER_PORT_<NAME>`."""

    name: str
    port: int = Field(ge=0, le=65535)


class Code(_Frozen):
    """A content-addressed tar.gz, unpacked into `path` below the attempt's folder before the command starts."""

    digest: str
    path: str = "code"


class Input(_Frozen):
    """An artifact placed at `path` below the attempt's folder (default `inputs/<name>`)."""

    name: str
    artifact: str
    path: str = ""


class Output(_Frozen):
    """What the command must leave at `path` below the attempt's folder (default `outputs/<name>`)."""

    name: str
    type: str = "any"
    path: str = ""
    required: bool = True


class Role(_Frozen):
    """Replicas that are alike. Command items may hold `${ATELIER_…}`; the shim fills them in, no shell is used.

    `health` is a path at the first port that answers 200 when a service's replica is ready; empty: that it listens.
    """

    name: str = "main"
    count: int = Field(default=1, ge=1, le=1000)
    image: str
    command: tuple[str, ...] = Field(min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    secret_env: dict[str, str] = Field(default_factory=dict, repr=False)
    resources: Resources = Resources()
    ports: tuple[Port, ...] = ()
    health: str = ""


class Topology(StrEnum):
    """How replicas belong together."""

    SINGLE = "single"
    GANG = "gang"  # all or none; rendezvous variables are set (MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE)


class WorkloadSpec(_Frozen):
    """All that a back end needs to know; immutable, JSON both ways.

    `id` is deterministic and a DNS label of at most 63 characters: whoever starts it twice meets the first one.
    `url` and `token` are how the shim reaches the control plane; the token is good for this attempt alone.
    Times are seconds; `timeout` 0 means none.
    """

    id: str
    kind: Literal["job", "service"] = "job"
    project: str
    owner: str = ""
    roles: tuple[Role, ...] = Field(min_length=1)
    topology: Topology = Topology.SINGLE
    light: bool = False
    code: tuple[Code, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    workdir: str = "code"
    timeout: Seconds = 0
    grace: Seconds = 10
    labels: dict[str, str] = Field(default_factory=dict)
    url: str = ""
    token: str = Field(default="", repr=False)
    uid: int | None = None

    @property
    def replicas(self) -> int:
        """How many processes there are in all."""
        return sum(role.count for role in self.roles)


class Handle(_Frozen):
    """What a back end needs to find again what it started. Saved after every stage of a start."""

    workload: str
    data: dict[str, Any] = Field(default_factory=dict)
    stage: str = ""


class ReplicaObservation(_Frozen):
    """One replica as last seen; `name` is `<role>-<index>`."""

    name: str
    state: State
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    node: str = ""


class ReplicaUsage(_Frozen):
    """What the processes of one replica use: `cpu` in cores, `memory` in bytes, beside what it was given.

    `gpu` is how busy its accelerators are in percent, `gpu_memory` their memory in bytes; None where that is not known.
    """

    name: str
    cpu: float = Field(ge=0)
    memory: int = Field(ge=0)
    cpu_given: float = Field(default=0, ge=0)
    memory_given: int = Field(default=0, ge=0)
    gpu: float | None = None
    gpu_memory: int | None = None


class Observation(_Frozen):
    """A workload as last seen. `state` is starting, running, done, failed or stopped.

    `values` are the small outputs that the command left in `outputs.json`, where the back end can see them.
    `reported` says that the shim's own report is in it, so all declared outputs are stored.
    """

    workload: str
    state: State
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    replicas: tuple[ReplicaObservation, ...] = ()
    values: dict[str, Any] = Field(default_factory=dict)
    reported: bool = False
    started_at: datetime | None = None
    observed_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def final(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.state in FINAL
