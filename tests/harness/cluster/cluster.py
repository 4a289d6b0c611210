"""The verbs of the rig: build, up, down, status, load, images."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import http.client
import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from . import images, machine, network, policy, processes, programs, registry, volumes
from .api import Api, Refused
from .configs import write_configs
from .pki import make_pki
from .settings import (
    API_PORT,
    BIN,
    CONTAINERD_SOCKET,
    ETCD,
    HOME,
    KUBECONFIG,
    LOGS,
    NODE,
    NODE_IP,
    REGISTRY_PORT,
    RUN,
    CannotRun,
)
from .shell import run, succeeds, wait_for

STATE = (
    "etcd",
    "kubelet",
    "kubelet-pki",
    "containerd",
    "run",
    "cni-state",
    "pod-logs",
    "logs",
    "volumes",
    "pki",
    "conf",
)
PORTS = {"etcd": ETCD[1], "apiserver": API_PORT, "registry": REGISTRY_PORT, "kubelet": 10250}


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two starts at the same time would tread on each other: the second one waits."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(names: list[str] | None = None) -> None:
    machine.prepare()
    with only_one():
        programs.build(names)


def is_up() -> bool:
    """All processes live and the node is ready."""
    try:
        return all(map(processes.alive, processes.NAMES)) and node_ready()
    except OSError:
        return False


def up() -> float:
    """From whatever there is to a ready node; returns the seconds that it took."""
    started = time.monotonic()
    machine.prepare()
    with only_one():
        if not is_up():
            programs.build()
            _start_all()
    return time.monotonic() - started


def clean() -> None:
    """Remove what tests that were broken off have left: it takes the room of others."""
    found = [entry["metadata"]["name"] for entry in json.loads(kubectl("get", "namespaces", "-o", "json"))["items"]]
    left = [name for name in found if name != "default" and not name.startswith("kube-")]
    if left:
        kubectl("delete", "namespace", *left, "--wait=false")
        for name in left:
            kubectl("delete", "pods", "--all", "-n", name, "--grace-period=1", "--wait=false")
        kubectl("wait", "--for=delete", *(f"namespace/{name}" for name in left), "--timeout=120s", timeout=150)


def _start_all() -> None:
    for folder in (LOGS, RUN):
        folder.mkdir(parents=True, exist_ok=True)
    _check_ports()
    make_pki()
    network.make_network()
    write_configs()
    for name in ("etcd", "containerd", "registry"):
        processes.start(name)
    _await("etcd", etcd_answers)
    start_apiserver()
    _await("containerd", lambda: CONTAINERD_SOCKET.exists() and images.ctr("version"))
    _import_pause()
    for name in ("controller-manager", "scheduler", "kubelet", "proxy", "dns"):
        processes.start(name)
    with contextlib.closing(Api()) as api:
        for document in volumes.storage_classes():
            api.create("/apis/storage.k8s.io/v1/storageclasses", document)
        processes.start("controllers")
        _await("registry", registry.answers)
        _await("controller-manager", lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default"))
    await_clients()
    _await("controllers", lambda: "AT-INGRESS" in policy.existing_chains())


def await_clients() -> None:
    """The parts that follow the API server have caught up with it."""
    _await("kubelet", node_ready)
    _await("dns", lambda: _connects(NODE_IP, 53))
    _await("proxy", lambda: _healthy(10256))
    for name, port in (("controller-manager", 10257), ("scheduler", 10259)):
        _await(name, functools.partial(_connects, "127.0.0.1", port))


def _connects(address: str, port: int) -> bool:
    return socket.create_connection((address, port), 1).close() is None


def _healthy(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200


def start_apiserver() -> None:
    """Start it and wait until it serves; also used by the fault helpers."""
    processes.start("apiserver")
    with contextlib.closing(Api()) as api:
        _await("apiserver", lambda: api.request("GET", "/readyz") == b"ok", 90)


def etcd_answers() -> bool:
    return _connects(*ETCD)


def _await(name: str, ready, seconds: float = 60) -> None:
    def check() -> bool:
        try:
            return bool(ready())
        except Refused:
            return False

    wait_for(name, check, seconds, lambda: processes.why_dead(name))


def _check_ports() -> None:
    """By binding, not by connecting: before the bridge is up its address may lead anywhere."""
    for name, port in PORTS.items():
        if processes.alive(name):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CannotRun(f"port {port}, which the rig's {name} needs, is taken by another program") from error


def _import_pause() -> None:
    image = images.pause()
    note = HOME / "containerd" / "pause-image"
    if not note.exists() or note.read_text() != image.digest():
        archive = RUN / "pause.tar"
        images.save(image, archive)
        images.load(archive)
        archive.unlink()
        note.write_text(image.digest())


def node_ready() -> bool:
    try:
        with contextlib.closing(Api()) as api:
            node = api.get(f"/api/v1/nodes/{NODE}")
    except Refused:
        return False
    conditions = node["status"].get("conditions", [])
    return any(line["type"] == "Ready" and line["status"] == "True" for line in conditions)


def down(purge: bool = False) -> None:
    """Stop everything. `purge` also forgets the cluster's state; programs and images are kept."""
    with only_one():
        first = ("controllers", "kubelet", "proxy", "dns", "scheduler", "controller-manager")
        processes.stop(*first)
        processes.stop("apiserver", "registry", "containerd")
        processes.stop("etcd")
        processes.kill_containers()
        if purge:
            _purge()


def _purge() -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{HOME}/")), reverse=True):
        succeeds("umount", "-l", mount)
    for part in STATE:
        shutil.rmtree(HOME / part, ignore_errors=True)
    policy.remove_all()
    network.remove_network()


def status() -> str:
    lines = [f"{name:20} {'up' if processes.alive(name) else 'down'}" for name in processes.NAMES]
    if processes.alive("apiserver"):
        lines.append(kubectl("get", "nodes,pods", "-A", "-o", "wide"))
    return "\n".join(lines)


def kubectl(*arguments: object, stdin: str | None = None, timeout: float = 120) -> str:
    """kubectl as administrator; its output."""
    return run(BIN / "kubectl", f"--kubeconfig={KUBECONFIG}", *arguments, input=stdin, timeout=timeout).stdout


def apply(*documents: dict) -> str:
    """Apply documents given as Python data."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    return kubectl("apply", "-f", "-", stdin=json.dumps(listed))


def default_images() -> list[str]:
    """Make and publish the images that tests start from."""
    return [images.publish(image) for image in (images.base(), images.busybox())]
