"""The rules by which a run goes on, checked on generated graphs and histories."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from atelier_core.pipeline.plan import Plan, RetryPolicy, StepPlan
from atelier_core.pipeline.run import (
    AttemptEnded,
    CancelRequested,
    DeadlinePassed,
    Event,
    MoveRun,
    MoveStep,
    RunStarted,
    StartAttempt,
    StopAttempt,
    decide,
    new_run,
    replay,
)
from atelier_core.states import FINAL, Reason, State


def step(name: str, *needs: str, **more: object) -> StepPlan:
    return StepPlan(id=name, name=name, needs=needs, image="python", command=("true",), **more)


def plan(*steps: StepPlan, **more: object) -> Plan:
    return Plan(name="p", steps=steps, **more)


def started(commands: list) -> list[tuple[str, int]]:
    return [(c.step, c.number) for c in commands if isinstance(c, StartAttempt)]


def run_events(the_plan: Plan, *events: Event) -> list[list]:
    state, out = new_run(the_plan), []
    for event in events:
        state, commands = decide(state, event)
        out.append(commands)
    return out


def done(name: str, number: int = 1) -> AttemptEnded:
    return AttemptEnded(name, number, State.DONE)


def failed(name: str, number: int = 1, reason: Reason = Reason.EXIT_CODE) -> AttemptEnded:
    return AttemptEnded(name, number, State.FAILED, reason)


def test_branches_run_in_parallel_and_join():
    diamond = plan(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))
    turns = run_events(diamond, RunStarted(), done("a"), done("c"), done("b"), done("d"))
    assert [started(turn) for turn in turns] == [[("a", 1)], [("b", 1), ("c", 1)], [], [("d", 1)], []]
    assert turns[-1][-1] == MoveRun(State.DONE)


def test_a_failed_step_skips_what_depends_on_it_and_nothing_else():
    the_plan = plan(step("a"), step("b", "a"), step("c", "b"), step("x"), step("y", "x"))
    turns = run_events(the_plan, RunStarted(), failed("a"), done("x"), done("y"))
    assert {c.step for c in turns[1] if isinstance(c, MoveStep) and c.state is State.SKIPPED} == {"b", "c"}
    assert started(turns[2]) == [("y", 1)]
    assert turns[-1][-1].state is State.FAILED
    assert "'a'" in turns[-1][-1].message


def test_infrastructure_failures_are_tried_again_with_growing_waits_and_user_errors_are_not():
    policy = RetryPolicy(limit=2, delay=1, backoff=3)
    the_plan = plan(step("a", retry=policy))
    lost = [failed("a", n, Reason.SHIM_LOST) for n in (1, 2, 3)]
    turns = run_events(the_plan, RunStarted(), *lost)
    waits = [c.delay for turn in turns for c in turn if isinstance(c, StartAttempt)]
    assert waits == [0, 1, 3]
    assert turns[-1][-1].state is State.FAILED
    assert started(run_events(the_plan, RunStarted(), failed("a"))[1]) == []


def test_parallelism_is_a_limit():
    the_plan = plan(*(step(f"s{i}") for i in range(5)), parallelism=2)
    turns = run_events(the_plan, RunStarted(), done("s1"), done("s0"))
    assert [started(turn) for turn in turns] == [[("s0", 1), ("s1", 1)], [("s2", 1)], [("s3", 1)]]


def test_cancel_stops_what_runs_and_waits_for_it():
    the_plan = plan(step("a"), step("b", "a"))
    turns = run_events(
        the_plan, RunStarted(), CancelRequested("ada"), AttemptEnded("a", 1, State.STOPPED, Reason.CANCELLED)
    )
    assert StopAttempt("a", 1, Reason.CANCELLED) in turns[1]
    assert not any(isinstance(c, MoveRun) and c.state in FINAL for c in turns[1])
    assert turns[2][-1] == MoveRun(State.STOPPED, Reason.CANCELLED)


def test_a_run_over_its_limit_fails():
    turns = run_events(
        plan(step("a"), timeout=5), RunStarted(), DeadlinePassed(), failed("a", 1, Reason.DEADLINE_EXCEEDED)
    )
    assert turns[-1][-1].state is State.FAILED
    assert turns[-1][-1].reason is Reason.DEADLINE_EXCEEDED


@st.composite
def histories(draw: st.DrawFn) -> tuple[Plan, list[Event]]:
    """A random acyclic plan and a history in which attempts end in any way and order, some events twice."""
    size = draw(st.integers(1, 8))
    steps = []
    for i in range(size):
        needs = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        retry = RetryPolicy(limit=draw(st.integers(0, 2)))
        steps.append(step(f"s{i}", *(f"s{n}" for n in sorted(needs)), retry=retry))
    the_plan = plan(*steps, parallelism=draw(st.integers(0, 3)))
    state, events, running = new_run(the_plan), [], []

    def feed(event: Event) -> None:
        nonlocal state
        events.append(event)
        state, commands = decide(state, event)
        running.extend(started(commands))

    feed(RunStarted())
    while running:
        name, number = running.pop(draw(st.integers(0, len(running) - 1)))
        if draw(st.integers(0, 9)) == 0:
            feed(draw(st.sampled_from([CancelRequested(), DeadlinePassed()])))
        end, reason = draw(
            st.sampled_from(
                [(State.DONE, Reason.NONE)] * 4
                + [
                    (State.FAILED, Reason.EXIT_CODE),
                    (State.FAILED, Reason.SHIM_LOST),
                    (State.STOPPED, Reason.CANCELLED),
                ]
            )
        )
        event = AttemptEnded(name, number, end, reason)
        feed(event)
        if draw(st.booleans()):
            feed(event)
    return the_plan, events


@given(histories())
@settings(max_examples=300, deadline=None)
def test_every_history_ends_the_run_and_starts_no_attempt_twice(history: tuple[Plan, list[Event]]):
    the_plan, events = history
    state, starts = new_run(the_plan), Counter()
    moves: dict[str, list[State]] = {}
    for event in events:
        state, commands = decide(state, event)
        starts.update(started(commands))
        for command in commands:
            if isinstance(command, StartAttempt):
                needs = state.graph.steps[command.step].needs
                assert all(state.steps[need].state is State.DONE for need in needs)
            if isinstance(command, MoveStep):
                moves.setdefault(command.step, []).append(command.state)
        if the_plan.parallelism:
            assert state.active <= the_plan.parallelism
    assert state.state in FINAL
    assert max(starts.values(), default=0) <= 1
    assert all(one.state in FINAL for one in state.steps.values())
    assert all(sum(move in FINAL for move in path) == 1 and path[-1] in FINAL for path in moves.values())


@given(histories())
@settings(max_examples=100, deadline=None)
def test_replay_gives_the_same_state(history: tuple[Plan, list[Event]]):
    the_plan, events = history
    state = new_run(the_plan)
    for event in events:
        state, _ = decide(state, event)
    again = replay(the_plan, events)
    assert (again.state, again.steps, again.active, again.failed) == (
        state.state,
        state.steps,
        state.active,
        state.failed,
    )


def test_one_event_costs_the_same_in_a_large_graph():
    """Counted, not timed: an event touches only its own step and the steps that it releases."""
    wide = plan(
        step("root"), *(step(f"s{i}", "root") for i in range(3000)), step("end", *(f"s{i}" for i in range(3000)))
    )
    state, _ = decide(new_run(wide), RunStarted())
    state, commands = decide(state, done("root"))
    assert len(started(commands)) == 3000
    for i in range(2999):
        state, commands = decide(state, done(f"s{i}"))
        assert len(commands) == 1
    _, commands = decide(state, done("s2999"))
    assert started(commands) == [("end", 1)]
