"""What may happen between the end of one attempt and the start of the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from queue import Queue
from typing import Any, ClassVar

import pytest

from atelier_core.errors import BackendUnavailable
from atelier_core.workload import Observation
from atelier_hub.engine import driver, driving
from atelier_hub.engine.driving import Driving
from atelier_hub.engine.looks import Looks, Sight
from atelier_hub.engine.store import Attempt, unclean_attempts
from atelier_hub.features.pipelines.reconcile import Runs
from atelier_sdk import Client
from tests.atelier_hub.server import Server
from tests.harness.control_plane import environment_cache, pipeline, submit, wait_for
from tests.harness.hub import TestHub

MARK = """\
import os
with open(os.path.join(os.environ["MARKS"], os.environ["ATELIER_STEP"]), "a") as file:
    file.write(os.environ["ATELIER_ATTEMPT"] + "\\n")
"""


class Meanwhile(Looks):
    """Something happens after an end was stored and before this process goes on with what follows."""

    happens: ClassVar[Callable[[], object]]

    def look(self, attempt_id: str, seen: Observation | None) -> Sight | None:
        sight = super().look(attempt_id, seen)
        if sight is not None and sight.touched is not None and sight.touched.ready:
            Meanwhile.happens()
            time.sleep(0.3)  # whoever was told of it has heard it by now
        return sight


class CalledOff(Looks):
    """Something happens after an attempt was found to be due and before it starts."""

    happens: ClassVar[list[Callable[[], object]]] = []

    def look(self, attempt_id: str, seen: Observation | None) -> Sight | None:
        sight = super().look(attempt_id, seen)
        if sight is not None and sight.spec is not None and CalledOff.happens:
            CalledOff.happens.pop()()
            time.sleep(0.3)  # whoever was told of it has heard it by now
        return sight


class Unlucky(Driving):
    """The first start of what follows at once fails."""

    failures: ClassVar[int]

    async def _hand_over(self, attempt: Attempt, spec: Any) -> float | None:
        if attempt.number == 1 and attempt.step != "a" and Unlucky.failures:
            Unlucky.failures -= 1
            raise BackendUnavailable("It went away just now.")
        return await super()._hand_over(attempt, spec)


class Story:
    """A control plane with somebody who runs pipelines that leave marks."""

    def __init__(self, server: Server, client: Client, user: str, folder: Path) -> None:
        self.server = server
        self.client = client
        self.user = user
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.mkdir()

    def start(self, *steps: str) -> str:
        """A chain of steps."""
        code = self.folder / "code"
        code.mkdir(exist_ok=True)
        (code / "mark.py").write_text(MARK)
        env = {"MARKS": str(self.marks)}
        needs = {step: [before] for before, step in pairwise(steps)}
        document = pipeline(
            {step: {"file": "mark.py", "needs": needs.get(step, []), "env": env, "image": "python"} for step in steps}
        )
        return submit(self.client, self.user, code, document)

    def attempts(self) -> dict[str, list[str]]:
        """Which attempts ran, by step."""
        return {path.name: path.read_text().split() for path in self.marks.iterdir()}


@pytest.fixture
def story(
    request: pytest.FixtureRequest, hub: TestHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Story]:
    """With `request.param` in the place of the class that it is made of."""
    (kind,) = request.param.__bases__
    monkeypatch.setattr({Looks: driving, Driving: driver}[kind], kind.__name__, request.param)
    backends = {"local": {"type": "local", "cache_dir": str(environment_cache()), "cpu": 16}}
    server = Server(tmp_path / "data", f"sqlite:///{tmp_path}/data/atelier.sqlite", hub, backends=backends).start()
    server.context.get(Runs)._urls["local"] = server.url  # type: ignore[index]  # its port is free, so known only now
    user = f"driving{time.time_ns()}"
    yield Story(server, Client(server.url.removesuffix("/api"), hub.add_user(user)), user, tmp_path)
    server.stop()


@pytest.mark.parametrize("story", [Meanwhile], indirect=True)
def test_what_is_cancelled_before_it_starts_does_not_start(story: Story) -> None:
    submitted: Queue[str] = Queue()
    Meanwhile.happens = lambda: story.client.runs.cancel(story.user, submitted.get(timeout=20))
    run = story.start("a", "b")
    submitted.put(run)
    assert wait_for(story.client, story.user, run).state == "stopped"
    time.sleep(0.5)
    assert set(story.attempts()) == {"a"}
    states = {step.name: step.state for step in story.client.steps.list(story.user, run)}
    assert states == {"a": "done", "b": "stopped"}


@pytest.mark.parametrize("story", [CalledOff], indirect=True)
def test_what_is_cancelled_after_the_look_does_not_start(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start may take minutes, in which an environment is made."""
    submitted: Queue[str] = Queue()
    started, start = [], driving.Starter.start

    async def noted(starter: Any, backend: Any, attempt: Attempt, spec: Any) -> None:
        started.append(attempt.id)
        await start(starter, backend, attempt, spec)

    monkeypatch.setattr(driving.Starter, "start", noted)
    CalledOff.happens.append(lambda: story.client.runs.cancel(story.user, submitted.get(timeout=20)))
    run = story.start("a", "b")
    submitted.put(run)
    assert wait_for(story.client, story.user, run).state == "stopped"
    assert started == []


@pytest.mark.parametrize("story", [Meanwhile], indirect=True)
def test_being_woken_meanwhile_starts_it_once(story: Story) -> None:
    """Also when the sweep or another replica calls for the attempt just then."""

    def look() -> None:
        with story.server.context.db.read() as session:
            waking = [attempt.id for attempt in unclean_attempts(session)]
        story.server.context.get(driver.Driver).wake(waking)

    Meanwhile.happens = look
    run = story.start("a", "b", "c")
    assert wait_for(story.client, story.user, run).state == "done"
    assert story.attempts() == {step: [f"{run}-{step}-1"] for step in "abc"}


@pytest.mark.parametrize("story", [Unlucky], indirect=True)
def test_a_start_that_fails_is_tried_again(story: Story) -> None:
    Unlucky.failures = 2
    run = story.start("a", "b", "c")
    assert wait_for(story.client, story.user, run).state == "done"
    assert story.attempts() == {step: [f"{run}-{step}-1"] for step in "abc"}
