"""Why a pod ended: whose fault it was, from what the cluster and the shim's last words say."""

from __future__ import annotations

import json
from typing import Any

from atelier_core.states import Reason, State
from atelier_core.workload import ReplicaObservation
from atelier_spawner.kubernetes.pods import INIT, MAIN
from atelier_spawner.kubernetes.status import Pod, Seen, condition, container_status
from atelier_spawner.local.attempt import Ended

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
_SENTENCES = {
    "DeadlineExceeded": "It ran longer than its time limit.",
    "Evicted": "Its node ran short of resources and evicted it.",
    "NodeLost": "Its node does not answer.",
}


def disruption(pod: Pod) -> tuple[Reason, str] | None:
    """Why the cluster takes the pod away, if it said so."""
    told = condition(pod, "DisruptionTarget")
    if told.get("status") != "True":
        return None
    return (
        _DISRUPTIONS.get(told.get("reason", ""), Reason.EVICTED),
        told.get("message") or f"The cluster took its pod away ({told.get('reason')}).",
    )


def ended(name: str, pod: Pod) -> Seen | None:
    """The replica if its pod has ended: the command's own end, or the pod's before it came to that."""
    status = pod["status"]
    phase = status.get("phase")
    main = container_status(pod, MAIN).get("state", {}).get("terminated")
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


def _why_main(pod: Pod, main: dict[str, Any], report: Ended | None) -> tuple[Reason, str]:
    own = pod["status"].get("reason", "")
    code = main["exitCode"]
    if own in _POD_REASONS:
        return _POD_REASONS[own], pod["status"].get("message") or _SENTENCES.get(own, own)
    if main.get("reason") == "OOMKilled":
        return Reason.OOM_KILLED, f"It used more memory than it may have ({_memory(pod)})."
    if lost := disruption(pod):
        return lost
    if report and report.reason:
        return _reason(report.reason), report.message
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


def _why_not_started(pod: Pod) -> tuple[Reason, str, Ended | None]:
    if lost := disruption(pod):
        return (*lost, None)
    init = _init_end(pod)
    if init:
        report = _report(init)
        if report and report.reason:
            return _reason(report.reason), report.message, report
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
    state = container_status(pod, INIT).get("state", {}).get("terminated")
    return state if state and state["exitCode"] != 0 else None


def disrupted(name: str, pod: Pod) -> Seen | None:
    """The cluster has decided to take it away, even if the node cannot confirm that any more."""
    lost = disruption(pod)
    if lost is None or "deletionTimestamp" not in pod["metadata"]:
        return None
    replica = ReplicaObservation(name=name, state=State.FAILED, reason=lost[0], message=lost[1])
    return Seen(replica)


def _report(terminated: dict[str, Any]) -> Ended | None:
    """What the shim left as the container's last words: JSON of its exit. A step can write them too: what is not as
    the shim writes it counts as nothing said."""
    text = (terminated.get("message") or "").strip()
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
        return Ended.model_validate(document, strict=True) if "exit_code" in document else None
    except (ValueError, RecursionError):  # pydantic's is a ValueError
        return None


def _exit_code(main: dict[str, Any], report: Ended | None) -> int | None:
    """The command's; the wrapper's differs where the command succeeded and the rest did not."""
    return report.exit_code if report else int(main["exitCode"])


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.EXIT_CODE


def _memory(pod: Pod) -> str:
    main = next(each for each in pod["spec"]["containers"] if each["name"] == MAIN)
    return str(main["resources"]["limits"]["memory"])
