"""Reading a pod's status: its parts, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from atelier_core.workload import ReplicaObservation
from atelier_spawner.local.attempt import Ended

Pod = dict[str, Any]
Lost = dict[str, datetime]
"""Nodes that do not answer, and since when."""


@dataclass(frozen=True)
class Patience:
    """How long what may still come right is waited for, in seconds; `unschedulable` 0 means for ever."""

    pull: float = 120
    unschedulable: float = 0
    node: float = 30


@dataclass(frozen=True)
class Seen:
    """One pod as understood: the replica, and what only the workload as a whole needs."""

    replica: ReplicaObservation
    started_at: datetime | None = None
    ended_at: datetime | None = None
    report: Ended | None = None
    deleted: bool = False


def container_status(pod: Pod, name: str) -> dict[str, Any]:
    """The status of a container of any kind; empty before there is one."""
    status = pod["status"]
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if each["name"] == name:
            return dict(each)
    return {}


def condition(item: Pod, kind: str) -> dict[str, Any]:
    """A condition of a pod or node; empty if it is not told."""
    conditions = item["status"].get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def moment(text: str | None) -> datetime | None:
    """A time of the API."""
    return datetime.fromisoformat(text) if text else None
