"""What is known of each workload from the changes of its pods; says when that differs from what was said before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from atelier_core.states import Reason, State
from atelier_core.workload import Observation, ReplicaObservation
from atelier_spawner.kubernetes.labels import KIND, WORKLOAD
from atelier_spawner.kubernetes.observe import expected, gone, lost_nodes, observe, understood
from atelier_spawner.kubernetes.reflector import Change
from atelier_spawner.kubernetes.status import Lost, Patience


class View:
    """Turns changes of pods into observations of workloads. `stopping` are workloads whose end we asked for."""

    def __init__(self, patience: Patience, stopping: set[str]) -> None:
        self._patience = patience
        self._stopping = stopping
        self._pods: dict[str, dict[str, dict[str, Any]]] = {}
        self._lost: Lost = {}
        self._said: dict[str, Observation] = {}

    def take(self, change: Change) -> Observation | None:
        """The workload's new observation, or None if nothing that matters changed."""
        metadata = change.item["metadata"]
        workload = metadata["labels"][WORKLOAD]
        pods = self._pods.setdefault(workload, {})
        if not change.gone:
            pods[metadata["uid"]] = change.item
            return self._say(self._asked(self._observe(pods)))
        pods.pop(metadata["uid"], None)
        found = self._after_loss(workload, change.item)
        if not pods:
            del self._pods[workload]
        answer = self._say(found) if found else None
        if workload not in self._pods:
            self._said.pop(workload, None)
            self._stopping.discard(workload)
        return answer

    def take_node(self, change: Change) -> None:
        """Remember since when a node does not answer; `tick` tells what that means for its pods."""
        self._lost.pop(change.item["metadata"]["name"], None)
        if not change.gone:  # pods of a node that was deleted are deleted too
            self._lost.update(lost_nodes([change.item]))

    def tick(self) -> Iterator[Observation]:
        """Observations that changed because time went by: an image, or a node, that does not come."""
        for workload, pods in list(self._pods.items()):
            said = self._said.get(workload)
            if said and not said.final and pods and (said.state is State.STARTING or self._lost):
                found = self._say(self._asked(self._observe(pods)))
                if found:
                    yield found

    def _observe(self, pods: dict[str, dict[str, Any]]) -> Observation:
        return observe(pods.values(), self._patience, _now(), self._lost)

    def _after_loss(self, workload: str, pod: dict[str, Any]) -> Observation | None:
        rest = self._pods[workload]
        before = self._said.get(workload) or observe([pod], self._patience, _now())
        if before.final:
            return None
        if workload in self._stopping:
            return None if rest else _stopped(before)
        final = observe([pod], self._patience, _now())
        if final.final and final.state is State.FAILED:
            return final
        if pod["metadata"]["labels"].get(KIND) == "service":
            return self._observe(rest) if rest else understood(pod, lambda: _waiting(workload, pod))
        return gone(before, pod, _now())

    def _asked(self, found: Observation) -> Observation:
        """What fails while we stop it does so because we do; its end is told when all its pods are gone."""
        if found.workload not in self._stopping or found.state is not State.FAILED:
            return found
        return self._said.get(found.workload, found)

    def _say(self, found: Observation) -> Observation | None:
        said = self._said.get(found.workload)
        if said and (said.final or _same(said, found)):
            return None
        self._said[found.workload] = found
        return found


def _same(one: Observation, other: Observation) -> bool:
    return one.model_copy(update={"observed_at": other.observed_at}) == other


def _stopped(before: Observation) -> Observation:
    return before.model_copy(
        update={"state": State.STOPPED, "reason": Reason.CANCELLED, "message": "", "observed_at": _now()}
    )


def _waiting(workload: str, pod: dict[str, Any]) -> Observation:
    replicas = [ReplicaObservation(name=name, state=State.STARTING) for name in expected(pod["metadata"])]
    return Observation(workload=workload, state=State.STARTING, replicas=tuple(replicas), observed_at=_now())


def _now() -> datetime:
    return datetime.now(UTC)
