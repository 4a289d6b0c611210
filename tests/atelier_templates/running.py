"""Runs the steps of a plan one after the other in folders like those of the shim: light ones as forks, the others as
processes of their own."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atelier_core.pipeline.compile import RunContext, compile
from atelier_core.pipeline.document import parse
from atelier_core.pipeline.plan import Plan, StepPlan
from atelier_core.template import op_id
from atelier_runtime.archive import unpack
from atelier_templates.images import load_images
from atelier_templates.loader import Library
from tests.atelier_core.documents import node, pipeline

IMAGES = load_images()
NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


@dataclass
class Ended:
    """One finished process and the folder that it leaves."""

    folder: Path
    code: int
    log: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    @property
    def results(self) -> Path:
        return self.folder / "results"


class Warm:
    """A process for each environment that has its packages loaded and forks the steps."""

    def __init__(self) -> None:
        self._processes: dict[Path, subprocess.Popen[str]] = {}

    def run(
        self,
        environment: Path,
        modules: tuple[str, ...],
        command: list[str],
        folder: Path,
        env: dict[str, str],
        log: Path,
    ) -> int:
        """Run a script where `modules` are imported; its exit code."""
        if environment not in self._processes:
            self._processes[environment] = subprocess.Popen(
                [str(environment / "bin" / "python"), str(Path(__file__).with_name("warm.py")), *modules],
                text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
        process = self._processes[environment]
        job = {"command": command, "folder": str(folder), "environment": env, "log": str(log)}
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def stop(self) -> None:
        """End them."""
        for process in self._processes.values():
            process.communicate(timeout=30)


@dataclass
class PlanRunner:
    """`environments` maps image names to folders of virtual environments; `project` is what a snapshot would hold."""

    root: Path
    library: Library
    environments: Mapping[str, Path]
    project: Path | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    warm: Warm | None = None

    def run(self, plan: Plan) -> dict[str, Ended]:
        """Run every step whose needs ended well; by step name."""
        ended: dict[str, Ended] = {}
        left = list(plan.steps)
        while ready := [step for step in left if all(need in ended and not ended[need].code for need in step.needs)]:
            for step in ready:
                ended[step.name] = self.run_step(plan, step, ended)
                left.remove(step)
        return ended

    def run_step(self, plan: Plan, step: StepPlan, ended: Mapping[str, Ended], place: str = "") -> Ended:
        folder = self.root / (place or step.name)
        for name in ("inputs", "outputs", "results", "tmp", "code", "template"):
            (folder / name).mkdir(parents=True)
        self._unpack(step, folder)
        self._place_inputs(plan, step, folder, ended)
        values = {name: ended[ref.step].values[ref.output] for name, ref in step.references.items()}
        (folder / "parameters.json").write_text(json.dumps(step.parameters | values))
        env = self._environment(step, folder)
        command = [re.sub(r"\$\{(ATELIER_\w+)\}", lambda found: env[found[1]], item) for item in step.command]
        code = self._execute(step, command, folder, env)
        left = folder / "outputs" / "outputs.json"
        log = (folder / "log").read_text("utf-8", errors="replace")
        return Ended(folder, code, log, json.loads(left.read_text()) if left.exists() else {})

    def _execute(self, step: StepPlan, command: list[str], folder: Path, env: dict[str, str]) -> int:
        if step.light and self.warm is not None:
            environment, modules = self.environments[step.image], IMAGES[step.image].warm
            return self.warm.run(environment, modules, command[1:], folder / step.workdir, env, folder / "log")
        with (folder / "log").open("wb") as log:
            done = subprocess.run(
                command, cwd=folder / step.workdir, env=env, timeout=240, check=False, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        return done.returncode

    def _unpack(self, step: StepPlan, folder: Path) -> None:
        archives = {self.library.digest(key): self.library.archive(key).data for key in self.library.keys}
        for code in step.code:
            if code.digest in archives:
                unpack(io.BytesIO(archives[code.digest]), str(folder / code.path), "r|*")
            elif self.project:
                shutil.copytree(self.project, folder / code.path, dirs_exist_ok=True)

    def _place_inputs(self, plan: Plan, step: StepPlan, folder: Path, ended: Mapping[str, Ended]) -> None:
        outputs = {one.name: one.outputs for one in plan.steps}
        for name, given in step.inputs.items():
            path = outputs[given.source.step][given.source.output].path or f"outputs/{given.source.output}"
            source = ended[given.source.step].folder / path
            target = folder / (given.path or f"inputs/{name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)

    def _environment(self, step: StepPlan, folder: Path) -> dict[str, str]:
        programs = self.environments[step.image] / "bin"
        return {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder / "tmp"),
            "TMPDIR": str(folder / "tmp"),
            **step.env,
            **{name: self.secrets[secret] for name, secret in step.secrets.items()},
            **{f"ATELIER_{name.upper()}": str(folder / name)
               for name in ("inputs", "outputs", "results", "code", "template")},
            "ATELIER_PARAMETERS": str(folder / "parameters.json"),
        }  # fmt: skip


def context(library: Library, snapshot: str = "", **fields: object) -> RunContext:
    """A run of Ann's."""
    return RunContext(
        run_id="run", pipeline_name="demo", project="ann", creator="ann", runner="ann", cluster_name="local",
        execution_date=NOW, now=NOW, snapshot=snapshot, code_digest=library.digest, images=IMAGES, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


class Bench:
    """Runs small pipelines over a project; `secrets` are the project's, by name."""

    def __init__(
        self, root: Path, library: Library, environments: Mapping[str, Path], project: Path | None = None,
        secrets: Mapping[str, str] | None = None, warm: Warm | None = None,
    ) -> None:  # fmt: skip
        self.project = project or root / "project"
        self.project.mkdir(parents=True, exist_ok=True)
        self._environments = environments
        self._library = library
        self._secrets = secrets or {}
        self._warm = warm
        self._folders = (root / f"run{number}" for number in itertools.count(1))

    def run(self, *nodes: dict[str, Any]) -> dict[str, Ended]:
        """Run a pipeline of these nodes."""
        files = {one.relative_to(self.project).as_posix() for one in self.project.rglob("*") if one.is_file()}
        made_for = context(self._library, "sha256:snapshot", files=files)
        runner = PlanRunner(
            next(self._folders), self._library, self._environments, self.project, self._secrets, self._warm
        )
        return runner.run(compile(parse(pipeline(*nodes)), self._library.catalog, made_for))

    def imported(self, text: str, **given: Any) -> Ended:
        """Import a file that holds `text`."""
        (self.project / "data.csv").write_text(text, "utf-8")
        return self.run(step("in", "dataset-import", {"source": "data.csv", **given}))["in"]


def step(name: str, template: str, given: dict[str, Any] | None = None, /, **inputs: str) -> dict[str, Any]:
    """A template node; inputs as `name="step.output"`."""
    sources = {key: dict(zip(("node", "output"), value.split("."), strict=True)) for key, value in inputs.items()}
    parents = dict.fromkeys(one["node"] for one in sources.values())
    return node(name, op_id(template), given or {}, *parents, template=template, inputs=sources)


def on(made: dict[str, Any], **extras: Any) -> dict[str, Any]:
    """The same node with other settings: its image, its secrets."""
    made["app_data"]["atelier"] |= extras
    return made
