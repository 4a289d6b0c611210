"""What the registry is told of runs: as they stand, for MLflow, and where a stored model comes from."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy.orm import Session

from atelier_core.errors import Invalid, NotFound
from atelier_core.pipeline.plan import Plan, StepPlan
from atelier_core.pipeline.run import AttemptEnded
from atelier_core.states import State
from atelier_hub.context import Context
from atelier_hub.engine.store import Artifact, Attempt, artifacts_of, get_attempt
from atelier_hub.features.pipelines import store
from atelier_hub.features.pipelines.reconcile import KIND, Runs
from atelier_hub.features.pipelines.store import RevisionRow, RunRow
from atelier_hub.features.pipelines.views import views
from atelier_hub.features.registry.operations import Operations
from atelier_hub.features.registry.registering import Origin, Registrar
from atelier_hub.features.registry.tracking import TrackedRun, TrackedStep, mlflow_run_of, track
from atelier_hub.features.serving.from_steps import StepOwners

RESULTS = "results"
_MOST = 500  # parameters and metrics of one run
_REMEMBERED = 200
_NO_NAME = re.compile(r"[^A-Za-z0-9_\-. :/]")  # what MLflow takes for no part of a name


class RunLooks:
    """Looks at runs; plans and result views never change, so they are remembered."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._metrics: OrderedDict[str, dict[str, float]] = OrderedDict()

    def look(self, run: str, length: int) -> TrackedRun | None:
        """The run as it stands, unless it has the given length; None also if it is gone."""
        with self._context.db.read() as session:
            row = session.get(RunRow, run)
            if row is None or row.log_length == length:
                return None
            plan = self._plan(session, run)
            revision = session.get(RevisionRow, row.revision)
            left = artifacts_of(session, run)
            steps = tuple(_step(one) for one in store.steps_of(session, run))
            values = dict(_values(session, run))
        metrics = {f"{step}/{name}": value for step, found in values.items() for name, value in found.items()}
        for artifact in left:
            if artifact.name == RESULTS:
                metrics |= {f"{artifact.step}/{key}": value for key, value in self._shown(artifact).items()}
        return TrackedRun(
            id=row.id,
            project=row.project,
            pipeline=row.name,
            revision=row.revision,
            snapshot=revision.snapshot if revision else "",
            state=State(row.state),
            message=row.message,
            length=row.log_length,
            created_by=row.created_by,
            created_at=row.created_at,
            ended_at=row.ended_at,
            parameters=_first(_parameters(row, plan)),
            metrics=_first((_NO_NAME.sub("_", key), value) for key, value in metrics.items()),
            datasets=tuple(sorted({_reference(one) for step in plan.steps for one in step.datasets.values()})),
            steps=steps,
            artifacts={f"{one.step}/{one.name}": self._address(one) for one in left},
        )

    def origin(self, session: Session, project: str, artifact: Artifact) -> Origin:
        """Where a stored output comes from, with the metrics of its step and of the steps that judged it."""
        row = session.get(RunRow, artifact.run)
        if row is None:  # what keeps artifacts without a run
            return Origin(run=artifact.run, step=artifact.step, output=artifact.name)
        plan = self._plan(session, row.id)
        steps = {step.name: step for step in plan.steps}
        revision = session.get(RevisionRow, row.revision)
        made = steps.get(artifact.step)
        path = made.outputs[artifact.name].path if made and artifact.name in made.outputs else ""
        return Origin(
            run=row.id,
            step=artifact.step,
            output=artifact.name,
            file=PurePosixPath(path).name or artifact.name,
            pipeline=row.name,
            revision=row.revision,
            snapshot=revision.snapshot if revision else "",
            datasets=tuple(sorted(_datasets_behind(steps, artifact.step))),
            metrics=self._metrics_of(session, artifact, plan),
            parameters=_scalars(made.parameters) if made else {},
            mlflow_run=mlflow_run_of(session, row.id),
        )

    def _metrics_of(self, session: Session, artifact: Artifact, plan: Plan) -> dict[str, float]:
        judges = [step.name for step in plan.steps if _takes(step, artifact)]
        shown = [one for one in artifacts_of(session, artifact.run, [*judges, artifact.step]) if one.name == RESULTS]
        values = dict(_values(session, artifact.run))
        metrics: dict[str, float] = {}
        for step in (*judges, artifact.step):
            for one in shown:
                metrics |= self._shown(one) if one.step == step else {}
            metrics |= values.get(step, {})
        return metrics

    def _plan(self, session: Session, run: str) -> Plan:
        if run not in self._plans:
            self._plans[run] = store.run_plan(session, run)
            while len(self._plans) > _REMEMBERED:
                self._plans.popitem(last=False)
        return self._plans[run]

    def _shown(self, artifact: Artifact) -> dict[str, float]:
        if artifact.digest not in self._metrics:
            found = [view for view in views(self._context.store, artifact.digest) if view.kind == "metrics"]
            merged = {key: value for view in found if isinstance(view.data, dict) for key, value in view.data.items()}
            self._metrics[artifact.digest] = {key: float(value) for key, value in merged.items() if _is_number(value)}
            while len(self._metrics) > _REMEMBERED:
                self._metrics.popitem(last=False)
        return self._metrics[artifact.digest]

    def _address(self, artifact: Artifact) -> str:
        base = self._context.settings.base_path
        return f"{base}/api/projects/{artifact.project}/artifacts/{artifact.id}/content"


def set_up_tracking(context: Context) -> None:
    """Let features below know runs: where models come from, what steps take in, who runs them, what MLflow is told."""
    looks, runs = RunLooks(context), context.get(Runs)
    context.provide(looks)
    context.get(Registrar).find_origin = looks.origin

    def find_step(session: Session, attempt: str) -> tuple[Attempt, str]:
        known, run = get_attempt(session, attempt), None
        if known is not None and known.kind == KIND:
            run = store.run_head(session, known.subject)
        if known is None or run is None:
            raise NotFound("This is no step of a run.", code="no_step")
        return known, run.created_by

    def find_input(session: Session, attempt: str, name: str) -> tuple[str, Artifact]:
        known, person = find_step(session, attempt)
        found = runs.input(session, known, name)
        if not isinstance(found, Artifact):
            hint = "Connect the model output of a trainer with this input."
            raise Invalid(f"The input {name!r} is a dataset, not a model.", code="not_a_model", hint=hint)
        return person, found

    context.get(Operations).find_input = find_input
    context.get(StepOwners).find = lambda session, attempt: find_step(session, attempt)[1]
    if context.settings.mlflow_url:
        runs.on_begin.append(lambda session, run: track(session, run.id, run.project))


def _step(row: store.StepRow) -> TrackedStep:
    seconds = (row.ended_at - row.started_at).total_seconds() if row.ended_at and row.started_at else None
    return TrackedStep(row.name, str(row.state), seconds, row.message)


def _values(session: Session, run: str) -> Iterator[tuple[str, dict[str, float]]]:
    """The numbers among the values of each step that is done."""
    for event in store.load_log(session, run):
        if isinstance(event, AttemptEnded) and event.state is State.DONE:
            yield event.step, {key: float(value) for key, value in event.values.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _parameters(row: RunRow, plan: Plan) -> Iterator[tuple[str, Any]]:
    named = [("", row.parameters), *((f"{step.name}.", step.parameters) for step in plan.steps)]
    for prefix, parameters in named:
        for key, value in _scalars(parameters).items():
            yield _NO_NAME.sub("_", f"{prefix}{key}")[:250], value


def _scalars(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if isinstance(value, str | int | float | bool)}


def _first(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pair for pair, _ in zip(pairs, range(_MOST), strict=False))


def _datasets_behind(steps: Mapping[str, StepPlan], last: str) -> set[str]:
    """The datasets that a step and all steps before it read."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [last]
    while waiting:
        name = waiting.pop()
        if name in steps and name not in seen:
            seen.add(name)
            found |= {_reference(one) for one in steps[name].datasets.values()}
            waiting += steps[name].needs
    return found


def _reference(dataset: Any) -> str:
    return f"dataset:{dataset.name}@{dataset.version}"


def _takes(step: StepPlan, artifact: Artifact) -> bool:
    return any(one.source.step == artifact.step and one.source.output == artifact.name for one in step.inputs.values())
