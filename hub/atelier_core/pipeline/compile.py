"""From a document to a plan: `check` says all that is wrong with it, `compile` makes the plan of one run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from atelier_core import json_values
from atelier_core.dataset import Resolver
from atelier_core.image import Image
from atelier_core.pipeline import graph
from atelier_core.pipeline.document import Document, InvalidPipeline, Node, Problem
from atelier_core.pipeline.nodes import step_of
from atelier_core.pipeline.parameters import RunParameter, resolve, run_parameters
from atelier_core.pipeline.plan import Plan, StepPlan
from atelier_core.pipeline.ports import NodePorts, ports_of, step_names
from atelier_core.pipeline.scope import Scope
from atelier_core.template import Catalog, parse_duration
from atelier_core.variables import MAX_TEXT, VariableError, Variables

Files = Collection[str] | Callable[[str], bool]


@dataclass(frozen=True)
class RunContext:
    """What a plan is made for.

    `code_digest` gives the stored digest of `template:<name>@<version>` or `runner:<name>`; `files` are the paths in
    the snapshot (None: not checked); `datasets` finds those of the project (None: not checked); `now` is when the run
    was made, `execution_date` the moment that it stands for.
    """

    run_id: str
    pipeline_name: str
    project: str
    creator: str
    runner: str
    cluster_name: str
    execution_date: dt.datetime
    now: dt.datetime
    snapshot: str
    code_digest: Callable[[str], str]
    pipeline_id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    files: Files | None = None
    images: Mapping[str, Image] = field(default_factory=dict)
    datasets: Resolver | None = None
    default_image: str = "ml"
    namespace: str = ""


def check(
    document: Document,
    catalog: Catalog,
    files: Files | None = None,
    images: Mapping[str, Image] | None = None,
    datasets: Resolver | None = None,
) -> list[Problem]:
    """Everything that is wrong with a pipeline as it is saved; `files` are the paths in its snapshot."""
    moment = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    context = RunContext(
        run_id="run", pipeline_id="pipeline", pipeline_name=document.name or "pipeline", project="project",
        creator="creator", runner="runner", cluster_name="local", execution_date=moment, now=moment,
        snapshot="sha256:0", code_digest=lambda key: "sha256:0", files=files, images=images or {},
        datasets=datasets,
    )  # fmt: skip
    compilation = _Compilation(document, catalog, context, tentative=True)
    compilation.run()
    return compilation.problems


def compile(document: Document, catalog: Catalog, context: RunContext) -> Plan:
    """The plan of one run; the same arguments give the same plan. Raises `InvalidPipeline` with all problems."""
    compilation = _Compilation(document, catalog, context, tentative=False)
    steps = compilation.run()
    if compilation.problems:
        raise InvalidPipeline(compilation.problems)
    extras = document.extras
    return Plan(
        name=context.pipeline_name,
        steps=tuple(steps),
        parameters=compilation.values,
        parallelism=extras.parallelism,
        timeout=parse_duration(extras.timeout),
    )


class _Compilation:
    """One walk over a document. `tentative` means that run-time parameters without a default have no value yet."""

    def __init__(self, document: Document, catalog: Catalog, context: RunContext, *, tentative: bool) -> None:
        self.document = document
        self.catalog = catalog
        self.context = context
        self.tentative = tentative
        self.problems = list(document.problems)
        self.values: dict[str, Any] = {}

    def run(self) -> list[StepPlan]:
        """The steps that could be made, in document order; meaningful only while there are no problems."""
        if not self.document.nodes and not self.document.problems:
            self.problems.append(
                Problem("", "nodes", "The pipeline has no steps.", "Add a template, a notebook or a script to it.")
            )
        parameters, problems = run_parameters(self.document)
        self.problems += problems
        variables = self._variables(parameters)
        environment = self._environment(variables)
        ports = self._ports()
        ancestors = self._check_graph(ports)
        scope = Scope(
            context=self.context, document=self.document, variables=variables, environment=environment, ports=ports,
            names=step_names(self.document.nodes), ancestors=ancestors, problems=self.problems,
            unknown_values=self._without_value(parameters),
        )  # fmt: skip
        return [step for step in (self._step(scope, node) for node in self.document.nodes) if step is not None]

    def _without_value(self, parameters: list[RunParameter]) -> frozenset[str]:
        return frozenset(one.name for one in parameters if self.tentative and one.default is None)

    def _variables(self, parameters: list[RunParameter]) -> Variables:
        if self.tentative:
            defaults = {one.name: one.default for one in parameters if one.default is not None}
            values, problems = resolve([one for one in parameters if one.name in defaults], {})
            values |= {one.name: one.example for one in parameters if one.default is None}
        else:
            values, problems = resolve(parameters, self.context.parameters)
        self.problems += problems
        for name, value in values.items():
            if isinstance(value, str) and len(value) > MAX_TEXT:
                message = f"The parameter {name!r} has more than {MAX_TEXT} characters."
                self.problems.append(Problem("", f"parameters.{name}", message, "Put long texts into a file."))
                values[name] = ""
        place, what = _unstorable(values)
        if what:
            message = f"The run-time parameter {place!r} is not right: {what}."
            self.problems.append(Problem("", f"parameters.{place}", message, "Correct the value."))
        self.values = values
        context = self.context
        known = {
            "creator": context.creator, "runner": context.runner, "pipeline_id": context.pipeline_id,
            "pipeline_name": context.pipeline_name, "cluster_name": context.cluster_name, "project": context.project,
            "run_id": context.run_id, "execution_date": context.execution_date.strftime("%Y-%m-%d %H:%M:%S"),
        }  # fmt: skip
        return Variables(known, values, context.now, context.run_id)

    def _environment(self, variables: Variables) -> dict[str, str]:
        """The global environment: each line may use the lines above it."""
        found = {}
        for line in self.document.extras.lines():
            key, equals, text = line.partition("=")
            try:
                if not equals:
                    raise VariableError(f"{line!r} is not of the form KEY=value.")
                found[key.strip()] = variables.define(key.strip(), text.strip())
            except VariableError as error:
                hint = "Correct the line; a line may use the built-in variables and the lines above it."
                self.problems.append(Problem("", "environment", f"Global environment: {error}", hint))
        return found

    def _ports(self) -> dict[str, NodePorts]:
        found = {}
        for node in self.document.nodes:
            ports = ports_of(node, self.catalog, self.problems)
            if ports is not None:
                found[node.id] = ports
        return found

    def _check_graph(self, ports: Mapping[str, NodePorts]) -> dict[str, list[str]]:
        """Report names that come twice, links to nothing and circles; return each node's ancestors, nearest last."""
        nodes = {node.id: node for node in self.document.nodes}
        self._check_names()
        for node in nodes.values():
            for parent in node.parents():
                if parent not in nodes and parent not in self.document.broken:
                    message = f"{node.name!r} is linked to a node that is not in the pipeline ({parent})."
                    self.problems.append(Problem(node.id, "inputs", message, "Delete the link and draw it again."))
        parents = {key: [one for one in node.parents() if one in nodes] for key, node in nodes.items()}
        for circle in graph.circles(parents):
            shown = " → ".join(nodes[one].name for one in circle)
            hint = "Delete one of the links between them."
            self.problems.append(Problem(circle[0], "inputs", f"The steps run in a circle: {shown}.", hint))
        with_files = {key for key in nodes if key in ports and ports[key].files}
        return _ancestors(parents, with_files)

    def _check_names(self) -> None:
        first: dict[str, Node] = {}
        for node in self.document.nodes:
            if node.name in first:
                message = f"Two steps are called {node.name!r}."
                self.problems.append(Problem(node.id, "name", message, "Rename one of them; logs are found by name."))
            first.setdefault(node.name, node)

    def _step(self, scope: Scope, node: Node) -> StepPlan | None:
        before = len(self.problems)
        fields = step_of(scope, node)
        if fields is None or len(self.problems) > before or any(one.node == node.id for one in self.problems):
            return None
        try:
            step = StepPlan.model_validate(fields)
        except ValidationError as error:
            why = error.errors(include_url=False)[0]
            place, what = ".".join(map(str, why["loc"])), why["msg"]
        else:
            place, what = _unstorable(fields)
            if not what:
                return step
        message = f"{node.name!r}: {place} is not right: {what}."
        self.problems.append(Problem(node.id, place, message, "Correct the field."))
        return None


def _unstorable(fields: Mapping[str, Any]) -> tuple[str, str]:
    """The first field that would not come back from the database as it was filled in, and why; else empty texts."""
    for name, value in fields.items():
        try:
            json_values.check(value)
        except ValueError as error:
            return name, str(error)
    return "", ""


def _ancestors(parents: Mapping[str, list[str]], wanted: Collection[str]) -> dict[str, list[str]]:
    """For each node those of its ancestors that are `wanted`, farther ones first."""
    if not wanted:
        return {}
    found: dict[str, list[str]] = {}
    for node in graph.order(parents):
        above = dict.fromkeys(one for parent in parents[node] for one in found[parent])
        direct = [parent for parent in parents[node] if parent in wanted]
        found[node] = [one for one in above if one not in direct] + direct
    return found
