"""What pod statuses mean, from statuses as real clusters report them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier_core.states import Cause, Reason, State, cause_of
from atelier_spawner.kubernetes.observe import observe
from atelier_spawner.kubernetes.reflector import Change
from atelier_spawner.kubernetes.status import Patience
from atelier_spawner.kubernetes.view import View

CREATED = "2026-01-01T00:00:00Z"
NOW = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
PATIENCE = Patience(pull=60)


def pod(
    name: str = "w1", *, index: int | None = None, of: str = "main=1", kind: str = "job", **status: Any
) -> dict[str, Any]:
    labels = {"atelier.dev/workload": "w1", "atelier.dev/role": "main", "atelier.dev/kind": kind}
    if index is not None:
        labels["batch.kubernetes.io/job-completion-index"] = str(index)
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": CREATED,
        "labels": labels,
        "annotations": {"atelier.dev/replicas": of},
    }
    if status.pop("deleted", False):
        metadata["deletionTimestamp"] = CREATED
    container = {"name": "main", "resources": {"limits": {"memory": "64Mi"}}}
    policy = "Always" if kind == "service" else "Never"
    return {
        "metadata": metadata,
        "spec": {"nodeName": "n1", "restartPolicy": policy, "containers": [container]},
        "status": {"phase": "Pending", **status},
    }


def main(state: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"name": "main", "state": state, **more}]


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    times = {"startedAt": CREATED, "finishedAt": "2026-01-01T00:00:05Z"}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


def scheduled(status: str = "True", **more: str) -> list[dict[str, str]]:
    both = ("PodScheduled", "Initialized")
    return [{"type": each, "status": status, "lastTransitionTime": CREATED, **more} for each in both]


def disrupted(reason: str) -> list[dict[str, str]]:
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": f"by {reason}"}]


REPORT = {"exit_code": 3, "reason": "ExitCode", "message": "It said no.", "stored": False, "values": {"a": 1}}
UNSTORED = {"exit_code": 0, "reason": "OutputMissing", "message": "No model.", "stored": False, "values": {}}
FORGED = (
    '{"exit_code": 1, "values": [1]}',
    '{"exit_code": 1, "values": "x"}',
    '{"exit_code": 99999999999999999999, "values": {}}',
    '{"exit_code": true}',
    '{"exit_code": 1, "reason": ["a"]}',
    '{"exit_code": 1, "stored": 1}',
    '{"exit_code": ' + "9" * 5000 + "}",
    '{"a":' * 100_000,
)
FAILURES = [
    ("exit code", {"containerStatuses": main(ended(3))}, Reason.EXIT_CODE, 3),
    ("own report", {"containerStatuses": main(ended(3, message=json.dumps(REPORT)))}, Reason.EXIT_CODE, 3),
    ("no output", {"containerStatuses": main(ended(1, message=json.dumps(UNSTORED)))}, Reason.OUTPUT_MISSING, 0),
    ("forged report", {"containerStatuses": main(ended(4, message='{"exit_code": "0"}'))}, Reason.EXIT_CODE, 4),
    *[
        (f"forged report {number}", {"containerStatuses": main(ended(4, message=text))}, Reason.EXIT_CODE, 4)
        for number, text in enumerate(FORGED)
    ],
    ("memory", {"containerStatuses": main(ended(137, "OOMKilled"))}, Reason.OOM_KILLED, 137),
    ("wrapper killed", {"containerStatuses": main(ended(137))}, Reason.SHIM_LOST, 137),
    ("pod deleted", {"containerStatuses": main(ended(143)), "deleted": True}, Reason.GONE, 143),
    ("cannot start", {"containerStatuses": main(ended(128, "StartError"))}, Reason.START_FAILED, 128),
    ("unknown", {"containerStatuses": main(ended(137, "ContainerStatusUnknown"))}, Reason.NODE_LOST, 137),
    ("evicted", {"phase": "Failed", "reason": "Evicted", "message": "disk"}, Reason.EVICTED, None),
    ("too long", {"phase": "Failed", "reason": "DeadlineExceeded"}, Reason.DEADLINE_EXCEEDED, None),
    ("refused", {"phase": "Failed", "reason": "OutOfcpu", "message": "no cpu"}, Reason.START_FAILED, None),
    (
        "taint",
        {"phase": "Running", "deleted": True, "conditions": disrupted("DeletionByTaintManager")},
        Reason.NODE_LOST,
        None,
    ),
    ("preempted", {"deleted": True, "conditions": disrupted("PreemptionByScheduler")}, Reason.EVICTED, None),
    ("collected", {"phase": "Failed", "conditions": disrupted("DeletionByPodGC")}, Reason.NODE_LOST, None),
    (
        "init",
        {
            "phase": "Failed",
            "initContainerStatuses": [{"name": "init", "state": ended(75, message="Another pod has it")}],
        },
        Reason.START_FAILED,
        None,
    ),
]


@pytest.mark.parametrize(
    ("status", "reason", "code"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_failures_have_reasons(status: dict[str, Any], reason: Reason, code: int | None) -> None:
    seen = observe([pod(**status)], PATIENCE, NOW)
    assert (seen.state, seen.reason, seen.exit_code) == (State.FAILED, reason, code)
    assert seen.message
    assert seen.replicas[0].node == "n1"


def test_the_shims_own_words_and_values_are_taken_over() -> None:
    seen = observe([pod(containerStatuses=main(ended(3, message=json.dumps(REPORT))))], PATIENCE, NOW)
    assert (seen.message, seen.values, seen.reported) == ("It said no.", {"a": 1}, True)


def test_a_command_that_survived_a_memory_kill_has_succeeded() -> None:
    seen = observe([pod(containerStatuses=main(ended(0, "OOMKilled")))], PATIENCE, NOW)
    assert (seen.state, seen.exit_code) == (State.DONE, 0)


PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
WAITING = [
    ("no room", {"conditions": scheduled("False", message="0/1 nodes")}, State.STARTING, Reason.UNSCHEDULABLE),
    ("pulling", {"conditions": scheduled(), "containerStatuses": main(PULLING)}, State.STARTING, Reason.PULLING_IMAGE),
    (
        "bad name",
        {"conditions": scheduled(), "containerStatuses": main({"waiting": {"reason": "InvalidImageName"}})},
        State.FAILED,
        Reason.IMAGE_PULL,
    ),
    (
        "config",
        {"conditions": scheduled(), "containerStatuses": main({"waiting": {"reason": "CreateContainerConfigError"}})},
        State.STARTING,
        Reason.START_FAILED,
    ),
    (
        "runs",
        {"phase": "Running", "containerStatuses": main({"running": {"startedAt": CREATED}})},
        State.RUNNING,
        Reason.NONE,
    ),
]


@pytest.mark.parametrize(
    ("status", "state", "reason"), [case[1:] for case in WAITING], ids=[case[0] for case in WAITING]
)
def test_what_may_come_right_is_not_a_failure_yet(status: dict[str, Any], state: State, reason: Reason) -> None:
    seen = observe([pod(**status)], PATIENCE, NOW)
    assert (seen.state, seen.reason) == (state, reason)


def test_patience_ends() -> None:
    late = NOW + timedelta(seconds=60)
    pulling = pod(conditions=scheduled(), containerStatuses=main(PULLING))
    assert observe([pulling], PATIENCE, late).reason is Reason.IMAGE_PULL
    waiting = pod(conditions=scheduled("False", message="0/1 nodes"))
    assert observe([waiting], PATIENCE, late).state is State.STARTING
    given_up = observe([waiting], Patience(unschedulable=60), late)
    assert (given_up.state, cause_of(given_up.reason)) == (State.FAILED, Cause.INFRASTRUCTURE)


def test_a_gang_is_as_far_as_its_last_replica() -> None:
    running = {"phase": "Running", "containerStatuses": main({"running": {"startedAt": CREATED}})}
    done = {"phase": "Succeeded", "containerStatuses": main(ended(0))}
    one = pod("a", index=0, of="main=2", **running)
    assert observe([one], PATIENCE, NOW).state is State.STARTING
    assert observe([one, pod("b", index=1, of="main=2", **done)], PATIENCE, NOW).state is State.RUNNING
    both = observe([pod("a", index=0, of="main=2", **done), pod("b", index=1, of="main=2", **done)], PATIENCE, NOW)
    assert (both.state, [each.name for each in both.replicas]) == (State.DONE, ["main-0", "main-1"])


def test_a_gang_fails_for_the_first_cause_not_for_its_consequences() -> None:
    cause = pod("b", index=1, of="main=2", phase="Failed", containerStatuses=main(ended(7)))
    consequence = pod("a", index=0, of="main=2", phase="Failed", deleted=True, containerStatuses=main(ended(143)))
    seen = observe([consequence, cause], PATIENCE, NOW)
    assert (seen.state, seen.reason, seen.exit_code) == (State.FAILED, Reason.EXIT_CODE, 7)


def test_a_replica_that_a_job_started_twice_is_seen_by_its_better_pod() -> None:
    running = {"phase": "Running", "containerStatuses": main({"running": {"startedAt": CREATED}})}
    refused = {"phase": "Failed", "initContainerStatuses": [{"name": "init", "state": ended(75)}]}
    seen = observe([pod("a", index=0, **running), pod("b", index=0, **refused)], PATIENCE, NOW)
    assert seen.state is State.RUNNING


def test_a_service_runs_when_it_answers_and_fails_when_it_keeps_crashing() -> None:
    up = main({"running": {"startedAt": CREATED}}, ready=True)
    assert observe([pod(kind="service", phase="Running", containerStatuses=up)], PATIENCE, NOW).state is State.RUNNING
    not_yet = main({"running": {"startedAt": CREATED}}, ready=False)
    assert (
        observe([pod(kind="service", phase="Running", containerStatuses=not_yet)], PATIENCE, NOW).state
        is State.STARTING
    )
    backing_off = {"waiting": {"reason": "CrashLoopBackOff"}}
    crashed = main(backing_off, restartCount=3, lastState=ended(2))
    seen = observe(
        [pod(kind="service", phase="Running", conditions=scheduled(), containerStatuses=crashed)], PATIENCE, NOW
    )
    assert (seen.state, seen.reason) == (State.FAILED, Reason.EXIT_CODE)


@pytest.mark.parametrize(
    ("end", "reason"), [(ended(2), Reason.EXIT_CODE), (ended(137, "OOMKilled"), Reason.OOM_KILLED)]
)
def test_a_service_that_just_ended_says_so(end: dict[str, Any], reason: Reason) -> None:
    """It was once shown as pulling its image until it was started again."""
    for status in (main(end, restartCount=0), main({"waiting": {}}, restartCount=1, lastState=end)):
        down = pod(kind="service", phase="Running", conditions=scheduled(), containerStatuses=status)
        seen = observe([down], PATIENCE, NOW)
        assert (seen.state, seen.reason) == (State.STARTING, reason)
        assert "1 times" in seen.message


def node(ready: str, since: datetime) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": since.isoformat()}
    return {"metadata": {"name": "n1"}, "status": {"conditions": [condition]}}


RUNNING = {"phase": "Running", "containerStatuses": main({"running": {"startedAt": CREATED}})}


class TestView:
    """Changes in, observations out."""

    def test_the_same_is_not_said_twice(self) -> None:
        view = View(PATIENCE, set())
        assert view.take(Change(pod(**RUNNING)))
        assert view.take(Change(pod(**RUNNING))) is None

    def test_a_pod_that_vanishes_is_gone(self) -> None:
        view = View(PATIENCE, set())
        view.take(Change(pod(**RUNNING)))
        seen = view.take(Change(pod(**RUNNING), gone=True))
        assert seen is not None
        assert (seen.state, seen.reason) == (State.FAILED, Reason.GONE)

    def test_a_pod_that_we_stopped_is_stopped(self) -> None:
        stopping = {"w1"}
        view = View(PATIENCE, stopping)
        view.take(Change(pod(**RUNNING)))
        seen = view.take(Change(pod(**RUNNING), gone=True))
        assert seen is not None
        assert (seen.state, seen.reason) == (State.STOPPED, Reason.CANCELLED)
        assert not stopping

    def test_what_fails_because_we_stop_it_is_stopped_not_failed(self) -> None:
        view = View(PATIENCE, {"w1"})
        view.take(Change(pod(**RUNNING)))
        killed = pod(phase="Failed", deleted=True, containerStatuses=main(ended(143)))
        assert view.take(Change(killed)) is None
        seen = view.take(Change(killed, gone=True))
        assert seen is not None
        assert seen.state is State.STOPPED

    def test_the_end_of_what_had_ended_is_no_news(self) -> None:
        view = View(PATIENCE, set())
        done = pod(phase="Succeeded", containerStatuses=main(ended(0)))
        assert view.take(Change(done))
        assert view.take(Change(done, gone=True)) is None

    def test_a_node_that_does_not_answer_takes_its_pods_with_it(self) -> None:
        view = View(Patience(node=30), set())
        view.take(Change(pod(**RUNNING)))
        view.take_node(Change(node("Unknown", since=datetime.now(UTC) - timedelta(seconds=20))))
        assert list(view.tick()) == []
        view.take_node(Change(node("Unknown", since=datetime.now(UTC) - timedelta(seconds=31))))
        (seen,) = view.tick()
        assert (seen.state, seen.reason) == (State.FAILED, Reason.NODE_LOST)

    def test_a_node_that_answers_again_in_time_is_forgiven(self) -> None:
        view = View(Patience(node=0), set())
        view.take(Change(pod(**RUNNING)))
        view.take_node(Change(node("Unknown", since=NOW)))
        view.take_node(Change(node("True", since=NOW)))
        assert list(view.tick()) == []

    def test_a_service_waits_for_its_next_pod(self) -> None:
        view = View(PATIENCE, set())
        up = {"kind": "service", "phase": "Running", "containerStatuses": main({"running": {}}, ready=True)}
        assert view.take(Change(pod(**up)))
        seen = view.take(Change(pod(**up), gone=True))
        assert seen is not None
        assert seen.state is State.STARTING
