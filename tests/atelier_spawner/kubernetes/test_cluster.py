"""The back end on a real cluster: reasons, limits, isolation, and what it answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atelier_core.errors import BackendUnavailable, Invalid, NotFound, QuotaExceeded
from atelier_core.states import Reason, State
from atelier_core.workload import Handle, Observation, Output, Port, Resources, Role, Topology
from atelier_spawner.kubernetes.backend import KubernetesBackend
from tests.atelier_spawner.kubernetes.conftest import Rig
from tests.harness.attempt_api import AttemptApi

pytestmark = pytest.mark.cluster

SHELL = ("/bin/sh", "-c")


async def final(backend: KubernetesBackend, workload: str, seconds: float = 90) -> Observation:
    return await until(backend, workload, lambda seen: seen.final, seconds)


async def until(backend: KubernetesBackend, workload: str, true: Any, seconds: float = 60) -> Observation:
    """By `list`, which is the truth."""
    deadline, seen = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        seen = next((each for each in await backend.list() if each.workload == workload), None)
        if seen is not None and true(seen):
            return seen
        await asyncio.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {seen}")


async def text(pieces: AsyncIterator[bytes]) -> str:
    async with asyncio.timeout(60):
        return b"".join([piece async for piece in pieces]).decode()


def kubeconfig(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


async def test_too_much_memory(rig: Rig) -> None:
    backend = await rig.open()
    spec = rig.spec(*SHELL, "head -c 300m /dev/zero | tail")
    await rig.start(backend, spec)
    seen = await final(backend, spec.id)
    assert (seen.state, seen.reason) == (State.FAILED, Reason.OOM_KILLED)
    assert "memory" in seen.message


async def test_an_image_that_is_not_there(rig: Rig) -> None:
    backend = await rig.open(pull_seconds=20)
    spec = rig.spec("true", role={"image": f"{rig.cluster.registry}/atelier/never-made:1"})
    await rig.start(backend, spec)
    seen = await until(backend, spec.id, lambda seen: "not found" in seen.message)
    assert (seen.state, seen.reason) == (State.STARTING, Reason.PULLING_IMAGE)
    seen = await final(backend, spec.id)
    assert (seen.state, seen.reason) == (State.FAILED, Reason.IMAGE_PULL)
    assert "never-made" in seen.message


async def test_no_place_is_no_failure(rig: Rig) -> None:
    backend = await rig.open()
    spec = rig.spec("true", role={"resources": Resources(cpu=4000)})
    await rig.start(backend, spec)
    seen = await until(backend, spec.id, lambda seen: seen.reason is Reason.UNSCHEDULABLE)
    assert seen.state is State.STARTING
    assert "Insufficient cpu" in seen.message


async def test_the_outer_time_limit(rig: Rig) -> None:
    """The shim's own limit is cut off by stopping its wrapper; the cluster's then ends the pod."""
    backend = await rig.open(deadline_margin=5)
    spec = rig.spec(*SHELL, "sleep 600", timeout=3)
    await rig.start(backend, spec)
    await until(backend, spec.id, lambda seen: seen.state is State.RUNNING)
    rig.cluster.faults.kill_in_pod(rig.namespace, spec.id, "main", matching="atelier_runtime", number=19)
    seen = await final(backend, spec.id)
    assert (seen.state, seen.reason) == (State.FAILED, Reason.DEADLINE_EXCEEDED)


async def test_a_poor_image_and_an_unknown_user(rig: Rig) -> None:
    backend = await rig.open()
    command = "id -u; env | grep -c PYTHON; echo -n made > $ATELIER_OUTPUTS/small"
    spec = rig.spec(*SHELL, command, uid=765432, outputs=(Output(name="small", type="dataset"),))
    handle = await rig.start(backend, spec)
    seen = await final(backend, spec.id)
    assert seen.state is State.DONE, seen
    assert (await text(backend.logs(handle, "main-0", False))).split("\n")[:2] == ["765432", "0"]
    assert rig.server.attempts[spec.id].outputs["small"].path.read_bytes() == b"made"


async def test_result_files_at_the_root_work(rig: Rig) -> None:
    backend = await rig.open()
    spec = rig.spec(*SHELL, """echo '[{"metric_type": "text", "text": "hello"}]' > /metric.json""")
    await rig.start(backend, spec)
    assert (await final(backend, spec.id)).state is State.DONE
    assert "results" in rig.server.attempts[spec.id].outputs


async def test_the_step_sees_neither_token_nor_service_account(rig: Rig) -> None:
    backend = await rig.open()
    command = (
        "ls /atelier/shim /var/run/secrets 2>&1; grep -rs token- /atelier/work /proc/self/environ; id -G; touch /x"
    )
    spec = rig.spec(*SHELL, f"{command}; exit 0")
    handle = await rig.start(backend, spec)
    await final(backend, spec.id)
    log = await text(backend.logs(handle, "main-0", False))
    assert spec.token not in log
    assert log.count("No such file or directory") == 2
    uid = rig.cluster.get("pod", "-n", rig.namespace, spec.id)["spec"]["securityContext"]["runAsUser"]
    assert f"\n{uid}\n" in log
    assert uid >= 1_000_000_000


async def test_quota(rig: Rig) -> None:
    rig.project = "quota"
    backend = await rig.open(quota={"pods": "1", "requests.cpu": "1"})
    first, second = (rig.spec(*SHELL, "sleep 600") for _ in range(2))
    await rig.start(backend, first)
    with pytest.raises(QuotaExceeded, match="exceeded quota"):
        await rig.start(backend, second)
    rig.handles.append(Handle(workload=second.id, data={"namespace": rig.namespace}))
    roles = (Role(image=rig.image, command=("true",), count=3),)
    gang = rig.spec(roles=roles, topology=Topology.GANG)
    with pytest.raises(QuotaExceeded, match="3 replicas"):
        await rig.start(backend, gang)
    assert rig.cluster.get("jobs", "-n", rig.namespace)["items"] == []
    service = rig.spec(*SHELL, "sleep 600", kind="service", role={"ports": (Port(name="http", port=0),)})
    with pytest.raises(QuotaExceeded, match="It needs 1"):
        await rig.start(backend, service)
    rig.handles.append(Handle(workload=service.id, data={"namespace": rig.namespace}))
    assert rig.cluster.get("deployments", "-n", rig.namespace)["items"] == []
    await backend.stop(rig.handles[0], 1)
    await rig.start(backend, second)


async def test_what_the_cluster_refuses_is_invalid(rig: Rig) -> None:
    backend = await rig.open()
    spec = rig.spec("true", role={"ports": (Port(name="Not A Name", port=80),)})
    with pytest.raises(Invalid) as refused:
        await rig.start(backend, spec)
    rig.handles.append(Handle(workload=spec.id))
    assert "Not A Name" in refused.value.message


async def test_a_project_called_like_a_user_whose_name_is_no_label(rig: Rig) -> None:
    rig.project = "Jane.Doe@example.com"
    backend = await rig.open()
    spec = rig.spec("true")
    handle = await rig.start(backend, spec)
    assert (await final(backend, spec.id)).state is State.DONE
    assert len(rig.cluster.get("pods", "-n", handle.data["namespace"])["items"]) == 1


async def test_a_namespace_that_is_somebody_elses_is_left_alone(rig: Rig) -> None:
    rig.project = "foreign"
    rig.cluster.kubectl("create", "namespace", rig.namespace)
    backend = await rig.open()
    spec = rig.spec("true")
    with pytest.raises(Invalid) as refused:
        await rig.start(backend, spec)
    assert rig.cluster.get("networkpolicies", "-n", rig.namespace)["items"] == []
    rig.cluster.kubectl(*refused.value.hint.partition("kubectl ")[2].split())
    await rig.start(backend, spec)
    assert (await final(backend, spec.id)).state is State.DONE


async def test_two_projects_do_not_reach_each_other(rig: Rig) -> None:
    backend = await rig.open()
    serve = rig.spec(
        *SHELL, "while true; do echo hello | nc -l -p 8080; done", role={"ports": (Port(name="tcp", port=8080),)}
    )
    handle = await rig.start(backend, serve)
    await until(backend, serve.id, lambda seen: seen.state is State.RUNNING)
    address = (await _endpoint(backend, handle)).removeprefix("http://").split(":")[0]
    # Between two visitors nobody listens there for a moment; whoever is kept out is kept out each time.
    command = f"for n in 1 2 3 4 5; do sleep 1; nc -w 3 {address} 8080 2>/dev/null && exit; done; echo closed"
    friend, stranger = rig.spec(*SHELL, command), rig.spec(*SHELL, command, project=f"{rig.project}-other")
    logs = []
    for spec in (friend, stranger):
        own = await rig.start(backend, spec)
        await final(backend, spec.id)
        logs.append(await text(backend.logs(own, "main-0", False)))
    assert (logs[0], logs[1].split()[-1]) == ("hello\n", "closed")


async def _endpoint(backend: KubernetesBackend, handle: Handle) -> str:
    """Where it answers, once it does: a replica runs before its program listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await backend.endpoint(handle, "tcp")
            except BackendUnavailable:
                await asyncio.sleep(0.2)


async def test_of_private_addresses_only_the_control_plane_is_open(rig: Rig, tmp_path: Path) -> None:
    """Other ports of its machine, the API server and the nodes' own services are nobody's to try."""
    host, api = rig.server.host, rig.cluster.get("endpoints", "kubernetes")["subsets"][0]
    other = AttemptApi(tmp_path, host)
    other.start()
    tries = {
        "control plane": (host, rig.server.port),
        "another port": (host, other.port),
        "API server": (api["addresses"][0]["ip"], api["ports"][0]["port"]),
        "kubelet": (rig.cluster.get("nodes", "rig")["status"]["addresses"][0]["address"], 10250),
    }
    ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {} {} 2>&1 | grep -q HTTP && echo {}"
    asks = "; ".join(ask.format(*where, name) for name, where in tries.items())
    try:
        logs = []
        for project, options in (
            ("closed", {}),
            ("allowed", {"egress_cidrs": tuple({f"{address}/32" for address, _ in tries.values()})}),
        ):
            backend = await rig.open(**options)
            spec = rig.spec(*SHELL, f"sleep 2; {asks}; true", project=f"{rig.project}-{project}")
            handle = await rig.start(backend, spec)
            await final(backend, spec.id)
            logs.append((await text(backend.logs(handle, "main-0", False))).splitlines())
    finally:
        other.stop()
    assert logs[0] == ["control plane"]
    assert logs[1] == list(tries)


async def test_commands_inside(rig: Rig) -> None:
    backend = await rig.open()
    spec = rig.spec(*SHELL, "sleep 600")
    handle = await rig.start(backend, spec)
    await until(backend, spec.id, lambda seen: seen.state is State.RUNNING)
    assert await backend.exec(handle, "main-0", [*SHELL, "echo out; echo err >&2; exit 4"]) == (4, b"out\nerr\n")
    assert await backend.exec(handle, "main-0", [*SHELL, "echo $ATELIER_ATTEMPT; pwd"]) == (
        0,
        f"{spec.id}\n/atelier/work/code\n".encode(),
    )
    code, words = await backend.exec(handle, "main-0", ["no-such-program"])
    assert (code, b"no-such-program" in words) == (1, True)
    with pytest.raises(NotFound):
        await backend.exec(handle, "main-7", ["true"])


async def test_logs_of_what_never_came_to_its_command(rig: Rig) -> None:
    backend = await rig.open()
    spec = rig.spec("true")
    rig.server.attempts[spec.id].claims["main-0"] = "somebody else"
    handle = await rig.start(backend, spec)
    seen = await final(backend, spec.id)
    assert (seen.state, seen.reason) == (State.FAILED, Reason.START_FAILED)
    assert "Another pod" in seen.message
    assert "Another pod" in await text(backend.logs(handle, "main-0", True))


async def test_capacity_and_diagnosis(rig: Rig) -> None:
    backend = await rig.open()
    before = await backend.capacity()
    assert before["cpu"]["total"] >= before["cpu"]["free"] > 0
    assert before["memory"]["total"] > 2**30
    await backend._starter.ensure_project(rig.project, "")  # type: ignore[union-attr]
    findings = {each["name"]: each for each in await backend.diagnose()}
    assert {"Version", "Watch", "Workloads", "Projects", "Nodes", "Pod Security"} <= set(findings)
    assert all(each["ok"] for each in findings.values()), findings


async def test_a_user_without_rights_is_told_what_is_missing(rig: Rig, tmp_path: Path) -> None:
    backend = await rig.open()
    await backend._starter.ensure_project(rig.project, "")  # type: ignore[union-attr]
    account = f"system:serviceaccount:{rig.namespace}:atelier-workload"
    token = rig.cluster.kubectl("create", "token", "atelier-workload", "-n", rig.namespace).strip()
    config = tmp_path / "poor.kubeconfig"
    base = rig.cluster.kubectl("config", "view", "--raw", "--minify", "-o", "jsonpath={.clusters[0].cluster}")
    config.write_text(json.dumps(kubeconfig(json.loads(base), {"token": token})))
    poor = await rig.open(kubeconfig=str(config))
    findings = {each["name"]: each for each in await poor.diagnose()}
    assert not findings["Workloads"]["ok"]
    assert "kubectl create clusterrole" in findings["Workloads"]["fix"]
    with pytest.raises(BackendUnavailable) as refused:
        await rig.start(poor, rig.spec("true"))
    assert account in refused.value.message
    assert refused.value.code == "cluster_forbidden"


async def test_a_cluster_that_is_not_there(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        await rig.open(kubeconfig=str(tmp_path / "none"))
    config = tmp_path / "closed"
    config.write_text(json.dumps(kubeconfig({"server": "http://127.0.0.1:1"}, {})))
    with pytest.raises(BackendUnavailable) as refused:
        await rig.open(kubeconfig=str(config))
    assert refused.value.code == "cluster_unreachable"


async def test_a_watch_ends_when_the_back_end_is_closed(rig: Rig) -> None:
    backend = await rig.open()

    async def follow() -> None:
        async for _ in backend.watch():
            pass

    task = asyncio.create_task(follow())
    await asyncio.sleep(1)
    await backend.close()
    await asyncio.wait_for(task, 15)
