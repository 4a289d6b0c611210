"""A hub and a control plane for the time of a benchmark, one signed-in user, and her view of what happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from atelier_sdk import Client, snapshot
from atelier_sdk.models import Event
from tests.harness.control_plane import ControlPlane, pipeline
from tests.harness.hub import TestHub

USER = "kim"
STEP = "import time\n\ntime.sleep(0.01)\n"
_ENDED = ("run.finished", "run.failed", "run.stopped")


@dataclass(frozen=True)
class Installation:
    """What a benchmark may use: the API as `USER`, nothing behind it."""

    plane: ControlPlane
    client: Client
    token: str
    feed: Feed
    folder: Path

    def revision(self, steps: Mapping[str, Mapping[str, Any]], code: str = STEP) -> str:
        """Upload a pipeline whose steps all run `step.py`; returns its revision."""
        (self.folder / "step.py").write_text(code)
        document = pipeline({name: {"file": "step.py", **step} for name, step in steps.items()})
        (self.folder / "chain.pipeline").write_text(json.dumps(document))
        with snapshot.pack(self.folder) as packed:
            self.client.snapshots.upload(USER, packed)
            made = self.client.revisions.create(USER, path="chain.pipeline", document=document, snapshot=packed.digest)
        return made.id

    def run(self, revision: str, *, on: str = "local", seconds: float = 300) -> tuple[str, float]:
        """Submit it and wait; the run, and the seconds from the call to the news that it succeeded."""
        began = time.perf_counter()
        run = self.client.runs.create(USER, revision=revision, on=on).id
        end, arrived = self.feed.wait_for_end(run, seconds)
        if end.kind != "run.finished":
            raise RuntimeError(f"run {run} did not succeed: {end.kind} {end.data.get('message', '')}")
        steps = [step.state for step in self.client.steps.list(USER, run)]
        if set(steps) != {"done"}:
            raise RuntimeError(f"run {run} succeeded with steps {steps}")
        return run, arrived - began


def chain(length: int, **extras: Any) -> dict[str, dict[str, Any]]:
    """Steps `s0` … that each wait for the one before."""
    return {f"s{i}": {"needs": [f"s{i - 1}"] if i else [], "image": "python", **extras} for i in range(length)}


class Feed:
    """Reads the user's event feed in a thread, from the first event on."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed = threading.Condition()
        self._ends: dict[str, tuple[Event, float]] = {}
        self.events: list[Event] = []
        self._problem: Exception | None = None
        threading.Thread(target=self._read, name="feed", daemon=True).start()

    def close(self) -> None:
        """Hang up; the thread ends with the connection."""
        self._client.close()

    def _read(self) -> None:
        try:
            for event in self._client.events.follow(project=USER, after=1):
                self._take(event, time.perf_counter())
        except Exception as error:  # shown to whoever waits
            with self._changed:
                self._problem = error
                self._changed.notify_all()

    def _take(self, event: Event, arrived: float) -> None:
        with self._changed:
            self.events.append(event)
            if event.kind in _ENDED:
                self._ends[event.subject] = event, arrived
                self._changed.notify_all()

    def wait_for_end(self, run: str, seconds: float) -> tuple[Event, float]:
        """The last event of a run, and when it arrived."""
        with self._changed:
            self._changed.wait_for(lambda: run in self._ends or self._problem, seconds)
            if run not in self._ends:
                raise RuntimeError(f"run {run} did not end within {seconds:g} s") from self._problem
            return self._ends[run]

    def of_attempts(self, run: str) -> dict[str, dict[str, float]]:
        """Attempt → what happened to it → when (seconds since 1970, by the control plane's clock)."""
        with self._changed:
            events = [event for event in self.events if event.subject.startswith(f"{run}-")]
        found: dict[str, dict[str, float]] = {}
        for event in events:
            assert event.at is not None
            found.setdefault(event.subject, {})[event.kind] = event.at.timestamp()
        return found


@contextmanager
def installation(**settings: Any) -> Iterator[Installation]:
    """Start hub and control plane, sign in; `settings` go to the control plane."""
    with TemporaryDirectory(prefix="atelier-bench-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        hub = TestHub(root / "hub")
        hub.start()
        plane = ControlPlane(root / "plane", hub, **settings)
        try:
            plane.start()
            token = hub.add_user(USER)
            code = root / "code"
            code.mkdir()
            client = Client(plane.url, token)
            client.me()  # the first visit makes the personal project
            with client, closing(Feed(Client(plane.url, token))) as feed:
                yield Installation(plane, client, token, feed, code)
        finally:
            plane.stop()
            hub.stop()
