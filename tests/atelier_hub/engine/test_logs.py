"""A log is in the store before what wrote it is removed, however slow the store is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from atelier_core.backend import Backend
from atelier_core.errors import NotFound, StorageFull
from atelier_core.states import State
from atelier_core.workload import Handle
from atelier_hub.artifacts.logs import LogStore
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.engine.logs import LogArchive
from atelier_hub.engine.store import NewAttempt, draft_attempt


class SlowStore(LogStore):
    """It takes its time to say how much it has, or cannot."""

    fails = False

    def end(self, attempt: str, replica: str) -> int:
        time.sleep(0.3)
        if self.fails:
            raise OSError("The store is away.")
        return super().end(attempt, replica)


class Engine:
    """Has the log until the workload is stopped."""

    stopped = False

    async def logs(self, handle: Handle, replica: str, follow: bool = False) -> AsyncIterator[bytes]:
        if self.stopped:
            raise NotFound("It is gone.", code="gone")
        yield b"last words"


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_stopped_keeps_its_log(tmp_path: Path, fails: bool) -> None:
    attempt = replace(draft_attempt(NewAttempt("a-1", "kim", "step", "r1", "step", 1, "local")), state=State.RUNNING)
    logs, engine = SlowStore(ArtifactStore(f"file://{tmp_path}/store")), Engine()
    logs.fails = fails
    async with LogArchive(logs).keeping(cast(Backend, engine), attempt, ["main-0"]):
        engine.stopped = True
    assert b"".join(logs.read("a-1", "main-0")) == (b"" if fails else b"last words")


class FullStore(LogStore):
    """For the first piece there is no room."""

    asked = 0

    def append(self, attempt: str, replica: str, offset: int, data: bytes) -> int:
        self.asked += 1
        if self.asked == 1:
            raise StorageFull("There is no room left.", hint="Delete something.")
        return super().append(attempt, replica, offset, data)


async def test_what_is_over_is_not_removed_before_its_log_is_kept(tmp_path: Path) -> None:
    """Whoever removes it hears why, and tries again."""
    attempt = replace(draft_attempt(NewAttempt("a-1", "kim", "step", "r1", "step", 1, "local")), state=State.FAILED)
    logs, engine = FullStore(ArtifactStore(f"file://{tmp_path}/store")), Engine()
    archive = LogArchive(logs)
    with pytest.raises(StorageFull):
        async with archive.keeping(cast(Backend, engine), attempt, ["main-0"]):
            engine.stopped = True
    assert not engine.stopped
    async with archive.keeping(cast(Backend, engine), attempt, ["main-0"]):
        engine.stopped = True
    assert b"".join(logs.read("a-1", "main-0")) == b"last words"
