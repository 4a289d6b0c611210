"""A workload as its files show it, while they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from atelier_core.states import Reason, State
from atelier_core.workload import Topology
from atelier_runtime import files
from atelier_runtime.outcome import INPUT_UNAVAILABLE, Outcome
from atelier_spawner.local import attempt as under_test
from atelier_spawner.local.attempt import Attempt, Record, Replica

REPLICA = Replica(role="main", index=0, cpu=1, memory=1)
RECORD = Record(workload="w", kind="job", topology=Topology.SINGLE, grace=1, replicas=(REPLICA,))


@pytest.mark.parametrize("before", [1, 2, 3, 4])
def test_an_end_that_comes_while_it_is_looked_at_is_not_taken_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """A failure was once seen as a success: it came between two looks at the same file."""
    under_test.make_folders(tmp_path)
    attempt = Attempt(tmp_path, "w")
    attempt.reserve(RECORD)
    root = attempt.root(REPLICA.name)
    root.mkdir()
    read, looks = files.read_json, 0

    def read_json(path: str, owner: int | None = None) -> dict[str, object] | None:
        nonlocal looks
        looks += 1
        if looks == before:
            failed = Outcome().fail(INPUT_UNAVAILABLE, "There is no input data.")
            files.write_json(files.exit_path(str(root), REPLICA.name), failed.document())
        return read(path, owner)

    monkeypatch.setattr(files, "read_json", read_json)
    first = attempt.observe()
    while looks < before:
        first = attempt.observe()
    assert first.state in (State.STARTING, State.FAILED)
    last = attempt.observe()
    assert (last.state, last.reason) == (State.FAILED, Reason.INPUT_UNAVAILABLE)


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_record_that_comes_while_it_is_looked_at_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """What just begins was once taken for what nobody can tell anything of, and ended."""
    under_test.make_folders(tmp_path)
    seen = Attempt(tmp_path, "w")
    seen.kept.mkdir()
    read, looks = files.read_json, 0

    def read_json(path: str, owner: int | None = None) -> dict[str, object] | None:
        nonlocal looks
        found = read(path, owner)
        if path.endswith("workload.json"):
            looks += 1
            if looks == before:
                Attempt(tmp_path, "w").reserve(RECORD)
        return found

    monkeypatch.setattr(files, "read_json", read_json)
    for _ in range(3):
        seen.settle()
        assert not seen.damaged
        assert seen.observe().state is State.STARTING
    assert seen.record == RECORD


def test_an_end_that_a_step_wrote_itself_can_be_stored(tmp_path: Path) -> None:
    under_test.make_folders(tmp_path)
    attempt = Attempt(tmp_path, "w")
    attempt.reserve(RECORD)
    root = attempt.root(REPLICA.name)
    root.mkdir()
    path = Path(files.exit_path(str(root), REPLICA.name))
    path.write_text('{"reason": "ExitCode", "message": "a\\u0000\\udce9", "values": {"\\ud800": NaN}}')
    found = attempt.ended(REPLICA.name)
    assert found is not None
    assert (found.message, found.values) == ("a\ufffd\ufffd", {"\ufffd": None})
