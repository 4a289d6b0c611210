"""`decide` in a world of its own: replicas that start, answer, fail and end as the test or chance wants it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier_core import rollout
from atelier_core.rollout import begin, decide
from atelier_core.service import MOVES, Definition, Stage, check_move, validate
from atelier_core.service_view import Load, Place, Probe, ReplicaView, RevisionView, ServiceView, Sight
from atelier_core.states import Reason, State

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STATES = (State.STARTING, State.RUNNING, State.STOPPING)


def definition(**fields: Any) -> Definition:
    return validate({"name": "a", "image": "python", "command": ["serve"], "grace": 5, **fields})


@dataclass
class World:
    """A service, and an engine that does what it is told when the test lets time pass."""

    gateway: bool = True
    deaf: bool = False
    now: datetime = BEGIN
    view: ServiceView = field(default_factory=lambda: ServiceView("run", State.QUEUED))
    broken: set[int] = field(default_factory=set)
    loads: dict[int, Load] = field(default_factory=dict)
    wanted: dict[int, int] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    waiting: int = 0
    delays: list[float] = field(default_factory=list)
    removed: bool = False
    _due: dict[str, datetime] = field(default_factory=dict)

    def deploy(self, **fields: Any) -> int:
        """As the service does it."""
        new = definition(**fields)
        number = len(self.view.revisions) + 1
        current = next((one for one in self.view.at(State.RUNNING, new.stage) if one.place is Place.CURRENT), None)
        revision = RevisionView(
            number=number,
            state=State.STARTING,
            definition=new,
            place=Place.CANARY if new.is_trial and current else Place.CURRENT,
            replicas=new.least,
            minimum=new.replicas.min,
            maximum=new.most,
            began_at=self.now,
        )
        self.view = replace(self.view, wanted="run", sleeping=False, revisions=(*self.view.revisions, revision))
        if self.view.state in (State.STOPPED, State.STOPPING, State.FAILED):
            self.view = replace(self.view, state=State.QUEUED, reason="", message="")
        for command in begin(self.view, number):
            self._do(command)
        return number

    def pass_time(self, seconds: float = 1.0) -> None:
        """What is under way goes on; then everything is decided that is to be decided."""
        self.now += timedelta(seconds=seconds)
        for revision in self.view.revisions:
            for one in revision.attempts:
                self._engine(revision.number, one)
        # What is changed now the gateway hears of afterwards.
        sight = self._sight(confirmed=not self.deaf if self.gateway else None)
        for _ in range(100):
            commands = decide(self.view, sight)
            if not commands or self.removed:
                return
            for command in commands:
                self._do(command)
            sight = self._sight(confirmed=False if self.gateway else None)
        raise AssertionError(f"it does not settle: {commands}")

    def settle(self, rounds: int = 12) -> None:
        """A few seconds."""
        for _ in range(rounds):
            self.pass_time()

    def revision(self, number: int) -> RevisionView:
        return self.view.revisions[number - 1]

    def states(self) -> list[State]:
        return [one.state for one in self.view.revisions]

    def kill(self, number: int, reason: Reason = Reason.EXIT_CODE) -> None:
        """Replicas of a revision end by themselves."""
        for one in self.revision(number).attempts:
            if one.alive:
                self._change(one, state=State.FAILED, reason=reason, message="it died", ended_at=self.now)

    def _sight(self, confirmed: bool | None) -> Sight:
        attempts = [(one.number, each) for one in self.view.revisions for each in one.attempts]
        probes = {
            each.attempt: Probe("http://x", True)
            for number, each in attempts
            if each.state is State.RUNNING and number not in self.broken
        }
        words = {each.attempt: "last words" for _, each in attempts if each.failed and each.words is None}
        return Sight(
            now=self.now,
            probes=probes,
            words=words,
            loads=self.loads,
            replicas=self.wanted,
            bad=self.bad,
            waiting=self.waiting,
            confirmed=confirmed,
        )

    def _engine(self, revision: int, one: ReplicaView) -> None:
        if not one.alive:
            return
        if one.stop_wanted:
            self._change(one, state=State.STOPPED, ended_at=self.now, ready=False)
        elif one.state is State.QUEUED and self.now >= self._due.get(one.attempt, BEGIN):
            self._change(one, state=State.STARTING)
        elif one.state is State.STARTING and revision in self.broken:
            self._change(one, state=State.FAILED, reason=Reason.EXIT_CODE, message="it died", ended_at=self.now)
        elif one.state is State.STARTING:
            self._change(one, state=State.RUNNING)

    def _change(self, one: ReplicaView, **changes: Any) -> None:
        def changed(revision: RevisionView) -> RevisionView:
            attempts = [replace(each, **changes) if each.attempt == one.attempt else each for each in revision.attempts]
            return replace(revision, attempts=tuple(attempts))

        self.view = replace(self.view, revisions=tuple(map(changed, self.view.revisions)))

    def _update(self, number: int, **changes: Any) -> None:
        revisions = [replace(one, **changes) if one.number == number else one for one in self.view.revisions]
        self.view = replace(self.view, revisions=tuple(revisions))

    def _replica(self, attempt: str) -> ReplicaView:
        return next(each for one in self.view.revisions for each in one.attempts if each.attempt == attempt)

    def _do(self, command: Any) -> None:  # noqa: C901
        match command:
            case rollout.StartReplica():
                old = self.revision(command.revision).attempts
                new = ReplicaView(
                    f"r{command.revision}-{len(old) + 1}", len(old) + 1, State.QUEUED, created_at=self.now
                )
                self._due[new.attempt] = self.now + timedelta(seconds=command.delay)
                self.delays.append(command.delay)
                self._update(command.revision, attempts=(*old, new))
            case rollout.StopReplica():
                self._change(self._replica(command.attempt), stop_wanted=True)
            case rollout.DrainReplica():
                self._change(self._replica(command.attempt), drain_until=command.until)
            case rollout.MarkReplica():
                one = self._replica(command.attempt)
                self._change(one, ready=command.ready, url=command.url, ready_at=one.ready_at or self.now)
            case rollout.KeepWords():
                self._change(self._replica(command.attempt), words=command.words)
            case rollout.MoveRevision():
                before = self.revision(command.number)
                took = command.state is State.RUNNING and (
                    before.state is State.STARTING or before.place != command.place
                )
                self._update(
                    command.number,
                    state=command.state,
                    place=command.place,
                    weight=command.weight,
                    reason=command.reason,
                    message=command.message,
                    ready_at=self.now if took else before.ready_at,
                )
            case rollout.ScaleRevision():
                self._update(command.number, replicas=command.replicas)
            case rollout.Sleep():
                self.view = replace(self.view, sleeping=True)
            case rollout.Wake():
                self.view = replace(self.view, sleeping=False, woken_at=self.now)
            case rollout.MoveService():
                if command.state is not self.view.state:
                    check_move(self.view.state, command.state)
                self.view = replace(self.view, state=command.state, reason=command.reason, message=command.message)
            case rollout.Remove():
                self.removed = True
        alive = any(each.alive for one in self.view.revisions for each in one.attempts)
        self.view = replace(self.view, left=alive)


def test_one_comes_up_and_serves() -> None:
    world = World()
    world.deploy(replicas=2)
    world.settle()
    assert (world.view.state, world.view.reason, world.states()) == (State.RUNNING, "", [State.RUNNING])
    assert len(world.revision(1).ready) == 2
    assert world.revision(1).weight == 100


@pytest.mark.parametrize("gateway", [True, False])
def test_the_old_one_serves_until_the_new_one_is_ready_and_is_drained(gateway: bool) -> None:
    world = World(gateway)
    world.deploy()
    world.settle()
    world.loads = {1: Load(active=3)}
    world.deploy()
    seen = set()
    for _ in range(12):
        world.pass_time()
        serving = [one.number for one in world.view.at(State.RUNNING) if one.weight == 100]
        seen.update(serving)
        assert len(serving) == 1
        assert world.revision(serving[0]).ready
    assert seen == {1, 2}
    assert world.states() == [State.STOPPED, State.RUNNING]


def test_requests_under_way_hold_an_old_replica_for_its_grace_only() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.loads = {1: Load(active=1)}
    world.deploy()
    while world.revision(2).state is not State.RUNNING:
        world.pass_time()
    ended = world.now
    while world.revision(1).state is not State.STOPPED:
        world.pass_time()
    assert 5 <= (world.now - ended).total_seconds() <= 9


def test_what_a_gateway_that_cannot_be_told_still_calls_is_there() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.deaf = True
    world.deploy()
    world.settle(30)
    assert world.states() == [State.STOPPING, State.RUNNING]
    assert [one.alive for one in world.revision(1).attempts] == [True]
    world.deaf = False
    world.settle()
    assert world.states() == [State.STOPPED, State.RUNNING]


@pytest.mark.parametrize("wanted", ["run", "stop"])
def test_a_gateway_that_never_answers_holds_nothing_for_ever(wanted: str) -> None:
    world = World()
    world.deploy()
    world.settle()
    world.deaf = True
    world.deploy()
    world.settle(4)
    world.view = replace(world.view, wanted=wanted)
    world.pass_time(10 if wanted == "stop" else 620)
    world.settle(3)
    assert not any(one.alive for one in world.revision(1).attempts)


def test_a_failed_rollout_leaves_the_old_one_alone() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.broken = {2}
    world.deploy()
    world.settle()
    assert world.states() == [State.RUNNING, State.FAILED]
    assert (world.view.state, world.view.reason) == (State.RUNNING, rollout.ROLLOUT_FAILED)
    assert "last words" in world.view.message
    assert len(world.revision(2).attempts) == 2
    assert len(world.revision(1).ready) == 1


def test_a_first_rollout_that_fails_is_a_failed_service_and_hopeless_causes_are_tried_once() -> None:
    world = World()
    world.deploy()
    world.settle(2)
    world.kill(1, Reason.COMMAND_NOT_FOUND)
    world.settle()
    assert (world.view.state, world.view.reason) == (State.FAILED, "CommandNotFound")
    assert len(world.revision(1).attempts) == 1


def test_what_is_never_ready_fails_in_the_end() -> None:
    world = World()
    world.deploy(ready=10)
    world.pass_time()
    world.broken = {1}
    for one in world.revision(1).attempts:
        world._change(one, state=State.RUNNING)  # runs, but does not answer
    world.settle(20)
    assert world.view.state is State.FAILED
    assert "not ready within 10 s" in world.view.message


def test_a_crash_loop_waits_longer_each_time_and_never_gives_up() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.delays.clear()
    for _ in range(8):
        world.kill(1)
        world.pass_time()
        world.pass_time(70)
        world.broken = {1}
    assert world.delays[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert (world.view.state, world.view.reason) == (State.STARTING, rollout.CRASH_LOOP)
    world.broken = set()
    for _ in range(4):
        world.pass_time(70)
    assert world.view.state is State.RUNNING


def test_a_canary_has_its_share_and_goes_back_when_it_does_worse() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.deploy(canary={"percent": 20})
    world.settle()
    assert {one.number: one.weight for one in world.view.at(State.RUNNING)} == {1: 80, 2: 20}
    world.bad = {2: "too many errors"}
    world.settle()
    assert world.states() == [State.RUNNING, State.FAILED]
    assert (world.revision(1).weight, world.view.reason) == (100, rollout.ROLLED_BACK)


def test_a_canary_keeps_its_share_when_what_it_is_tried_beside_is_taken_back() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.deploy(rollback={"window": 600})
    world.settle()
    world.deploy(canary={"percent": 10})
    world.settle()
    world.bad = {2: "too many errors"}
    world.settle()
    assert {one.number: one.weight for one in world.view.at(State.RUNNING)} == {1: 90, 3: 10}


def test_a_bad_test_takes_nothing_back_in_production() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.deploy(stage="test")
    world.settle()
    world.deploy(rollback={"window": 600})
    world.settle()
    world.bad = {2: "too many errors"}
    world.settle()
    assert {one.number: one.weight for one in world.view.at(State.RUNNING, Stage.PRODUCTION)} == {1: 0, 3: 100}


def test_a_revision_that_ends_again_and_again_is_taken_back_while_one_stands_by() -> None:
    world = World()
    world.deploy()
    world.settle()
    world.deploy(rollback={"window": 300})
    world.settle()
    assert {one.number: one.place for one in world.view.at(State.RUNNING)} == {1: Place.STANDBY, 2: Place.CURRENT}
    world.broken = {2}
    world.kill(2)
    world.settle()
    assert world.states() == [State.RUNNING, State.FAILED]
    assert (world.revision(1).place, world.revision(1).weight) == (Place.CURRENT, 100)


def test_it_sleeps_without_requests_and_wakes_with_one() -> None:
    world = World()
    world.deploy(replicas={"min": 0, "max": 2}, scale={"idle": 10})
    world.settle(30)
    assert (world.view.sleeping, world.view.state, world.view.reason) == (True, State.RUNNING, rollout.SLEEPING)
    assert not any(one.alive for one in world.revision(1).attempts)
    world.waiting = 1
    world.settle(4)
    assert world.revision(1).ready
    world.waiting = 0
    world.loads = {1: Load(active=1)}
    world.settle(30)
    assert not world.view.sleeping


def test_without_an_answer_of_the_gateway_nobody_falls_asleep() -> None:
    world = World(gateway=False)
    world.deploy(replicas={"min": 0, "max": 2}, scale={"idle": 1})
    world.settle(30)
    assert not world.view.sleeping


def test_more_and_fewer_within_what_is_allowed() -> None:
    world = World()
    world.deploy(replicas={"min": 1, "max": 3})
    world.settle()
    world.wanted = {1: 9}
    world.settle()
    assert len(world.revision(1).ready) == 3
    world.wanted = {1: 1}
    world.settle()
    assert len(world.revision(1).counting) == 1
    assert world.revision(1).counting[0].number == 1


def test_what_is_debugged_ends_after_an_hour() -> None:
    world = World()
    world.deploy(stage="debug")
    world.settle()
    world.pass_time(3700)
    world.settle()
    assert (world.view.state, world.view.reason) == (State.STOPPED, rollout.EXPIRED)


def test_a_later_deployment_takes_the_place_of_one_that_is_not_ready() -> None:
    world = World()
    world.deploy()
    world.pass_time()
    world.deploy()
    world.settle()
    assert world.states() == [State.STOPPED, State.RUNNING]


@pytest.mark.parametrize("wanted", ["stop", "delete"])
def test_stopped_or_deleted_only_when_nothing_is_left(wanted: str) -> None:
    world = World()
    world.deploy(replicas=2)
    world.settle()
    world.view = replace(world.view, wanted=wanted)
    for _ in range(12):
        world.pass_time()
        if world.removed or world.view.state is State.STOPPED:
            assert not world.view.left
    assert world.removed if wanted == "delete" else world.view.state is State.STOPPED


EVENTS = st.one_of(
    st.tuples(
        st.just("deploy"),
        st.sampled_from(
            [
                {},
                {"replicas": 3},
                {"replicas": {"min": 0, "max": 2}, "scale": {"idle": 3}},
                {"canary": {"percent": 10}},
                {"stage": "test"},
                {"rollback": {"window": 5}},
            ]
        ),
    ),
    st.tuples(st.just("break"), st.integers(1, 6)),
    st.tuples(st.just("heal"), st.just(0)),
    st.tuples(st.just("kill"), st.integers(1, 6)),
    st.tuples(st.just("bad"), st.integers(1, 6)),
    st.tuples(st.just("waiting"), st.integers(0, 1)),
    st.tuples(st.just("stop"), st.just(0)),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 5.0, 70.0])),
)


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.lists(EVENTS, max_size=25))
def test_whatever_happens_it_settles_and_shares_add_up(gateway: bool, events: list[tuple[str, Any]]) -> None:
    world = World(gateway)
    world.deploy()
    for kind, value in events:
        _happen(world, kind, value)
        for _ in range(3):
            world.pass_time(value if kind == "time" else 1.0)
        running = [one for one in world.view.at(State.RUNNING) if one.definition.stage.value == "production"]
        if any(one.place is Place.CURRENT for one in running):
            assert sum(one.weight for one in running) == pytest.approx(100)
            assert sum(one.place is Place.CURRENT for one in running) == 1
        assert world.view.state in MOVES
    world.broken.clear()
    world.bad.clear()
    for _ in range(40):
        world.pass_time(70)
    alive = [one for one in world.view.revisions if any(each.alive for each in one.attempts)]
    assert all(one.state in (State.RUNNING, State.STARTING) for one in alive)
    assert all(one.state is not State.STARTING for one in world.view.revisions)
    if world.view.wanted == "stop":
        assert world.view.state is State.STOPPED


def _happen(world: World, kind: str, value: Any) -> None:
    number = min(value, len(world.view.revisions)) if isinstance(value, int) else 0
    match kind:
        case "deploy":
            world.deploy(**value)
        case "break":
            world.broken.add(number)
        case "heal":
            world.broken.clear()
        case "kill":
            world.kill(number)
        case "bad":
            world.bad = {number: "it does worse"}
        case "waiting":
            world.waiting = value
        case "stop":
            world.view = replace(world.view, wanted="stop")
