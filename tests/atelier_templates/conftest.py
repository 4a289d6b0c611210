"""The environments of the images, made from their locks and kept between sessions, and one run of every demo."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from atelier_core.pipeline.compile import RunContext, compile
from atelier_core.pipeline.document import parse
from atelier_spawner.local.environments import Environments
from atelier_templates.demos import demo_pipeline
from atelier_templates.images import load_images
from atelier_templates.loader import Library
from tests.atelier_templates.running import Ended, PlanRunner

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def library() -> Library:
    """The built-in templates."""
    return Library()


@pytest.fixture(scope="session")
def environments() -> dict[str, Path]:
    """A Python environment for each image."""
    images = load_images()
    made = Environments(Path.home() / ".cache" / "atelier" / "envs", images)
    return {name: asyncio.run(made.ready(name)) for name in images}


@pytest.fixture(scope="session")
def demos(
    library: Library, environments: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """Every template run once with its demo values; each gets what the ones before it left."""
    last = library.catalog.find("model-evaluation")
    assert last is not None
    plan = compile(parse(demo_pipeline(last, library.catalog)), library.catalog, context(library))
    return PlanRunner(tmp_path_factory.mktemp("demos"), library, environments).run(plan)


def context(library: Library, snapshot: str = "", **fields: object) -> RunContext:
    """A run of Ann's."""
    return RunContext(
        run_id="run", pipeline_name="demo", project="ann", creator="ann", runner="ann", cluster_name="local",
        execution_date=NOW, now=NOW, snapshot=snapshot, code_digest=library.digest, images=load_images(), **fields,  # type: ignore[arg-type]
    )  # fmt: skip
