"""What a pod's status means: pure functions from what the API says to states and reasons."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atelier_core.states import Reason, State
from atelier_core.workload import Observation, ReplicaObservation
from atelier_spawner.kubernetes.labels import INDEX, KIND, REPLICAS, ROLE, WORKLOAD
from atelier_spawner.kubernetes.pods import INIT, MAIN, SIDECAR

Pod = dict[str, Any]

_PULL = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
    }
)
_CONTAINER_ERRORS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PostStartHookError",
    }
)
_DISRUPTIONS = {
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
    "PreemptionByScheduler": Reason.EVICTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
}
_POD_REASONS = {
    "Evicted": Reason.EVICTED,
    "Preempting": Reason.EVICTED,
    "DeadlineExceeded": Reason.DEADLINE_EXCEEDED,
    "NodeLost": Reason.NODE_LOST,
    "NodeShutdown": Reason.NODE_LOST,
    "Terminated": Reason.NODE_LOST,
    "Shutdown": Reason.NODE_LOST,
}
_KILLED = frozenset({137, 143})
_CRASHES = 3


@dataclass(frozen=True)
class Patience:
    """How long what may still come right is waited for, in seconds; `unschedulable` 0 means for ever."""

    pull: float = 120
    unschedulable: float = 0


@dataclass(frozen=True)
class Seen:
    """One pod as understood: the replica, and what only the workload as a whole needs."""

    replica: ReplicaObservation
    started_at: datetime | None = None
    ended_at: datetime | None = None
    report: dict[str, Any] | None = None
    deleted: bool = False


def observe(pods: Iterable[Pod], patience: Patience, now: datetime) -> Observation:
    """The workload to which `pods` (at least one) belong."""
    pods = list(pods)
    some = pods[0]["metadata"]
    replicas = _by_replica(pods, patience, now)
    for name in expected(some):
        replicas.setdefault(name, Seen(ReplicaObservation(name=name, state=State.STARTING)))
    seen = list(replicas.values())
    state, decisive = _whole(seen, service=some["labels"].get(KIND) == "service")
    report = decisive.report or {}
    started = [each.started_at for each in seen if each.started_at]
    return Observation(
        workload=some["labels"][WORKLOAD],
        state=state,
        reason=decisive.replica.reason,
        message=decisive.replica.message,
        exit_code=decisive.replica.exit_code if state in (State.DONE, State.FAILED) else None,
        replicas=tuple(each.replica for each in sorted(seen, key=lambda each: _natural(each.replica.name))),
        values=report.get("values") or {},
        reported="stored" in report,
        started_at=min(started) if started else None,
        observed_at=now,
    )


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


def observe_pod(name: str, pod: Pod, patience: Patience, now: datetime) -> Seen:
    """One pod as replica `name`."""
    found = _ended(name, pod) or _disrupted(name, pod) or _going(name, pod, patience, now)
    return Seen(
        replica=found.replica.model_copy(update={"node": pod["spec"].get("nodeName", "")}),
        started_at=_time(_main_times(pod).get("startedAt")),
        ended_at=_time(_main_times(pod).get("finishedAt")),
        report=found.report,
        deleted="deletionTimestamp" in pod["metadata"],
    )


def gone(before: Observation, pod: Pod, now: datetime) -> Observation:
    """A pod that vanished before it ended: somebody deleted it, or its node went away."""
    reason, message = disruption(pod) or (Reason.GONE, "Its pod was deleted by somebody else.")
    return before.model_copy(
        update={"state": State.FAILED, "reason": reason, "message": message, "exit_code": None, "observed_at": now}
    )


def disruption(pod: Pod) -> tuple[Reason, str] | None:
    """Why the cluster takes the pod away, if it said so."""
    condition = _condition(pod, "DisruptionTarget")
    if condition.get("status") != "True":
        return None
    return (
        _DISRUPTIONS.get(condition.get("reason", ""), Reason.EVICTED),
        condition.get("message") or f"The cluster took its pod away ({condition.get('reason')}).",
    )


def _by_replica(pods: list[Pod], patience: Patience, now: datetime) -> dict[str, Seen]:
    """The best of a replica's pods: a Job may have started one twice, and a Deployment replaces them."""
    order = [State.DONE, State.RUNNING, State.STARTING, State.STOPPED, State.FAILED]
    best: dict[str, Seen] = {}
    for name, own in replica_names(pods).items():
        seen = [observe_pod(name, pod, patience, now) for pod in own]
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
    return State.DONE, next((each for each in seen if each.report), seen[0])


def _ended(name: str, pod: Pod) -> Seen | None:
    status = pod["status"]
    phase = status.get("phase")
    main = _container(pod, MAIN).get("state", {}).get("terminated")
    if main and pod["spec"].get("restartPolicy") != "Always":
        if main["exitCode"] == 0:
            return Seen(ReplicaObservation(name=name, state=State.DONE, exit_code=0), report=_report(main))
        return _failed_main(name, pod, main)
    if phase == "Succeeded":
        return Seen(ReplicaObservation(name=name, state=State.DONE, exit_code=0))
    if phase == "Failed":
        return _failed_pod(name, pod)
    return None


def _failed_main(name: str, pod: Pod, main: dict[str, Any]) -> Seen:
    """The command or the shim around it ended badly; the shim's own words win where it could still say them."""
    report = _report(main)
    reason, message = _why_main(pod, main, report)
    replica = ReplicaObservation(
        name=name, state=State.FAILED, reason=reason, message=message, exit_code=_exit_code(main, report)
    )
    return Seen(replica, report=report)


def _why_main(pod: Pod, main: dict[str, Any], report: dict[str, Any] | None) -> tuple[Reason, str]:
    own = pod["status"].get("reason", "")
    code = main["exitCode"]
    if own in _POD_REASONS:
        return _POD_REASONS[own], pod["status"].get("message") or _SENTENCES.get(own, own)
    if main.get("reason") == "OOMKilled":
        return Reason.OOM_KILLED, f"It used more memory than it may have ({_memory(pod)})."
    if lost := disruption(pod):
        return lost
    if report and report.get("reason"):
        return _reason(report["reason"]), str(report.get("message", ""))
    if main.get("reason") == "ContainerStatusUnknown":
        return Reason.NODE_LOST, "Its node lost track of it."
    if main.get("reason") in ("StartError", "ContainerCannotRun"):
        return Reason.START_FAILED, f"The container could not be started: {main.get('message', '')}"
    if code in _KILLED and not report:
        if "deletionTimestamp" in pod["metadata"]:
            return Reason.GONE, "Its pod was deleted."
        return Reason.SHIM_LOST, "The shim that carried it was killed."
    return Reason.EXIT_CODE, f"The command ended with exit code {code}."


def _failed_pod(name: str, pod: Pod) -> Seen:
    """The pod failed without its main container having run to an end."""
    status = pod["status"]
    own = status.get("reason", "")
    reason, message = _POD_REASONS.get(own), status.get("message") or _SENTENCES.get(own, own)
    report = None
    if reason is None:
        reason, message, report = _why_not_started(pod)
    replica = ReplicaObservation(name=name, state=State.FAILED, reason=reason, message=message)
    return Seen(replica, report=report)


def _why_not_started(pod: Pod) -> tuple[Reason, str, dict[str, Any] | None]:
    if lost := disruption(pod):
        return (*lost, None)
    init = _init_end(pod)
    if init:
        report = _report(init)
        if report and report.get("reason"):
            return _reason(report["reason"]), str(report.get("message", "")), report
        if init.get("reason") == "OOMKilled":
            return Reason.START_FAILED, "Preparing the step needed more memory than `sidecar_memory` allows.", None
        words = (init.get("message") or "").strip().splitlines()
        return Reason.START_FAILED, f"Preparing the step failed: {words[-1] if words else init['exitCode']}", None
    own = pod["status"].get("reason", "")
    return (
        Reason.START_FAILED,
        pod["status"].get("message") or f"The node refused the pod ({own or 'no reason'}).",
        None,
    )


def _init_end(pod: Pod) -> dict[str, Any] | None:
    state = _container(pod, INIT).get("state", {}).get("terminated")
    return state if state and state["exitCode"] != 0 else None


def _disrupted(name: str, pod: Pod) -> Seen | None:
    """The cluster has decided to take it away, even if the node cannot confirm that any more."""
    lost = disruption(pod)
    if lost is None or "deletionTimestamp" not in pod["metadata"]:
        return None
    replica = ReplicaObservation(name=name, state=State.FAILED, reason=lost[0], message=lost[1])
    return Seen(replica)


def _going(name: str, pod: Pod, patience: Patience, now: datetime) -> Seen:
    main = _container(pod, MAIN)
    state = main.get("state", {})
    if "running" in state and _serves(pod, main):
        return Seen(ReplicaObservation(name=name, state=State.RUNNING))
    outcome, reason, message = _why_waiting(pod, state, patience, now)
    return Seen(ReplicaObservation(name=name, state=outcome, reason=reason, message=message))


def _serves(pod: Pod, main: dict[str, Any]) -> bool:
    return pod["metadata"]["labels"].get(KIND) != "service" or bool(main.get("ready"))


def _why_waiting(pod: Pod, state: dict[str, Any], patience: Patience, now: datetime) -> tuple[State, Reason, str]:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _unscheduled(scheduled, patience, now)
    if "running" in state:
        return State.STARTING, Reason.NONE, "It runs, but does not answer on its port yet."
    for name in (INIT, SIDECAR, MAIN):
        waiting = _container(pod, name).get("state", {}).get("waiting") or {}
        found = _stuck(pod, name, waiting, patience, now)
        if found:
            return found
    if _container(pod, INIT).get("state", {}).get("running"):
        return State.STARTING, Reason.NONE, "Fetching code and inputs."
    if _condition(pod, "Initialized").get("status") == "True":
        return State.STARTING, Reason.PULLING_IMAGE, "Pulling the image, or starting its container."
    return State.STARTING, Reason.NONE, ""


def _unscheduled(condition: dict[str, Any], patience: Patience, now: datetime) -> tuple[State, Reason, str]:
    message = condition.get("message", "")
    since = _time(condition.get("lastTransitionTime"))
    waited = (now - since).total_seconds() if since else 0
    if patience.unschedulable and waited >= patience.unschedulable:
        return State.FAILED, Reason.START_FAILED, f"No node had room for {int(waited)} s: {message}"
    return State.STARTING, Reason.UNSCHEDULABLE, message


def _stuck(
    pod: Pod, name: str, waiting: dict[str, Any], patience: Patience, now: datetime
) -> tuple[State, Reason, str] | None:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason == "CrashLoopBackOff":
        return _crashing(pod, name)
    if reason not in _PULL | _CONTAINER_ERRORS:
        return None
    turn = "Initialized" if name == MAIN else "PodScheduled"
    since = _time(_condition(pod, turn).get("lastTransitionTime"))
    waited = (now - since).total_seconds() if since else 0
    given_up = waited >= patience.pull or reason == "InvalidImageName"
    if reason in _CONTAINER_ERRORS:
        return (State.FAILED if given_up else State.STARTING), Reason.START_FAILED, f"{reason}: {message}"
    if not given_up:
        return State.STARTING, Reason.PULLING_IMAGE, message or reason
    if name != MAIN:
        return State.FAILED, Reason.START_FAILED, f"The runtime image cannot be pulled: {message or reason}"
    return State.FAILED, Reason.IMAGE_PULL, f"The image cannot be pulled: {message or reason}"


def _crashing(pod: Pod, name: str) -> tuple[State, Reason, str]:
    """A service that ends again and again is down; its replica is shown as failed after a few tries."""
    status = _container(pod, name)
    last = status.get("lastState", {}).get("terminated") or {}
    count = status.get("restartCount", 0)
    code = last.get("exitCode")
    state = State.FAILED if count >= _CRASHES else State.STARTING
    if last.get("reason") == "OOMKilled":
        return state, Reason.OOM_KILLED, f"It used more memory than it may have, {count} times."
    reason = Reason.EXIT_CODE if name == MAIN else Reason.SHIM_LOST
    return state, reason, f"It ended {count} times, last with exit code {code}."


def _report(terminated: dict[str, Any]) -> dict[str, Any] | None:
    """What the shim left as the container's last words: JSON of its exit."""
    text = (terminated.get("message") or "").strip()
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("exit_code", ""), int | None):
        return None
    return document


def _exit_code(main: dict[str, Any], report: dict[str, Any] | None) -> int | None:
    """The command's; the wrapper's differs where the command succeeded and the rest did not."""
    return report["exit_code"] if report else int(main["exitCode"])


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.EXIT_CODE


def _container(pod: Pod, name: str) -> dict[str, Any]:
    status = pod["status"]
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if each["name"] == name:
            return dict(each)
    return {}


def _condition(pod: Pod, kind: str) -> dict[str, Any]:
    conditions = pod["status"].get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _main_times(pod: Pod) -> dict[str, Any]:
    state = _container(pod, MAIN).get("state", {})
    return dict(state.get("terminated") or state.get("running") or {})


def _memory(pod: Pod) -> str:
    main = next(each for each in pod["spec"]["containers"] if each["name"] == MAIN)
    return str(main["resources"]["limits"]["memory"])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _natural(name: str) -> tuple[str, int]:
    role, _, index = name.rpartition("-")
    return role, int(index)


_SENTENCES = {
    "DeadlineExceeded": "It ran longer than its time limit.",
    "Evicted": "Its node ran short of resources and evicted it.",
    "NodeLost": "Its node does not answer.",
}
