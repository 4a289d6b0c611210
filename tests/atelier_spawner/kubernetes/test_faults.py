"""Parts of the cluster die while work runs: everything ends right and nothing starts twice.

Commands post a mark that the platform knows nothing of; its count says how often they really ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from atelier_core.errors import BackendUnavailable, QuotaExceeded
from atelier_core.states import Cause, Reason, State, cause_of
from atelier_core.workload import Handle, Observation, Role, Topology, WorkloadSpec
from atelier_hub.engine.following import Follower
from atelier_hub.engine.store import Attempt, NewAttempt, draft_attempt
from atelier_spawner.kubernetes import diagnosis
from atelier_spawner.kubernetes.api import PODS, Api, ApiError, Object
from atelier_spawner.kubernetes.backend import KubernetesBackend
from atelier_spawner.kubernetes.starting import Starter
from tests.atelier_spawner.kubernetes.conftest import Rig
from tests.atelier_spawner.kubernetes.test_cluster import SHELL, final, until
from tests.harness.cluster.settings import CannotRun

pytestmark = pytest.mark.cluster

OUTAGE = 20  # a whole minute is tests/faults/test_cluster.py's


def marking(rig: Rig, then: str = "", **changes: Any) -> WorkloadSpec:
    """A step that marks its start, does `then`, and marks its end."""
    post = (
        f'mark() {{ printf "POST /mark/$1 HTTP/1.0\\r\\n\\r\\n" | nc {rig.server.host} {rig.server.port} >/dev/null; }}'
    )
    return rig.spec(
        *SHELL, f"{post}; mark $ATELIER_ATTEMPT-$ATELIER_REPLICA; {then or ':'}; mark $ATELIER_ATTEMPT-end", **changes
    )


async def marked(rig: Rig, text: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not rig.server.marks(text):
        assert time.monotonic() < deadline, f"{text} was not marked"
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def watching(backend: KubernetesBackend) -> AsyncIterator[list[Observation]]:
    """Everything that a watch says meanwhile."""
    seen: list[Observation] = []

    async def follow() -> None:
        async for observation in backend.watch():
            seen.append(observation)  # noqa: PERF401 - must be seen while the watch goes on

    task = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(seen: list[Observation], workload: str, seconds: float = 60) -> Observation:
    """The final observation that the watch tells."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ends = [each for each in seen if each.workload == workload and each.final]
        if ends:
            assert len(ends) == 1
            return ends[0]
        await asyncio.sleep(0.1)
    raise AssertionError(f"the watch did not tell the end; it told {seen}")


class ExpiringApi(Api):
    """The real API, but each watch ends with 410 after its second event."""

    async def watch(self, path: str, version: str, selector: str = "", **query: Any) -> AsyncGenerator[Object]:
        count = 0
        async with contextlib.aclosing(super().watch(path, version, selector, **query)) as events:
            async for event in events:
                yield event
                count += 1
                if count == 2:
                    raise ApiError(410, "too old resource version", "Expired")


class ExpiringBackend(KubernetesBackend):
    """The real back end on that API."""

    api_class = ExpiringApi


async def test_watches_that_expire_lose_nothing(rig: Rig) -> None:
    backend = await rig.open(ExpiringBackend)
    async with watching(backend) as seen:
        specs = [rig.spec("true") for _ in range(3)]
        for spec in specs:
            await rig.start(backend, spec)
        for spec in specs:
            assert (await told(seen, spec.id)).state is State.DONE


@pytest.mark.alone
async def test_a_watch_that_really_expired(rig: Rig) -> None:
    backend = await rig.open()
    spec = marking(rig, "sleep 15")
    async with watching(backend) as seen:
        await rig.start(backend, spec)
        await marked(rig, f"{spec.id}-main-0")
        await asyncio.to_thread(rig.cluster.faults.expire_watches)
        assert (await told(seen, spec.id)).state is State.DONE
    assert rig.server.marks(f"{spec.id}-main-0") == 1


@pytest.mark.alone
async def test_nothing_starts_before_its_quota_counts(rig: Rig) -> None:
    rig.project = "counted"
    backend = await rig.open(quota={"pods": "1"})
    first, second = (rig.spec(*SHELL, "sleep 600") for _ in range(2))
    with rig.cluster.faults.paused("controller-manager"):
        starting = asyncio.create_task(rig.start(backend, first))
        await asyncio.sleep(3)
        assert not starting.done()
    await starting
    with pytest.raises(QuotaExceeded):
        await rig.start(backend, second)
    rig.handles.append(Handle(workload=second.id, data={"namespace": rig.namespace}))


@pytest.mark.alone
async def test_the_api_server_is_away(rig: Rig) -> None:
    backend = await rig.open()
    spec, late = marking(rig, f"sleep {OUTAGE // 2}"), marking(rig)
    async with watching(backend) as seen:
        handle = await rig.start(backend, spec)
        await marked(rig, f"{spec.id}-main-0")
        with rig.cluster.faults.apiserver_down():
            with pytest.raises(BackendUnavailable):
                await rig.start(backend, late)
            with pytest.raises(BackendUnavailable):
                await backend.stop(handle, 1)
            with pytest.raises(BackendUnavailable):
                await backend.list()
            await marked(rig, f"{spec.id}-end", OUTAGE)
            async with asyncio.timeout(OUTAGE // 2):  # the report does not need the cluster's API
                while not rig.server.attempts[spec.id].finished:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(OUTAGE // 2)
        await rig.start(backend, late)
        assert (await told(seen, spec.id)).state is State.DONE
        assert (await told(seen, late.id)).state is State.DONE
    assert [rig.server.marks(f"{each.id}-main-0") for each in (spec, late)] == [1, 1]


@pytest.mark.alone
async def test_the_kubelet_is_killed_and_comes_back(rig: Rig) -> None:
    backend = await rig.open()
    spec = marking(rig, "sleep 8")
    await rig.start(backend, spec)
    await marked(rig, f"{spec.id}-main-0")
    with rig.cluster.faults.kubelet_down():
        await marked(rig, f"{spec.id}-end")
        await asyncio.sleep(3)
    assert (await final(backend, spec.id)).state is State.DONE
    assert rig.server.marks(f"{spec.id}-main-0") == 1


async def test_the_wrapper_is_killed(rig: Rig) -> None:
    backend = await rig.open()
    spec = marking(rig, "sleep 600")
    await rig.start(backend, spec)
    await marked(rig, f"{spec.id}-main-0")
    await until(backend, spec.id, lambda seen: seen.state is State.RUNNING)  # the status comes after the fact
    assert rig.cluster.faults.kill_container(rig.namespace, spec.id, "main")
    seen = await final(backend, spec.id)
    assert (seen.state, seen.reason, cause_of(seen.reason)) == (State.FAILED, Reason.SHIM_LOST, Cause.INFRASTRUCTURE)
    await rig.start(backend, spec)
    await asyncio.sleep(5)
    assert rig.server.marks(f"{spec.id}-main-0") == 1, "a lost attempt must not be started again"


async def test_the_sidecar_is_killed(rig: Rig) -> None:
    backend = await rig.open()
    spec = marking(rig, "echo before; sleep 8; echo after")
    await rig.start(backend, spec)
    await marked(rig, f"{spec.id}-main-0")
    await until(backend, spec.id, lambda seen: seen.state is State.RUNNING)  # the status comes after the fact
    assert rig.cluster.faults.kill_container(rig.namespace, spec.id, "sidecar")
    assert (await final(backend, spec.id)).state is State.DONE
    attempt = rig.server.attempts[spec.id]
    assert attempt.logs["main-0"] == b"before\nafter\n"
    assert [each["exit_code"] for each in attempt.finished] == [0]
    assert rig.server.marks(f"{spec.id}-main-0") == 1


async def test_a_pod_that_somebody_deletes_is_gone_and_not_started_again(rig: Rig) -> None:
    backend = await rig.open()
    spec = marking(rig, "sleep 600")
    async with watching(backend) as seen:
        await rig.start(backend, spec)
        await marked(rig, f"{spec.id}-main-0")
        rig.cluster.kubectl("delete", "pod", "-n", rig.namespace, spec.id, "--grace-period=1")
        gone = await told(seen, spec.id)
        assert (gone.state, gone.reason) == (State.FAILED, Reason.GONE)
    await rig.start(backend, spec)
    again = await final(backend, spec.id)
    assert (again.state, again.reason) == (State.FAILED, Reason.START_FAILED)
    assert rig.server.marks(f"{spec.id}-main-0") == 1, "the claim at the control plane keeps a second pod from running"


async def test_a_replica_of_a_gang_is_deleted(rig: Rig) -> None:
    backend = await rig.open()
    roles = (marking(rig, "sleep 600").roles[0].model_copy(update={"count": 2}),)
    spec = rig.spec(roles=roles, topology=Topology.GANG)
    await rig.start(backend, spec)
    for index in range(2):
        await marked(rig, f"{spec.id}-main-{index}")
    (pod,) = rig.cluster.get(
        "pods", "-n", rig.namespace, "-l", f"atelier.dev/workload={spec.id},batch.kubernetes.io/job-completion-index=1"
    )["items"]
    rig.cluster.kubectl("delete", "pod", "-n", rig.namespace, pod["metadata"]["name"], "--grace-period=1")
    seen = await final(backend, spec.id)
    assert (seen.state, cause_of(seen.reason)) == (State.FAILED, Cause.INFRASTRUCTURE)
    assert [rig.server.marks(f"{spec.id}-main-{index}") for index in range(2)] == [1, 1]


class FailsAfter(Starter):
    """Starts really, but dies when it comes to its `left`-th object."""

    left = 0

    async def _create(self, manifest: Object) -> Object | None:
        if type(self).left == 0:
            raise ConnectionResetError("killed")
        type(self).left -= 1
        return await super()._create(manifest)


@pytest.mark.parametrize("made", [0, 1, 2])
async def test_a_start_that_is_cut_short_is_finished_or_cleaned_up(rig: Rig, made: int) -> None:
    backend = await rig.open()
    backend._starter = FailsAfter(backend.api, backend.options)
    role = Role(image=rig.image, command=("true",), count=1)
    first, second = (rig.spec(roles=(role,), topology=Topology.GANG) for _ in range(2))
    for spec in (first, second):
        FailsAfter.left = made
        with pytest.raises(ConnectionResetError):
            await rig.start(backend, spec)
    after = await rig.open()
    renewed = first.model_copy(update={"token": f"token-{first.id}"})
    await rig.start(after, renewed)
    assert (await final(after, first.id)).state is State.DONE
    await after.stop(rig.handles[-1].model_copy(update={"workload": second.id}), 1)
    left = rig.cluster.get("secrets,services,jobs,pods", "-n", rig.namespace, "-l", f"atelier.dev/workload={second.id}")
    assert left["items"] == []


class Narrow(KubernetesBackend):
    """One that may look at pods only in namespaces that it knows."""

    async def open(self) -> None:
        await super().open()
        self._whole_cluster = False


def with_rights_in_one_namespace(rig: Rig) -> Path:
    """A kubeconfig of somebody who may do in the project's namespace what the back end does, and nothing elsewhere."""
    name = {"name": "narrow", "namespace": rig.namespace}
    api = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in diagnosis._WORKLOADS
    ]
    rig.cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": name, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "narrow"},
            "subjects": [{"kind": "ServiceAccount", **name}],
        },
    )
    token = rig.cluster.kubectl("create", "token", "narrow", "-n", rig.namespace).strip()
    config = yaml.safe_load(rig.cluster.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = rig.folder / "narrow.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


async def test_rights_in_the_projects_namespaces_are_enough(rig: Rig) -> None:
    await rig.start(await rig.open(), rig.spec())  # whoever may makes the namespace
    options = {"manage_namespaces": False, "projects": (rig.project,)}
    backend = await rig.open(kubeconfig=str(with_rights_in_one_namespace(rig)), **options)
    with pytest.raises(ApiError, match="forbidden"):
        await backend.api.list(PODS.path())
    async with watching(backend) as seen:
        spec = rig.spec()
        handle = await rig.start(backend, spec)
        assert (await told(seen, spec.id)).state is State.DONE
    assert spec.id in {one.workload for one in await backend.list()}
    await backend.stop(handle, 1)
    assert spec.id not in {one.workload for one in await backend.list()}
    found = {one["name"]: one for one in await backend.diagnose()}
    assert found["Workloads"]["ok"], found
    assert not found["Nodes"]["ok"]


async def test_what_a_project_starts_is_held_to_the_rules_of_its_namespace(rig: Rig) -> None:
    """By the cluster itself, whatever we ask for."""
    await rig.start(await rig.open(), rig.spec())
    run = ("run", "rogue", "-n", rig.namespace, f"--image={rig.image}", "--dry-run=server", "-o", "json")
    with pytest.raises(CannotRun, match="PodSecurity"):
        rig.cluster.kubectl(*run, "--privileged")
    harmless = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "rogue",
                "image": rig.image,
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
    made = json.loads(rig.cluster.kubectl(*run, f"--overrides={json.dumps({'spec': harmless})}"))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "256Mi"},
        "requests": {"cpu": "100m", "memory": "256Mi"},
    }


async def test_a_pod_that_is_evicted(rig: Rig) -> None:
    """As whoever drains a node asks for it."""
    backend, spec = await rig.open(), marking(rig, "sleep 600")
    async with watching(backend) as seen:
        await rig.start(backend, spec)
        await marked(rig, f"{spec.id}-main-0")
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": spec.id}}
        place = f"/api/v1/namespaces/{rig.namespace}/pods/{spec.id}/eviction"
        rig.cluster.kubectl("create", "--raw", place, "-f", "-", stdin=json.dumps(eviction))
        end = await told(seen, spec.id)
    assert (end.state, end.reason, cause_of(end.reason)) == (State.FAILED, Reason.EVICTED, Cause.INFRASTRUCTURE)


class Witness:
    """Hears what a follower says."""

    def __init__(self) -> None:
        self.told: list[Observation] = []

    def saw(self, seen: Observation) -> None:
        self.told.append(seen)

    def wake(self, attempts: Collection[str]) -> None:
        """Nothing to do."""

    def handed_over(self) -> Collection[str]:
        return ()


async def test_what_runs_where_nobody_said_is_found_after_a_restart(rig: Rig) -> None:
    """It was once taken for gone, ended, and begun again."""
    spec = marking(rig, "sleep 600")
    before = await rig.open(Narrow)
    handle = await rig.start(before, spec)
    await marked(rig, f"{spec.id}-main-0")
    after, witness = await rig.open(Narrow), Witness()
    row = replace(
        draft_attempt(NewAttempt(spec.id, rig.project, "step", "r1", "step", 1, "rig")),
        state=State.RUNNING,
        handle=handle,
    )

    async def rows() -> list[Attempt]:
        return [row]

    await Follower("rig", after, witness, rows)._resync()
    (seen,) = witness.told
    assert seen.workload == spec.id and not seen.final, seen


async def test_running_is_seen_by_a_back_end_that_was_opened_later(rig: Rig) -> None:
    first = await rig.open()
    spec = marking(rig, "sleep 5")
    await rig.start(first, spec)
    await marked(rig, f"{spec.id}-main-0")
    second = await rig.open()
    seen = await until(second, spec.id, lambda seen: seen.state is State.RUNNING)
    assert seen.replicas[0].node
    async with watching(second) as told_so_far:
        assert (await told(told_so_far, spec.id)).state is State.DONE
