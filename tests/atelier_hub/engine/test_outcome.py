"""How an attempt of several replicas ended, by what each of them said."""

from __future__ import annotations

import pytest

from atelier_core.states import Reason, State
from atelier_hub.engine.outcome import outcome_of
from atelier_hub.engine.reports import ENGINE, Report
from atelier_hub.engine.store import NewAttempt, draft_attempt

ATTEMPT = draft_attempt(
    NewAttempt(
        id="r-train-1", project="p", kind="step", subject="r", step="train", number=1, backend="local", replicas=3
    )
)


def report(replica: str, exit_code: int | None = 0, reason: Reason = Reason.NONE) -> Report:
    return Report(replica, exit_code, reason, "", {})


@pytest.mark.parametrize("ended_with_it", [Reason.CANCELLED, Reason.GONE])
def test_a_replica_that_was_ended_because_another_failed_is_not_the_cause(ended_with_it: Reason) -> None:
    reports = [report("main-0", 143, ended_with_it), report("main-1", 7, Reason.EXIT_CODE)]
    outcome = outcome_of(ATTEMPT, reports, None)
    assert outcome is not None
    assert (outcome.state, outcome.reason, outcome.exit_code) == (State.FAILED, Reason.EXIT_CODE, 7)


def test_what_the_engine_decided_stands() -> None:
    reports = [report(ENGINE, None, Reason.NODE_LOST), report("main-0", 1, Reason.EXIT_CODE)]
    outcome = outcome_of(ATTEMPT, reports, None)
    assert outcome is not None
    assert outcome.reason is Reason.NODE_LOST


def test_it_is_done_when_all_have_said_so() -> None:
    reports = [report(f"main-{index}") for index in range(3)]
    assert outcome_of(ATTEMPT, reports[:2], None) is None
    outcome = outcome_of(ATTEMPT, reports, None)
    assert outcome is not None
    assert outcome.state is State.DONE
