"""How a run goes on: `decide(state, event) -> (state, commands)`, pure, so that a restart is a replay of the log.

The state holds persistent maps (rpds), so one event costs the same in a run of ten steps and of ten thousand. Events
that come twice or too late change nothing: every event may be delivered again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from rpds import HashTrieMap, Queue

from atelier_core.pipeline.plan import Plan, StepPlan
from atelier_core.states import FINAL, Reason, State, cause_of
from atelier_core.workload import MAX_SECONDS

# --- events: what happened; kept in the run's log ---


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run was submitted."""


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """Attempt `number` of `step` is over and nothing of it survives."""

    step: str
    number: int
    state: State
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The run as a whole took longer than its plan allows."""


Event = RunStarted | AttemptEnded | CancelRequested | DeadlinePassed
EVENTS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (RunStarted, AttemptEnded, CancelRequested, DeadlinePassed)
}

# --- commands: what must be done; carried out in the transaction that stores the event ---


@dataclass(frozen=True, slots=True)
class MoveStep:
    """The step is in another state now."""

    step: str
    state: State
    reason: Reason = Reason.NONE
    message: str = ""


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start attempt `number` of `step`, not before `delay` seconds from now."""

    step: str
    number: int
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """End the attempt that runs."""

    step: str
    number: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class MoveRun:
    """The run is in another state now."""

    state: State
    reason: Reason = Reason.NONE
    message: str = ""


Command = MoveStep | StartAttempt | StopAttempt | MoveRun

# --- state ---


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step within a run. `missing` counts what it needs and what is not done yet; `retries` what was used up."""

    state: State = State.WAITING
    attempt: int = 0
    retries: int = 0
    missing: int = 0
    values: dict[str, Any] = field(default_factory=dict)


class Graph:
    """A plan with the look-ups that deciding needs; built once, never changed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: dict[str, StepPlan] = {step.name: step for step in plan.steps}
        self.children: dict[str, list[str]] = {step.name: [] for step in plan.steps}
        for step in plan.steps:
            for need in dict.fromkeys(step.needs):
                self.children[need].append(step.name)


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything that deciding looks at."""

    graph: Graph
    steps: HashTrieMap[str, StepRun]
    state: State = State.QUEUED
    ready: Queue[str] = field(default_factory=Queue)
    active: int = 0
    unfinished: int = 0
    failed: str = ""
    stop_reason: Reason = Reason.NONE


def new_run(plan: Plan) -> RunState:
    """The state before anything happened."""
    graph = Graph(plan)
    steps = HashTrieMap({step.name: StepRun(missing=len(set(step.needs))) for step in plan.steps})
    return RunState(graph=graph, steps=steps, unfinished=len(plan.steps))


def replay(plan: Plan, events: Iterable[Event]) -> RunState:
    """The state after `events`."""
    state = new_run(plan)
    for event in events:
        state, _ = decide(state, event)
    return state


def decide(state: RunState, event: Event) -> tuple[RunState, list[Command]]:
    """What follows from `event`: the next state and what must be done. Pure; the order of commands matters."""
    if state.state in FINAL:
        return state, []
    turn = _Turn(state)
    match event:
        case RunStarted():
            turn.start()
        case AttemptEnded():
            turn.attempt_ended(event)
        case CancelRequested():
            turn.stop_all(Reason.CANCELLED)
        case DeadlinePassed():
            turn.stop_all(Reason.DEADLINE_EXCEEDED)
    return turn.finish()


class _Turn:
    """One step of deciding: takes a state apart, collects commands, and puts the next state together."""

    def __init__(self, before: RunState) -> None:
        self.before = before
        self.graph = before.graph
        self.steps = before.steps
        self.state = before.state
        self.ready = before.ready
        self.active = before.active
        self.unfinished = before.unfinished
        self.failed = before.failed
        self.stop_reason = before.stop_reason
        self.commands: list[Command] = []

    def start(self) -> None:
        if self.state is not State.QUEUED:
            return
        self.move_run(State.RUNNING)
        for step in self.graph.plan.steps:
            if not step.needs:
                self.make_ready(step.name)

    def attempt_ended(self, event: AttemptEnded) -> None:
        step = self.steps.get(event.step)
        if step is None or step.attempt != event.number or step.state not in (State.RUNNING, State.STOPPING):
            return
        self.active -= 1
        if event.state is State.DONE:
            self.end_step(event, replace(step, state=State.DONE, values=event.values))
        elif self.may_retry(event, step):
            self.retry(event, step)
        else:
            self.end_step(event, replace(step, state=event.state))

    def may_retry(self, event: AttemptEnded, step: StepRun) -> bool:
        policy = self.graph.steps[event.step].retry
        return not self.stop_reason and step.retries < policy.limit and cause_of(event.reason) in policy.causes

    def retry(self, event: AttemptEnded, step: StepRun) -> None:
        policy = self.graph.steps[event.step].retry
        again = replace(step, state=State.RUNNING, attempt=step.attempt + 1, retries=step.retries + 1)
        self.steps = self.steps.insert(event.step, again)
        self.active += 1
        why = f"Attempt {event.number} ended with {event.reason}; trying again ({again.retries} of {policy.limit})."
        self.commands.append(MoveStep(event.step, State.QUEUED, Reason.RETRYING, why))
        delay = min(policy.delay * policy.backoff**step.retries, MAX_SECONDS)
        self.commands.append(StartAttempt(event.step, again.attempt, delay))

    def end_step(self, event: AttemptEnded, after: StepRun) -> None:
        self.steps = self.steps.insert(event.step, after)
        self.unfinished -= 1
        self.commands.append(MoveStep(event.step, after.state, event.reason, event.message))
        if after.state is State.DONE:
            self.release_children(event.step)
        elif not self.stop_reason:
            self.failed = self.failed or event.step
            self.skip_descendants(event.step)

    def release_children(self, name: str) -> None:
        if self.stop_reason:
            return
        for child in self.graph.children[name]:
            step = self.steps[child]
            if step.state is not State.WAITING:
                continue
            self.steps = self.steps.insert(child, replace(step, missing=step.missing - 1))
            if step.missing == 1:
                self.make_ready(child)

    def make_ready(self, name: str) -> None:
        self.steps = self.steps.insert(name, replace(self.steps[name], state=State.QUEUED))
        self.ready = self.ready.enqueue(name)
        self.commands.append(MoveStep(name, State.QUEUED))

    def skip_descendants(self, name: str) -> None:
        todo = list(self.graph.children[name])
        while todo:
            child = todo.pop()
            if self.steps[child].state is not State.WAITING:
                continue
            self.close(child, State.SKIPPED, Reason.UPSTREAM_FAILED, f"Step {name!r} did not succeed.")
            todo.extend(self.graph.children[child])

    def close(self, name: str, state: State, reason: Reason, message: str = "") -> None:
        """End a step that has no attempt in flight."""
        self.steps = self.steps.insert(name, replace(self.steps[name], state=state))
        self.unfinished -= 1
        self.commands.append(MoveStep(name, state, reason, message))

    def stop_all(self, reason: Reason) -> None:
        if self.stop_reason:
            return
        self.stop_reason = reason
        self.ready = Queue()
        self.move_run(State.STOPPING, reason)
        for name, step in list(self.steps.items()):
            if step.state in (State.WAITING, State.QUEUED):
                self.close(name, State.STOPPED, reason)
            elif step.state is State.RUNNING:
                self.steps = self.steps.insert(name, replace(step, state=State.STOPPING))
                self.commands.append(MoveStep(name, State.STOPPING, reason))
                self.commands.append(StopAttempt(name, step.attempt, reason))

    def start_ready(self) -> None:
        limit = self.graph.plan.parallelism or len(self.graph.steps)
        while len(self.ready) > 0 and self.active < limit:
            name = self.ready.peek()  # type: ignore[operator]  # the stub calls this method a property
            self.ready = self.ready.dequeue()  # type: ignore[call-arg]  # the stub has a wrong signature
            step = replace(self.steps[name], state=State.RUNNING, attempt=self.steps[name].attempt + 1)
            self.steps = self.steps.insert(name, step)
            self.active += 1
            self.commands.append(StartAttempt(name, step.attempt))

    def move_run(self, state: State, reason: Reason = Reason.NONE, message: str = "") -> None:
        self.state = state
        self.commands.append(MoveRun(state, reason, message))

    def end_run(self) -> None:
        if self.stop_reason is Reason.CANCELLED:
            self.move_run(State.STOPPED, Reason.CANCELLED)
        elif self.stop_reason:
            seconds = f"{self.graph.plan.timeout:g}"
            self.move_run(State.FAILED, self.stop_reason, f"The run took longer than its limit of {seconds} s.")
        elif self.failed:
            self.move_run(State.FAILED, Reason.UPSTREAM_FAILED, f"Step {self.failed!r} did not succeed.")
        else:
            self.move_run(State.DONE)

    def finish(self) -> tuple[RunState, list[Command]]:
        self.start_ready()
        if self.unfinished == 0 and self.state is not State.QUEUED:
            self.end_run()
        after = RunState(
            graph=self.graph,
            steps=self.steps,
            state=self.state,
            ready=self.ready,
            active=self.active,
            unfinished=self.unfinished,
            failed=self.failed,
            stop_reason=self.stop_reason,
        )
        return after, self.commands
