"""What is to be done for a service now: `decide` compares what is wanted with what there is. No clock, no database.

It is asked again after every change, so each answer is one step; a step that was cut short is decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from atelier_core.service import DEBUG_SECONDS, Stage
from atelier_core.service_view import Load, Place, ReplicaView, RevisionView, ServiceView, Sight
from atelier_core.states import Cause, Reason, State, cause_of

_LONGEST_WAIT = 60.0
_UNHEARD = 600.0  # for so long a replica outlasts its grace while the gateway may still send it requests
_TRIES = 5
_USER_TRIES = 2
_HOPELESS = frozenset({Reason.BAD_SPEC, Reason.IMAGE_PULL, Reason.COMMAND_NOT_FOUND})

# Reasons of a service or a revision, beside those of attempts.
SLEEPING, ROLLING_OUT, CANARY = "Sleeping", "RollingOut", "Canary"
CRASH_LOOP, ROLLOUT_FAILED, ROLLED_BACK = "CrashLoop", "RolloutFailed", "RolledBack"
NOT_READY, EXPIRED, REPLACED = "NotReady", "Expired", "Replaced"


@dataclass(frozen=True)
class StartReplica:
    """Start one more of a revision, `delay` seconds from now."""

    revision: int
    delay: float = 0


@dataclass(frozen=True)
class StopReplica:
    """End a replica."""

    attempt: str


@dataclass(frozen=True)
class DrainReplica:
    """Send it nothing more; it is ended when what is under way is answered, or at `until`."""

    attempt: str
    until: datetime


@dataclass(frozen=True)
class MarkReplica:
    """It answers at `url`, or does not answer any more."""

    attempt: str
    ready: bool
    url: str


@dataclass(frozen=True)
class KeepWords:
    """What a replica that failed wrote last."""

    attempt: str
    words: str


@dataclass(frozen=True)
class MoveRevision:
    """Bring a revision into a state and a place."""

    number: int
    state: State
    place: Place
    weight: float = 0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class ScaleRevision:
    """Have so many replicas."""

    number: int
    replicas: int


@dataclass(frozen=True)
class Sleep:
    """Have no replica until somebody asks."""


@dataclass(frozen=True)
class Wake:
    """Somebody asks."""


@dataclass(frozen=True)
class MoveService:
    """Show where the service is."""

    state: State
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Remove:
    """Nothing of a service that was to be deleted is left."""


Command = (
    StartReplica
    | StopReplica
    | DrainReplica
    | MarkReplica
    | KeepWords
    | MoveRevision
    | ScaleRevision
    | Sleep
    | Wake
    | MoveService
    | Remove
)


def decide(service: ServiceView, sight: Sight) -> list[Command]:
    """The next step; nothing when all is as it should be."""
    for step in _STEPS if service.wanted == "run" else _LAST_STEPS:
        commands = step(service, sight)
        if commands:
            return commands
    return []


def begin(service: ServiceView, number: int) -> list[Command]:
    """Make room for the rollout of revision `number`: one at a time in each stage."""
    stage = next(one.definition.stage for one in service.revisions if one.number == number)
    return [
        _retire(one, REPLACED, f"Revision {number} took its place before it was ready.")
        for one in service.at(State.STARTING, stage)
        if one.number != number
    ]


# --- steps, most urgent first ---


def _note(service: ServiceView, sight: Sight) -> list[Command]:
    """Who answers, who does not any more, and what those said who failed."""
    commands: list[Command] = []
    for one in (one for revision in service.revisions for one in revision.attempts):
        probe = sight.probes.get(one.attempt)
        if probe is not None and one.alive and (probe.ok, probe.ok and probe.url) != (one.ready, one.ready and one.url):
            commands.append(MarkReplica(one.attempt, probe.ok, probe.url if probe.ok else one.url))
        if one.words is None and one.attempt in sight.words:
            commands.append(KeepWords(one.attempt, sight.words[one.attempt]))
        if one.attempt in sight.hung and one.alive and not one.stop_wanted:
            commands.append(StopReplica(one.attempt))
    return commands


def _wake(service: ServiceView, sight: Sight) -> list[Command]:
    return [Wake()] if service.sleeping and sight.waiting else []


def _go_back(service: ServiceView, sight: Sight) -> list[Command]:
    """Away from one that does worse than the one before, or does nothing any more; the one before gets its share."""
    for number, why in {**_crashing(service), **sight.bad}.items():
        running = service.at(State.RUNNING, Stage.PRODUCTION)
        bad = next((one for one in running if one.number == number), None)
        others = [one for one in running if one.number != number]
        place = Place.CURRENT if bad is not None and bad.place is Place.CANARY else Place.STANDBY
        good = next((one for one in others if one.place is place), None)
        if bad is not None and good is not None:
            return [
                MoveRevision(bad.number, State.FAILED, bad.place, 0, ROLLED_BACK, why),
                MoveRevision(good.number, State.RUNNING, Place.CURRENT, good.weight + bad.weight),
            ]
    return []


def _crashing(service: ServiceView) -> dict[int, str]:
    return {
        one.number: f"No replica of it answers any more: {_says(one.failures[0])}"
        for one in service.at(State.RUNNING, Stage.PRODUCTION)
        if not one.ready and len(one.failures) >= _USER_TRIES
    }


def _roll_out(service: ServiceView, sight: Sight) -> list[Command]:
    for revision in service.at(State.STARTING):
        failure = _failure(revision, sight.now)
        if failure is not None:
            return [failure]
        if len(revision.ready) >= max(1, revision.replicas):
            return _take_over(service, revision)
    return []


def _failure(revision: RevisionView, now: datetime) -> MoveRevision | None:
    """Whether a rollout has failed for good. The last words of a replica are waited for."""
    failures = revision.failures
    if failures:
        last = failures[0]
        user = cause_of(last.reason) is Cause.USER
        tries = 1 if last.reason in _HOPELESS else _USER_TRIES if user else _TRIES
        if len(failures) < tries or last.words is None:
            return None
        return _fail(revision, str(last.reason), _says(last))
    if (now - revision.began_at).total_seconds() < revision.definition.ready:
        return None
    waiting = next((one for one in revision.counting if not one.ready), None)
    why = f" {waiting.message}" if waiting is not None and waiting.message else ""
    text = f"It was not ready within {revision.definition.ready:g} s.{why}"
    return _fail(revision, str(waiting.reason or NOT_READY) if waiting else NOT_READY, text)


def _fail(revision: RevisionView, reason: str, message: str) -> MoveRevision:
    return MoveRevision(revision.number, State.FAILED, revision.place, 0, reason, message)


def _says(one: ReplicaView) -> str:
    message = one.message or "It ended by itself."
    return f"{message} Its last lines:\n{one.words}" if one.words else message


def _take_over(service: ServiceView, new: RevisionView) -> list[Command]:
    """A revision is ready: it gets its traffic, and who had it before retires or stands by."""
    others = service.at(State.RUNNING, new.definition.stage)
    current = next((one for one in others if one.place is Place.CURRENT), None)
    if new.place is Place.CANARY and current is not None:
        share = new.definition.canary.percent if new.definition.canary else 0
        commands: list[Command] = [
            MoveRevision(new.number, State.RUNNING, Place.CANARY, share),
            MoveRevision(current.number, State.RUNNING, Place.CURRENT, 100 - share),
        ]
        return commands + [_retire(one, REPLACED) for one in others if one.place is Place.CANARY]
    return promote(service, new)


def promote(service: ServiceView, new: RevisionView) -> list[Command]:
    """All traffic of its stage to `new`; who was current stands by where `new` may be taken back."""
    commands: list[Command] = [MoveRevision(new.number, State.RUNNING, Place.CURRENT, 100)]
    for one in service.at(State.RUNNING, new.definition.stage):
        if one.number == new.number:
            continue
        if one.place is Place.CURRENT and new.definition.rollback is not None:
            commands.append(MoveRevision(one.number, State.RUNNING, Place.STANDBY, 0))
        else:
            commands.append(_retire(one, REPLACED))
    return commands


def _retire(one: RevisionView, reason: str, message: str = "") -> MoveRevision:
    return MoveRevision(one.number, State.STOPPING, one.place, 0, reason, message)


def _end_trials(service: ServiceView, sight: Sight) -> list[Command]:
    """Who stood by long enough, and what was to be debugged for an hour at most."""
    for one in service.at(State.RUNNING):
        age = (sight.now - (one.ready_at or one.began_at)).total_seconds()
        if one.definition.stage is Stage.DEBUG and age > DEBUG_SECONDS:
            return [_retire(one, EXPIRED, "It was deployed for debugging, which ends after an hour.")]
        if one.place is Place.STANDBY:
            current = [each for each in service.at(State.RUNNING, one.definition.stage) if each.place is Place.CURRENT]
            policy = current[0].definition.rollback if current else None
            since = (sight.now - (current[0].ready_at or sight.now)).total_seconds() if current else 0
            if policy is None or since >= policy.window:
                return [_retire(one, REPLACED)]
    return []


def _scale(service: ServiceView, sight: Sight) -> list[Command]:
    commands: list[Command] = []
    for one in service.at(State.RUNNING):
        if one.place is Place.STANDBY:
            continue
        wanted = min(max(sight.replicas.get(one.number, one.replicas), 1, one.minimum), max(1, one.maximum))
        if wanted != one.replicas:
            commands.append(ScaleRevision(one.number, wanted))
    return commands


def _fall_asleep(service: ServiceView, sight: Sight) -> list[Command]:
    running = service.at(State.RUNNING)
    awake = service.sleeping or sight.confirmed is not True or service.at(State.STARTING)
    if awake or not running or any(one.minimum > 0 for one in running):
        return []
    if sight.waiting or any(sight.loads.get(one.number, Load()).active for one in running):
        return []
    idle = max(one.definition.scale.idle for one in running)
    moments = [service.woken_at, *(one.ready_at for one in running)]
    moments += [sight.loads.get(one.number, Load()).last_request for one in running]
    last = max((one for one in moments if one is not None), default=sight.now)
    return [Sleep()] if (sight.now - last).total_seconds() >= idle else []


def _balance(service: ServiceView, sight: Sight) -> list[Command]:
    """As many replicas of each revision as it should have."""
    commands: list[Command] = []
    for revision in service.revisions:
        commands += _end_drained(service, revision, sight)
        wanted = _wanted(service, revision)
        counting = revision.counting
        if len(counting) < wanted:
            failures = len(revision.failures)
            missing = 1 if failures else wanted - len(counting)
            delay = min(_LONGEST_WAIT, 2.0 ** (failures - 1)) if failures else 0.0
            commands += [StartReplica(revision.number, delay)] * missing
        surplus = sorted(counting, key=lambda one: (one.ready, -one.number))[: max(0, len(counting) - wanted)]
        commands += [_let_go(one, revision, sight) for one in surplus]
    return commands


def _wanted(service: ServiceView, revision: RevisionView) -> int:
    rests = service.sleeping and revision.state is not State.STARTING
    if service.wanted != "run" or rests or revision.state not in (State.STARTING, State.RUNNING):
        return 0
    return max(1, revision.replicas)


def _let_go(one: ReplicaView, revision: RevisionView, sight: Sight) -> Command:
    if not one.ready or sight.confirmed is None:
        return StopReplica(one.attempt)
    return DrainReplica(one.attempt, sight.now + timedelta(seconds=revision.definition.grace))


def _end_drained(service: ServiceView, revision: RevisionView, sight: Sight) -> list[Command]:
    """A gateway that cannot be told goes on with the routes that it has: what they lead to is not taken away."""
    idle = sight.confirmed is True and not sight.loads.get(revision.number, Load()).active
    unheard = sight.confirmed is False and service.wanted == "run"
    late = sight.now - timedelta(seconds=_UNHEARD if unheard else 0)
    return [
        StopReplica(one.attempt)
        for one in revision.attempts
        if one.alive
        and not one.stop_wanted
        and one.drain_until is not None
        and (idle or sight.confirmed is None or late >= one.drain_until)
    ]


def _retire_all(service: ServiceView, sight: Sight) -> list[Command]:
    """The service is to stop: every revision goes."""
    return [_retire(one, Reason.CANCELLED) for one in service.revisions if one.state in (State.STARTING, State.RUNNING)]


def _finish_retired(service: ServiceView, sight: Sight) -> list[Command]:
    return [
        MoveRevision(one.number, State.STOPPED, one.place, 0, one.reason, one.message)
        for one in service.at(State.STOPPING)
        if not any(each.alive for each in one.attempts)
    ]


def settle(service: ServiceView) -> list[Command]:
    """Show people where a service that is to run now is."""
    shown = _shown(service)
    if (shown.state, shown.reason, shown.message) == (service.state, service.reason, service.message):
        return []
    return [shown]


def _shown(service: ServiceView) -> MoveService:
    """What people see of a service that is to run."""
    running = service.at(State.RUNNING)
    rolling = service.at(State.STARTING)
    main = service.main
    if main is None:
        return _shown_without(service, rolling)
    if service.sleeping:
        return MoveService(State.RUNNING, SLEEPING, "No replica runs; the next request wakes it.")
    failures = main.failures
    if not main.ready:
        reason = CRASH_LOOP if failures else NOT_READY
        return MoveService(State.STARTING, reason, _says(failures[0]) if failures else "No replica answers yet.")
    if rolling:
        return MoveService(State.RUNNING, ROLLING_OUT, f"Revision {rolling[-1].number} is being rolled out.")
    trial = next((one for one in running if one.place is Place.CANARY), None)
    if trial is not None:
        return MoveService(State.RUNNING, CANARY, f"Revision {trial.number} is tried with {trial.weight:g} %.")
    newest = service.revisions[-1]
    if newest.state is State.FAILED and newest.number != main.number:
        reason = ROLLED_BACK if newest.reason == ROLLED_BACK else ROLLOUT_FAILED
        text = f"Revision {newest.number} failed: {newest.message}\nRevision {main.number} goes on serving."
        return MoveService(State.RUNNING, reason, text)
    if len(failures) > 1:
        return MoveService(State.RUNNING, CRASH_LOOP, f"A replica ends again and again: {_says(failures[0])}")
    return MoveService(State.RUNNING)


def _shown_without(service: ServiceView, rolling: Sequence[RevisionView]) -> MoveService:
    """No revision serves."""
    if rolling:
        waits = next((one for one in rolling[-1].counting), None)
        started = any(one.state is not State.QUEUED for one in rolling[-1].attempts)
        if waits is None:
            return MoveService(State.STARTING if started else State.QUEUED)
        state = State.STARTING if started else State.QUEUED
        return MoveService(state, str(waits.reason), waits.message)
    newest = service.revisions[-1]
    if newest.state is State.FAILED:
        return MoveService(State.FAILED, newest.reason, newest.message)
    if service.left or newest.state is State.STOPPING:
        return MoveService(State.STOPPING, newest.reason, newest.message)
    return MoveService(State.STOPPED, newest.reason, newest.message)


def _wind_down(service: ServiceView, sight: Sight) -> list[Command]:
    """Show that it stops, and in the end that it has."""
    over = not service.left and not any(
        one.state in (State.STARTING, State.RUNNING, State.STOPPING) for one in service.revisions
    )
    if over and service.wanted == "delete":
        return [Remove()]
    to = State.STOPPED if over else State.STOPPING
    if service.state in (to, State.STOPPED):
        return []
    # A service that failed has nothing to stop, but goes the same way.
    return [MoveService(State.STOPPING if service.state is not State.STOPPING else to, Reason.CANCELLED)]


Step = Callable[[ServiceView, Sight], list[Command]]
_STEPS: tuple[Step, ...] = (
    _note,
    _wake,
    _go_back,
    _roll_out,
    _end_trials,
    _scale,
    _fall_asleep,
    _balance,
    _finish_retired,
    lambda service, sight: settle(service),
)
_LAST_STEPS: tuple[Step, ...] = (_note, _retire_all, _balance, _finish_retired, _wind_down)
