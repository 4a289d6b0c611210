"""The environments of the images, made from their locks and kept between sessions, and what demo runs leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from atelier_core.pipeline.compile import compile
from atelier_core.pipeline.document import parse
from atelier_spawner.local.environments import Environments
from atelier_templates.demos import demo_pipeline
from atelier_templates.images import load_images
from atelier_templates.loader import Library
from tests.atelier_templates.running import Ended, PlanRunner, Warm, context


@pytest.fixture(scope="session")
def library() -> Library:
    """The built-in templates."""
    return Library()


@pytest.fixture(scope="session")
def environments() -> Mapping[str, Path]:
    """A Python environment for each image, made when it is first asked for."""
    return ImageEnvironments()


class ImageEnvironments(Mapping[str, Path]):
    """What the local back end makes of the images, where it is kept between sessions."""

    def __init__(self) -> None:
        self._images = load_images()
        self._made = Environments(Path.home() / ".cache" / "atelier" / "envs", self._images)

    def __getitem__(self, name: str) -> Path:
        with asyncio.Runner() as runner:
            return runner.run(self._made.ready(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Where light steps run, as on a laptop: loading the packages takes longer than the steps."""
    warm = Warm()
    yield warm
    warm.stop()


@pytest.fixture(scope="session")
def demos(
    library: Library, environments: Mapping[str, Path], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Demos:
    """What the demo run of a template leaves; each is run when it is first asked for."""
    return Demos(PlanRunner(tmp_path_factory.mktemp("demos"), library, environments, warm=warm), library)


class Demos:
    """Demo runs by template. Steps that two demos have in common are run once."""

    def __init__(self, runner: PlanRunner, library: Library) -> None:
        self._runner = runner
        self._library = library
        self._ended: dict[str, Ended] = {}

    def __getitem__(self, name: str) -> Ended:
        template = self._library.catalog.find(name)
        assert template is not None
        plan = compile(
            parse(demo_pipeline(template, self._library.catalog)), self._library.catalog, context(self._library)
        )
        keys: dict[str, str] = {}
        left = list(plan.steps)
        while left:
            step = next(one for one in left if all(need in keys for need in one.needs))
            left.remove(step)
            sources = {name: (keys[one.source.step], one.source.output) for name, one in step.inputs.items()}
            keys[step.name] = json.dumps([step.template, step.parameters, sources], sort_keys=True)
            if keys[step.name] not in self._ended:
                before = {name: self._ended[key] for name, key in keys.items() if key in self._ended}
                number = f"{len(self._ended)}-{step.name}"
                self._ended[keys[step.name]] = self._runner.run_step(plan, step, before, number)
            ended = self._ended[keys[step.name]]
            assert ended.code == 0, f"{step.name}: {ended.log}"
        return self._ended[keys[name]]
