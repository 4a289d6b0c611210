"""Why a pod does not run yet, and when waiting for it is given up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from atelier_core.states import Reason, State
from atelier_core.workload import ReplicaObservation
from atelier_spawner.kubernetes.labels import KIND
from atelier_spawner.kubernetes.pods import INIT, MAIN, SIDECAR
from atelier_spawner.kubernetes.status import Lost, Patience, Pod, Seen, condition, container_status, moment

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
_CRASHES = 3


def unheard(name: str, pod: Pod, patience: Patience, now: datetime, lost: Lost) -> Seen | None:
    """Its node does not answer. A cluster whose nodes are all lost takes no pod away, so nothing else tells."""
    since = lost.get(pod["spec"].get("nodeName", ""))
    if since is None or (now - since).total_seconds() < patience.node:
        return None
    message = f"Its node {pod['spec']['nodeName']} has not answered since {since:%H:%M:%S} UTC."
    return Seen(ReplicaObservation(name=name, state=State.FAILED, reason=Reason.NODE_LOST, message=message))


def going(name: str, pod: Pod, patience: Patience, now: datetime) -> Seen:
    """The replica while it starts or runs."""
    main = container_status(pod, MAIN)
    state = main.get("state", {})
    if "running" in state and _serves(pod, main):
        return Seen(ReplicaObservation(name=name, state=State.RUNNING))
    outcome, reason, message = _why_waiting(pod, state, patience, now)
    return Seen(ReplicaObservation(name=name, state=outcome, reason=reason, message=message))


def _serves(pod: Pod, main: dict[str, Any]) -> bool:
    return pod["metadata"]["labels"].get(KIND) != "service" or bool(main.get("ready"))


def _why_waiting(pod: Pod, state: dict[str, Any], patience: Patience, now: datetime) -> tuple[State, Reason, str]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _unscheduled(scheduled, patience, now)
    if "running" in state:
        return State.STARTING, Reason.NONE, "It runs, but does not answer on its port yet."
    for name in (INIT, SIDECAR, MAIN):
        waiting = container_status(pod, name).get("state", {}).get("waiting") or {}
        found = _stuck(pod, name, waiting, patience, now)
        if found:
            return found
    if container_status(pod, INIT).get("state", {}).get("running"):
        return State.STARTING, Reason.NONE, "Fetching code and inputs."
    if _last_end(pod, MAIN):
        return _crashing(pod, MAIN)
    if condition(pod, "Initialized").get("status") == "True":
        return State.STARTING, Reason.PULLING_IMAGE, "Pulling the image, or starting its container."
    return State.STARTING, Reason.NONE, ""


def _unscheduled(condition: dict[str, Any], patience: Patience, now: datetime) -> tuple[State, Reason, str]:
    message = condition.get("message", "")
    since = moment(condition.get("lastTransitionTime"))
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
    since = moment(condition(pod, turn).get("lastTransitionTime"))
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
    status = container_status(pod, name)
    last = _last_end(pod, name)
    again = status.get("restartCount", 0)
    count = again + ("terminated" in status.get("state", {}))  # it ended, and is about to be started again
    code = last.get("exitCode")
    state = State.FAILED if again >= _CRASHES else State.STARTING
    if last.get("reason") == "OOMKilled":
        return state, Reason.OOM_KILLED, f"It used more memory than it may have, {count} times."
    reason = Reason.EXIT_CODE if name == MAIN else Reason.SHIM_LOST
    return state, reason, f"It ended {count} times, last with exit code {code}."


def _last_end(pod: Pod, name: str) -> dict[str, Any]:
    status = container_status(pod, name)
    return status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
