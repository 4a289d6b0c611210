"""One workload on this machine as its files show it: what was reserved, who claimed it, how it ended.

`records/<workload>/` is ours alone: what was reserved, the orders, a copy of each claim, each end that we wrote.
`attempts/<workload>/<replica>/` belongs to the user that the replica runs as: whatever is read from there is not
trusted, and a step may remove all of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from atelier_core.errors import Invalid
from atelier_core.states import Reason, State
from atelier_core.workload import Observation, ReplicaObservation, Topology
from atelier_runtime import files, outcome, process
from atelier_spawner.local.people import passage

_ATTEMPTS, _RECORDS = "attempts", "records"
_RECORD, _TRASH = "workload.json", ".removed-"
_LOST = "The process that carried it disappeared without a report: killed, or the machine went down."
_REMOVED = (
    "It removed the folder that it worked in, and with it its log, its outputs and the record of its end. "
    "Let it remove only what it made itself."
)


class Replica(BaseModel):
    """What was set aside for one replica."""

    model_config = ConfigDict(frozen=True)

    role: str
    index: int
    cpu: float
    memory: int
    accelerator: str = ""
    devices: tuple[int, ...] = ()
    ports: dict[str, int] = {}

    @property
    def name(self) -> str:
        """`<role>-<index>`."""
        return f"{self.role}-{self.index}"


class Record(BaseModel):
    """What must be known of a workload to find it again; written before anything of it exists."""

    model_config = ConfigDict(frozen=True)

    workload: str
    kind: str
    topology: Topology
    grace: float
    uid: int | None = None
    rendezvous: int = 0
    replicas: tuple[Replica, ...]


_LAST_TIME = 4e9  # seconds: a step can write its exit file itself


class Ended(BaseModel):
    """The content of an exit file."""

    exit_code: int | None = Field(default=None, ge=-1024, le=1024)
    reason: str = ""
    message: str = ""
    values: dict[str, Any] = {}
    stored: bool = False
    started_at: float = Field(default=0, ge=0, le=_LAST_TIME, allow_inf_nan=False)
    ended_at: float = Field(default=0, ge=0, le=_LAST_TIME, allow_inf_nan=False)

    @field_validator("reason", "message", "values", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return outcome.plain(value)


def make_folders(folder: Path) -> None:
    """Blocking: make what attempts live in, and finish removals that were cut short."""
    for name in (_ATTEMPTS, _RECORDS):
        # Other users' steps pass through these folders but see no names in them.
        for path in passage(folder / name).glob(f"{_TRASH}*"):
            shutil.rmtree(path, ignore_errors=True)


def known(folder: Path) -> list[Attempt]:
    """Blocking: every workload of which there is a record."""
    names = sorted(path.name for path in (folder / _RECORDS).iterdir() if not path.name.startswith("."))
    return [Attempt(folder, name) for name in names]


class Attempt:
    """A workload's files below the back end's `folder`."""

    def __init__(self, folder: Path, workload: str) -> None:
        if "/" in workload or workload.startswith("."):
            raise Invalid(f"{workload!r} is not the name of a workload.", code="bad_name")
        self.workload = workload
        self.folder = folder / _ATTEMPTS / workload
        self.kept = folder / _RECORDS / workload
        self._ended: dict[str, Ended] = {}
        self._record: Record | None = None

    @property
    def record(self) -> Record | None:
        """What was reserved; None if nothing was yet, or if it cannot be read."""
        if self._record is None:
            document = files.read_json(str(self.kept / _RECORD))
            with contextlib.suppress(ValidationError):
                self._record = Record.model_validate(document) if document else None
        return self._record

    @property
    def damaged(self) -> bool:
        """Whether there is a record, but not one that can be read. Looked for before it is read: it may just come."""
        return os.path.lexists(self.kept / _RECORD) and self.record is None

    def reserve(self, record: Record) -> None:
        """Create the folders and write the record."""
        passage(self.kept)
        files.write_json(str(self.kept / _RECORD), record.model_dump(mode="json"), durable=False)
        passage(self.folder)
        self._record = record

    def root(self, replica: str) -> Path:
        """The folder of a replica."""
        return self.folder / replica

    def orders(self, replica: str) -> Path:
        """Where a replica's `shim.json` is: its user may read it but not change it."""
        return self.kept / f"shim-{replica}.json"

    def claim(self, replica: str) -> dict[str, Any] | None:
        """The claim of a replica's shim, if one was made; empty if a power cut or its user destroyed it.

        Our copy counts, but for the command, which the shim adds later.
        """
        kept = files.read_json(files.claim_path(str(self.kept), replica))
        path = files.claim_path(str(self.root(replica)), replica)
        found = files.read_json(path, self._owner)
        if kept is not None:
            return {**kept, "command_pid": (found or {}).get("command_pid") if self.record else None}
        destroyed = os.path.lexists(path) or (self.orders(replica).exists() and not self.root(replica).exists())
        return {} if found is None and destroyed else found

    def keep_claim(self, replica: str, claim: dict[str, Any] | None = None) -> None:
        """Copy the claim, as the shim told it or as it is found, to where its user cannot remove it."""
        path = files.claim_path(str(self.kept), replica)
        claim = claim or self.claim(replica)
        if claim and not os.path.lexists(path):
            files.write_json(path, claim, durable=False)

    def shim(self, replica: str) -> int | None:
        """The pid of the replica's shim if it lives."""
        claim = self.claim(replica)
        if claim is None or claim.get("boot_id") != process.boot_id():
            return None
        found = process.read(_number(claim.get("pid")))
        same = found is not None and found.alive and found.start_time == claim.get("start_time")
        # Its user can write the claim, and must not make us signal somebody else's process.
        same = same and found is not None and process.belongs_to(found.pid, self._owner)
        return found.pid if same and found is not None else None

    def ended(self, replica: str) -> Ended | None:
        """How a replica ended; None while it has not."""
        if replica not in self._ended:
            document = files.read_json(files.exit_path(str(self.kept), replica))
            if document is None:
                document = files.read_json(files.exit_path(str(self.root(replica)), replica), self._owner)
            if document is None:
                return None
            try:
                self._ended[replica] = Ended.model_validate(document)
            except ValidationError:
                self._ended[replica] = Ended(reason=Reason.SHIM_LOST, message="Its exit file cannot be read.")
        return self._ended[replica]

    @property
    def all_ended(self) -> bool:
        """Whether every replica has ended."""
        return self.record is not None and all(self.ended(replica.name) for replica in self.record.replicas)

    @property
    def failed(self) -> bool:
        """Whether one replica failed, so that the others of a job have no use any more."""
        if self.record is None:
            return False
        return any((end := self.ended(replica.name)) and end.reason for replica in self.record.replicas)

    def settle(self) -> list[str]:
        """Blocking: find replicas whose shim is gone without an exit file, end what survives of them, write that down.

        A replica counts as lost only when nothing of it survives; until then it is still running.
        """
        lost = []
        for replica in self.record.replicas if self.record else ():
            if self.ended(replica.name) or self.claim(replica.name) is None or self.shim(replica.name):
                continue
            if self.ended(replica.name) or self.kill_survivors(replica.name):
                continue
            removed = not self.root(replica.name).exists()
            reason, message = (Reason.OUTPUT_MISSING, _REMOVED) if removed else (Reason.SHIM_LOST, _LOST)
            end = Ended(reason=reason, message=message, ended_at=datetime.now(UTC).timestamp())
            files.write_json_once(files.exit_path(str(self.kept), replica.name), end.model_dump())
            lost.append(replica.name)
        return lost

    def kill_survivors(self, replica: str = "") -> list[int]:
        """Blocking: kill every process of a replica, or of all; returns those that do not die."""
        sessions = []
        for name in [replica] if replica else self._names:
            claim = self.claim(name) or {}
            if claim.get("boot_id") == process.boot_id():
                since = _number(claim.get("start_time"))
                numbers = (_number(claim.get("session")), _number(claim.get("command_pid")))
                sessions += [(number, since) for number in numbers if number > 1]
        return process.kill_survivors(self.workload, sessions, self._owner, replica)

    @property
    def clean(self) -> bool:
        """Whether each shim reported its end itself, which it does after it has ended everything below it."""
        ends = [self.ended(name) for name in self._names if self.claim(name) is not None]
        ended = all(end and _by_shim(end) for end in ends) and not any(self.shim(name) for name in self._names)
        return ended and not self.damaged

    def kill_shims(self) -> None:
        """Blocking: kill the shims, so that none of them starts a command any more."""
        for name in self._names:
            pid = self.shim(name)
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Blocking: take the folders away, the record last; what a kill half-way leaves is found by `make_folders`.

        A shim that was asked for by a control plane that died may claim until the folder has its new name, not later.
        """
        names = self._names
        self.folder = _set_aside(self.folder)
        if any(self.shim(name) for name in names):
            self.kill_shims()
            self.kill_survivors()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.kept = _set_aside(self.kept)
        shutil.rmtree(self.kept, ignore_errors=True)

    def observe(self) -> Observation:
        """The workload as its files show it now."""
        record = self.record
        if self.damaged:
            text = "Its record on this machine is damaged, so it cannot be told what became of it."
            return Observation(workload=self.workload, state=State.FAILED, reason=Reason.SHIM_LOST, message=text)
        if record is None:
            return Observation(workload=self.workload, state=State.STARTING)
        # Each end is read once: one that comes meanwhile is for the next look.
        found = {replica.name: self.ended(replica.name) for replica in record.replicas}
        seen = tuple(self._observe_replica(record, name, end) for name, end in found.items())
        ends = [end for end in found.values() if end]
        state, cause = _combine(seen, ends)
        starts = [end.started_at for end in ends if end.started_at]
        first = next((end for end in ends if end.stored), None)
        return Observation(
            workload=self.workload,
            state=state,
            reason=cause.reason if cause else Reason.NONE,
            message=cause.message if cause else "",
            exit_code=cause.exit_code if cause else (0 if state is State.DONE else None),
            replicas=seen,
            values=first.values if first and state is State.DONE else {},
            reported=state in (State.DONE, State.FAILED, State.STOPPED) and all(_by_shim(end) for end in ends),
            started_at=datetime.fromtimestamp(min(starts), UTC) if starts else None,
        )

    def _observe_replica(self, record: Record, name: str, end: Ended | None) -> ReplicaObservation:
        if end is None:
            state = State.STARTING if self.claim(name) is None else State.RUNNING
            return ReplicaObservation(name=name, state=state)
        reason, message = _reason(end.reason), end.message
        if record.kind == "service" and not reason:
            reason, message = Reason.EXIT_CODE, "The service ended by itself."
        state = State.DONE if not reason else State.STOPPED if reason is Reason.CANCELLED else State.FAILED
        return ReplicaObservation(name=name, state=state, reason=reason, message=message, exit_code=end.exit_code)

    @property
    def _names(self) -> list[str]:
        """Its replicas; of a damaged record those whose claims we kept."""
        if self.record:
            return [replica.name for replica in self.record.replicas]
        return [path.name.removeprefix("claim-") for path in self.kept.glob("claim-*")]

    @property
    def _owner(self) -> int | None:
        return self.record.uid if self.record else None


def _set_aside(path: Path) -> Path:
    """Give a folder, if it is there, the name of one that is being removed."""
    trash = path.with_name(f"{_TRASH}{path.name}-{time.time_ns()}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, trash)
    return trash


def _combine(seen: tuple[ReplicaObservation, ...], ends: list[Ended]) -> tuple[State, ReplicaObservation | None]:
    """The workload's state and the replica that explains it."""
    if len(ends) < len(seen):
        running = any(item.state is not State.STARTING for item in seen)
        return (State.RUNNING if running else State.STARTING), None
    by_time = [
        item for _, item in sorted(zip([end.ended_at for end in ends], seen, strict=True), key=lambda two: two[0])
    ]
    for state in (State.FAILED, State.STOPPED):
        cause = next((item for item in by_time if item.state is state), None)
        if cause:
            return state, cause
    return State.DONE, None


def _by_shim(end: Ended) -> bool:
    return end.reason != Reason.SHIM_LOST


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.SHIM_LOST


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
