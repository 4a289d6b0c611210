"""The immutable plan of one run: what `.pipeline` documents compile to and what the engine carries out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier_core.states import Cause
from atelier_core.workload import Port, Resources, Seconds, Topology

PLAN_VERSION: Literal[1] = 1
MAX_BACKOFF = 1000.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OutputRef(_Frozen):
    """An output of an earlier step: a stored artifact, or a value if the step declares that output as `value`."""

    step: str
    output: str


class InputPlan(_Frozen):
    """Where an input comes from and where it is placed (`path` below the attempt's folder; default `inputs/<name>`)."""

    source: OutputRef
    path: str = ""


class OutputPlan(_Frozen):
    """What a step leaves. `type` is a port type (dataset, model, metrics, any …); a `value` lives in outputs.json."""

    type: str = "any"
    path: str = ""
    required: bool = True


class DatasetRef(_Frozen):
    """A version of a dataset of the project; its files lie in the folder `inputs/<name>`."""

    name: str
    version: int


class RetryPolicy(_Frozen):
    """How often to try again, and after which causes. The wait is `delay * backoff ** (n - 1)` seconds."""

    limit: int = Field(default=2, ge=0, le=20)
    causes: frozenset[Cause] = frozenset({Cause.INFRASTRUCTURE})
    delay: Seconds = 1.0
    backoff: float = Field(default=2.0, ge=1, le=MAX_BACKOFF, allow_inf_nan=False)


class CodeRef(_Frozen):
    """A stored code snapshot (`digest`) and where it is unpacked below the attempt's folder."""

    digest: str
    path: str = "code"


class StepPlan(_Frozen):
    """One step, with every variable already filled in.

    `id` is the node's id in the document; `name` is unique in the plan and goes into object names.
    `references` are parameters whose value is an earlier step's output value; `datasets` are inputs, too, each by the
    name of the parameter that names it.
    `when` and `foreach` are kept for conditions and loops; plans that use them need a newer engine.
    """

    id: str
    name: str
    label: str = ""
    needs: tuple[str, ...] = ()
    kind: str = "command"
    template: str = ""
    image: str
    command: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    references: dict[str, OutputRef] = Field(default_factory=dict)
    inputs: dict[str, InputPlan] = Field(default_factory=dict)
    datasets: dict[str, DatasetRef] = Field(default_factory=dict)
    outputs: dict[str, OutputPlan] = Field(default_factory=dict)
    code: tuple[CodeRef, ...] = ()
    workdir: str = "code"
    resources: Resources = Resources()
    replicas: int = Field(default=1, ge=1, le=1000)
    topology: Topology = Topology.SINGLE
    ports: tuple[Port, ...] = ()
    light: bool = False
    timeout: Seconds = 0
    grace: Seconds = 10
    retry: RetryPolicy = RetryPolicy()
    when: None = None
    foreach: None = None


class Plan(_Frozen):
    """All steps of a run in document order. `parallelism` 0 means no limit; `timeout` is of the whole run, seconds."""

    version: Literal[1] = PLAN_VERSION
    name: str
    steps: tuple[StepPlan, ...]
    parameters: dict[str, Any] = Field(default_factory=dict)
    parallelism: int = Field(default=0, ge=0)
    timeout: Seconds = 0
