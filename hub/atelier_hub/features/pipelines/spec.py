"""From a step of a plan to the workload that a back end runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atelier_core.errors import Invalid
from atelier_core.pipeline.plan import OutputRef, StepPlan
from atelier_core.workload import Code, Input, Output, Role, WorkloadSpec

_TRACKING = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_WORKSPACE")
# MLflow's own pages are not served, so the client need not print their addresses; and it tells nobody outside.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True)
class AttemptContext:
    """What a plan cannot know: the attempt, what earlier steps left, and how the shim reaches the control plane.

    `artifacts` maps (step, output) to an artifact id, `values` maps a step to its output values, `secrets` maps the
    names of the project's secrets to their values.
    """

    attempt: str
    run: str
    project: str
    owner: str
    url: str
    token: str
    mlflow: str = ""
    artifacts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    uid: int | None = None


def build_spec(step: StepPlan, context: AttemptContext) -> WorkloadSpec:
    """The workload of one attempt. Raises `Invalid` when something that it needs was never made."""
    role = Role(
        count=step.replicas,
        image=step.image,
        command=step.command,
        env=step.env | _identity(step, context),
        secret_env=_platform(context)
        | {name: _secret(secret, context) for name, secret in step.secrets.items()}
        | _tracking(step, context),
        resources=step.resources,
        ports=step.ports,
    )
    return WorkloadSpec(
        id=context.attempt,
        project=context.project,
        owner=context.owner,
        roles=(role,),
        topology=step.topology,
        light=step.light,
        code=tuple(Code(digest=code.digest, path=code.path) for code in step.code),
        inputs=tuple(
            Input(name=name, artifact=_artifact(one.source, context), path=one.path)
            for name, one in step.inputs.items()
            if one.source.output not in _values_of(one.source, context)
        )
        + tuple(Input(name=name, artifact=f"dataset:{ref.name}@{ref.version}") for name, ref in step.datasets.items()),
        outputs=tuple(
            Output(name=name, type=one.type, path=one.path, required=one.required)
            for name, one in step.outputs.items()
            if one.type != "value"
        ),
        parameters=step.parameters | {name: _value(ref, context) for name, ref in step.references.items()},
        workdir=step.workdir,
        timeout=step.timeout,
        grace=step.grace,
        labels={"run": context.run, "step": step.name},
        url=context.url,
        token=context.token,
        uid=context.uid,
    )


def _identity(step: StepPlan, context: AttemptContext) -> dict[str, str]:
    return {"ATELIER_RUN": context.run, "ATELIER_STEP": step.name, "ATELIER_PROJECT": context.project}


def _platform(context: AttemptContext) -> dict[str, str]:
    """With what a step asks the control plane, as itself: it registers a model, deploys a service."""
    address = f"{context.url}/attempts/{context.attempt}"
    return {"ATELIER_ATTEMPT_URL": address, "ATELIER_ATTEMPT_TOKEN": context.token}


def _tracking(step: StepPlan, context: AttemptContext) -> dict[str, str]:
    """What the ordinary MLflow client needs; a step that says something else about it knows what it does."""
    if not context.mlflow or step.env.keys() & _TRACKING or step.secrets.keys() & _TRACKING:
        return {}
    values = (context.mlflow, context.token, context.project)
    return _QUIET | dict(zip(_TRACKING, values, strict=True))


def _secret(name: str, context: AttemptContext) -> str:
    if name not in context.secrets:
        raise Invalid(
            f"The project {context.project!r} has no secret {name!r}.",
            code="unknown_secret",
            hint=f"Set it with: atelier secret set {name} --project {context.project}",
        )
    return context.secrets[name]


def _artifact(ref: OutputRef, context: AttemptContext) -> str:
    artifact = context.artifacts.get((ref.step, ref.output))
    if artifact is None:
        raise Invalid(
            f"Step {ref.step!r} left no output {ref.output!r}.",
            code="missing_input",
            hint="Make the output required in that step, or do not connect it here.",
        )
    return artifact


def _values_of(ref: OutputRef, context: AttemptContext) -> Mapping[str, Any]:
    return context.values.get(ref.step, {})


def _value(ref: OutputRef, context: AttemptContext) -> Any:
    values = _values_of(ref, context)
    if ref.output not in values:
        raise Invalid(
            f"Step {ref.step!r} left no value {ref.output!r}.",
            code="missing_value",
            hint='Write it to "$ATELIER_OUTPUTS/outputs.json", a JSON object.',
        )
    return values[ref.output]
