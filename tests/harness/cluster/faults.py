"""Faults for tests, on the rig only: real stops of real processes, and their return."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from . import cluster, processes
from .settings import ETCD, CannotRun
from .shell import wait_for

CLIENTS = ("controller-manager", "scheduler", "kubelet", "proxy", "dns")


def stop_apiserver(kill: bool = False) -> None:
    """Connections break, clients are refused; pods go on."""
    processes.stop("apiserver", kill=kill)


def start_apiserver() -> None:
    """Back, and the cluster works again when this returns.

    Kubernetes' own clients back off for up to half a minute; a restart makes them connect now, so that
    the next test does not wait for a name, a Service or a node that comes late.
    """
    cluster.start_apiserver()
    processes.stop(*CLIENTS)
    for name in CLIENTS:
        processes.start(name)
    cluster.await_clients()


@contextlib.contextmanager
def apiserver_down(kill: bool = False) -> Iterator[None]:
    """No API server inside the block."""
    stop_apiserver(kill)
    try:
        yield
    finally:
        start_apiserver()


def kill_kubelet() -> None:
    """Containers go on, nobody reports on them: the node turns NotReady after its grace period."""
    processes.stop("kubelet", kill=True)


def start_kubelet() -> None:
    """Back, with the node ready when this returns."""
    processes.start("kubelet")
    wait_for("kubelet", cluster.node_ready, 60, lambda: processes.why_dead("kubelet"))


@contextlib.contextmanager
def kubelet_down() -> Iterator[None]:
    """No kubelet inside the block."""
    kill_kubelet()
    try:
        yield
    finally:
        start_kubelet()


@contextlib.contextmanager
def paused(name: str) -> Iterator[None]:
    """A process that does nothing inside the block, as on a machine with too much to do."""
    processes.signal_to(name, signal.SIGSTOP)
    try:
        yield
    finally:
        processes.signal_to(name, signal.SIGCONT)


def compact_etcd() -> int:
    """Forget all history before now; returns the revision."""
    revision = int(_etcd("kv/range", {"key": "AA=="})["header"]["revision"])
    try:
        _etcd("kv/compaction", {"revision": revision, "physical": True})
    except OSError as error:
        if "compacted" not in str(getattr(error, "reason", error)) and getattr(error, "code", 0) != 400:
            raise
    return revision


def expire_watches() -> None:
    """Every watch that goes on from before this gets a true 410: the server's own memory of changes
    goes with its restart, etcd's with the compaction."""
    with apiserver_down():
        # Something must have changed since the clients' last event, or they are not behind.
        _etcd("kv/put", {"key": "YXRlbGllci10ZXN0", "value": "MQ=="})
        compact_etcd()


def _etcd(call: str, body: dict) -> dict:
    request = urllib.request.Request(f"http://{ETCD[0]}:{ETCD[1]}/v3/{call}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def container_pids(namespace: str, pod: str, container: str | None = None) -> list[int]:
    """Host process ids in a pod's container (any kind; all containers without a name)."""
    status = json.loads(cluster.kubectl("get", "pod", "-n", namespace, pod, "-o", "json"))["status"]
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    ids = [
        entry["containerID"].rpartition("/")[2]
        for kind in kinds
        for entry in status.get(kind) or []
        if container in (None, entry["name"]) and entry.get("containerID")
    ]
    if not ids:
        raise CannotRun(f"pod {namespace}/{pod} has no container {container or ''} that was started")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            groups = (entry / "cgroup").read_text()
            if any(name in groups for name in ids):
                found.append(int(entry.name))
    return sorted(found)


def kill_in_pod(
    namespace: str, pod: str, container: str | None = None, *, matching: str = "", number: int = signal.SIGKILL
) -> list[int]:
    """Signal processes in a container from outside: all, or those whose command line `matching` (a regular
    expression) is found in."""
    hit = []
    for pid in container_pids(namespace, pod, container):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if re.search(matching, line):
                os.kill(pid, number)
                hit.append(pid)
    return hit


def kill_container(namespace: str, pod: str, container: str | None = None) -> list[int]:
    """Kill a container's first process, and so the container; exit code 137 without OOMKilled."""
    first = [pid for pid in container_pids(namespace, pod, container) if _is_first(pid)]
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    return first


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of its own process namespace."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return line.split()[-1] == "1"
    return False
