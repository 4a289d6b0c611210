"""What the shim of one replica is told: the one place where a `WorkloadSpec` becomes `shim.json`, for all back ends."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from atelier_core.workload import Role, WorkloadSpec
from atelier_runtime.spec import Code, Gang, Input, Output, ShimSpec

LOG_LIMIT = 1024**3  # bytes of a replica's log that are kept, if the operator says nothing else
_LABEL_VARIABLES = {"run": "ATELIER_RUN", "step": "ATELIER_STEP"}


def shim_spec(spec: WorkloadSpec, role: Role, index: int | None, **engine: Any) -> ShimSpec:
    """The shim's orders for replica `index` of `role` (None: the pod's completion index fills it in).

    `engine` holds what only the back end knows: `root`, `claim`, `gang`, `cache`, `env` (comes before the role's own).
    """
    first = role is spec.roles[0]
    env = {**workload_variables(spec), **engine.pop("env", {}), **role.env, **role.secret_env}
    return ShimSpec(
        attempt=spec.id,
        replica=f"{role.name}-{'*' if index is None else index}",
        index=index or 0,
        url=spec.url,
        token=spec.token,
        command=role.command,
        env=env,
        workdir=spec.workdir,
        parameters=spec.parameters,
        code=tuple(Code(item.digest, item.path) for item in spec.code),
        inputs=tuple(Input(item.name, item.artifact, item.path) for item in spec.inputs),
        outputs=tuple(Output(item.name, item.type, item.path, item.required) for item in spec.outputs),
        timeout=spec.timeout,
        grace=spec.grace,
        kind=spec.kind,
        stores=first and not index,
        uid=spec.uid,
        given={"cpu_given": role.resources.cpu, "memory_given": role.resources.memory},
        **engine,
    )


def workload_variables(spec: WorkloadSpec) -> dict[str, str]:
    """The variables that tell a command whose it is; the engine's labels name run and step."""
    named = {variable: spec.labels[label] for label, variable in _LABEL_VARIABLES.items() if label in spec.labels}
    return {"ATELIER_PROJECT": spec.project, **named}


def gang(spec: WorkloadSpec, role: Role, address: str, port: int) -> Gang:
    """How `role`'s replicas meet the others: ranks count through the roles in order."""
    before = spec.roles[: spec.roles.index(role)]
    return Gang(size=spec.replicas, address=address, port=port, base=sum(other.count for other in before))


def shim_document(spec: ShimSpec) -> dict[str, Any]:
    """The JSON document of `shim.json`."""
    return asdict(spec)
