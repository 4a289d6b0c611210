"""What a pod's status means: pure functions from what the API says to states and reasons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from atelier_core.states import Reason, State
from atelier_core.workload import Observation, ReplicaObservation
from atelier_spawner.kubernetes.ends import disrupted, disruption, ended
from atelier_spawner.kubernetes.labels import INDEX, KIND, REPLICAS, ROLE, WORKLOAD
from atelier_spawner.kubernetes.pods import MAIN
from atelier_spawner.kubernetes.status import Lost, Patience, Pod, Seen, condition, container_status, moment
from atelier_spawner.kubernetes.waits import going, unheard

log = logging.getLogger(__name__)

_UNREADABLE = "What the cluster says of it cannot be understood, so it cannot be told what became of it."


def observe(pods: Iterable[Pod], patience: Patience, now: datetime, lost: Lost | None = None) -> Observation:
    """The workload to which `pods` (at least one) belong; `lost` are nodes that do not answer."""
    pods = list(pods)
    return understood(pods[0], lambda: _observe(pods, patience, now, lost or {}))


def understood(item: dict[str, Any], look: Callable[[], Observation]) -> Observation:
    """What `look` makes of the workload of `item`. One that nobody understands must not hide all the others."""
    workload = item["metadata"]["labels"][WORKLOAD]
    try:
        return look()
    except Exception:
        log.exception("The workload %s cannot be understood", workload)
        return Observation(workload=workload, state=State.FAILED, reason=Reason.SHIM_LOST, message=_UNREADABLE)


def expected(metadata: dict[str, Any]) -> list[str]:
    """The names of all replicas, from the annotation that every runner and pod carries."""
    text = (metadata.get("annotations") or {}).get(REPLICAS, "")
    counts = [part.partition("=") for part in text.split(",") if part]
    return [f"{role}-{index}" for role, _, count in counts for index in range(int(count))]


def replica_names(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """Pods by replica: indexed where a Job numbers them, else numbered by name within their role."""
    named: dict[str, list[Pod]] = {}
    unnumbered: dict[str, int] = {}
    for pod in sorted(pods, key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"])):
        labels = pod["metadata"]["labels"]
        role = labels.get(ROLE, "main")
        index = labels.get(INDEX)
        if index is None and labels.get(KIND) == "service":
            index = str(unnumbered.get(role, 0))
            unnumbered[role] = int(index) + 1
        named.setdefault(f"{role}-{index or 0}", []).append(pod)
    return named


def lost_nodes(nodes: Iterable[dict[str, Any]]) -> Lost:
    """Which of `nodes` do not answer, and since when."""
    found: Lost = {}
    for node in nodes:
        ready = condition(node, "Ready")
        since = moment(ready.get("lastTransitionTime"))
        if ready.get("status") != "True" and since:
            found[node["metadata"]["name"]] = since
    return found


def _observe(pods: list[Pod], patience: Patience, now: datetime, lost: Lost) -> Observation:
    some = pods[0]["metadata"]
    replicas = _by_replica(pods, patience, now, lost)
    for name in expected(some):
        replicas.setdefault(name, Seen(ReplicaObservation(name=name, state=State.STARTING)))
    seen = list(replicas.values())
    state, decisive = _whole(seen, service=some["labels"].get(KIND) == "service")
    report = decisive.report
    started = [each.started_at for each in seen if each.started_at]
    return Observation(
        workload=some["labels"][WORKLOAD],
        state=state,
        reason=decisive.replica.reason,
        message=decisive.replica.message,
        exit_code=decisive.replica.exit_code if state in (State.DONE, State.FAILED) else None,
        replicas=tuple(each.replica for each in sorted(seen, key=lambda each: _natural(each.replica.name))),
        values=report.values if report else {},
        reported=report is not None and "stored" in report.model_fields_set,
        started_at=min(started) if started else None,
        observed_at=now,
    )


def observe_pod(name: str, pod: Pod, patience: Patience, now: datetime, lost: Lost) -> Seen:
    """One pod as replica `name`."""
    found = ended(name, pod) or disrupted(name, pod) or unheard(name, pod, patience, now, lost)
    found = found or going(name, pod, patience, now)
    return Seen(
        replica=found.replica.model_copy(update={"node": pod["spec"].get("nodeName", "")}),
        started_at=moment(_main_times(pod).get("startedAt")),
        ended_at=moment(_main_times(pod).get("finishedAt")),
        report=found.report,
        deleted="deletionTimestamp" in pod["metadata"],
    )


def gone(before: Observation, pod: Pod, now: datetime) -> Observation:
    """A pod that vanished before it ended: somebody deleted it, or its node went away."""
    reason, message = disruption(pod) or (Reason.GONE, "Its pod was deleted by somebody else.")
    return before.model_copy(
        update={"state": State.FAILED, "reason": reason, "message": message, "exit_code": None, "observed_at": now}
    )


def _by_replica(pods: list[Pod], patience: Patience, now: datetime, lost: Lost) -> dict[str, Seen]:
    """The best of a replica's pods: a Job may have started one twice, and a Deployment replaces them."""
    order = [State.DONE, State.RUNNING, State.STARTING, State.STOPPED, State.FAILED]
    best: dict[str, Seen] = {}
    for name, own in replica_names(pods).items():
        seen = [observe_pod(name, pod, patience, now, lost) for pod in own]
        best[name] = min(seen, key=lambda each: order.index(each.replica.state))
    return best


def _whole(seen: list[Seen], service: bool) -> tuple[State, Seen]:
    """The workload's state and the replica that decided it."""
    by_state = {state: [each for each in seen if each.replica.state is state] for state in State}
    far_future = datetime.max.replace(tzinfo=UTC)
    running = by_state[State.RUNNING]
    if service and running:
        return State.RUNNING, running[0]
    if failed := by_state[State.FAILED]:
        # Replicas that were deleted because another one failed are a consequence, not the cause.
        return State.FAILED, min(failed, key=lambda each: (each.deleted, each.ended_at or far_future))
    starting = by_state[State.STARTING]
    if starting:
        return State.STARTING, next(
            (each for each in starting if each.replica.reason or each.replica.message), starting[0]
        )
    if running:
        return State.RUNNING, running[0]
    return State.DONE, max(seen, key=lambda each: (bool(each.report), bool(each.report and each.report.values)))


def _main_times(pod: Pod) -> dict[str, Any]:
    state = container_status(pod, MAIN).get("state", {})
    return dict(state.get("terminated") or state.get("running") or {})


def _natural(name: str) -> tuple[str, int]:
    role, _, index = name.rpartition("-")
    return role, int(index)
