"""The rig's processes: their command lines, and starting, watching and stopping them one by one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .configs import program
from .machine import unpacked
from .pki import kubeconfig_path
from .settings import (
    API_PORT,
    CONF,
    CONTAINERD_SOCKET,
    ETCD,
    HOME,
    LOGS,
    NODE,
    NODE_IP,
    PKI,
    POD_NET,
    REPOSITORY,
    RUN,
    SERVICE_NET,
)

NAMES = (  # in start order
    "etcd", "containerd", "registry", "apiserver", "controller-manager", "scheduler", "kubelet", "proxy", "dns",
    "controllers",
)  # fmt: skip
ADMISSION = "NodeRestriction,PodSecurity,ResourceQuota,LimitRanger"
BUSY_CLIENT = ("--kube-api-qps=500", "--kube-api-burst=1000", "--leader-elect=false")  # defaults crawl


def command(name: str) -> list[str]:
    """The command line of one process."""
    return _COMMANDS[name]()


def _etcd() -> list[str]:
    url, peer = f"http://{ETCD[0]}:{ETCD[1]}", f"http://{ETCD[0]}:{ETCD[1] + 1}"
    return [
        program("etcd"), "--name=rig", f"--data-dir={HOME}/etcd", f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=rig={peer}", "--unsafe-no-fsync", "--log-level=warn",
    ]  # fmt: skip


def _apiserver() -> list[str]:
    return [
        program("kube-apiserver"), f"--etcd-servers=http://{ETCD[0]}:{ETCD[1]}", f"--advertise-address={NODE_IP}",
        "--bind-address=0.0.0.0", f"--secure-port={API_PORT}", f"--service-cluster-ip-range={SERVICE_NET}",
        f"--tls-cert-file={PKI}/apiserver.crt", f"--tls-private-key-file={PKI}/apiserver.key",
        f"--client-ca-file={PKI}/ca.crt", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
        f"--enable-admission-plugins={ADMISSION}", "--enable-aggregator-routing=true",
        f"--kubelet-client-certificate={PKI}/admin.crt", f"--kubelet-client-key={PKI}/admin.key",
        "--kubelet-preferred-address-types=InternalIP", f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--requestheader-client-ca-file={PKI}/front-ca.crt", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-", f"--proxy-client-cert-file={PKI}/front.crt",
        f"--proxy-client-key-file={PKI}/front.key", "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
    ]  # fmt: skip


def _as_client(name: str) -> list[str]:
    config = kubeconfig_path(name)
    flags = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{flag}={config}" for flag in flags] + ["--bind-address=127.0.0.1", *BUSY_CLIENT]


def _controller_manager() -> list[str]:
    return [
        program("kube-controller-manager"), *_as_client("controller-manager"), f"--root-ca-file={PKI}/ca.crt",
        "--use-service-account-credentials", f"--service-account-private-key-file={PKI}/sa.key",
        f"--cluster-signing-cert-file={PKI}/ca.crt", f"--cluster-signing-key-file={PKI}/ca.key",
        f"--cluster-cidr={POD_NET}", "--allocate-node-cidrs=false",
    ]  # fmt: skip


def _kubelet() -> list[str]:
    return [
        program("kubelet"), f"--config={CONF}/kubelet.json", f"--kubeconfig={kubeconfig_path('kubelet')}",
        f"--root-dir={HOME}/kubelet", f"--hostname-override={NODE}", f"--node-ip={NODE_IP}",
        f"--cert-dir={HOME}/kubelet-pki",
    ]  # fmt: skip


_COMMANDS = {
    "etcd": _etcd,
    "containerd": lambda: ["containerd", "--config", f"{CONF}/containerd.toml"],
    "registry": lambda: [
        str(unpacked("docker-registry") / "usr/bin/docker-registry"), "serve", f"{CONF}/registry.yml"
    ],
    "apiserver": _apiserver,
    "controller-manager": _controller_manager,
    "scheduler": lambda: [program("kube-scheduler"), *_as_client("scheduler")],
    "kubelet": _kubelet,
    "proxy": lambda: [program("kube-proxy"), f"--config={CONF}/proxy.json"],
    "dns": lambda: [program("coredns"), "-conf", f"{CONF}/Corefile"],
    "controllers": lambda: [sys.executable, "-m", "tests.harness.cluster.controllers"],
}  # fmt: skip


def start(name: str) -> None:
    """Start one process in a session of its own, unless it runs."""
    if alive(name):
        return
    RUN.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    # Programs in Go collect garbage four times less often: here memory is cheaper than the processor.
    environment = dict(os.environ, PATH=path, ATELIER_CLUSTER_HOME=str(HOME), GOGC="400")
    with (LOGS / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            cwd=REPOSITORY if name == "controllers" else "/", env=environment,
        )  # fmt: skip
    child.returncode = 0  # it is meant to outlive us: no warning about a child left running
    _pid_file(name).write_text(f"{child.pid} {_born(child.pid)}")


def stop(*names: str, kill: bool = False) -> None:
    """Ask the processes to end and make sure that they did; `kill` does not ask."""
    pids = {name: pid for name in names if (pid := pid_of(name))}
    for pid in pids.values():
        _signal(pid, signal.SIGKILL if kill else signal.SIGTERM)
    end = time.monotonic() + 5
    while time.monotonic() < end and any(alive(name) for name in pids):
        time.sleep(0.05)
    for name, pid in pids.items():
        if alive(name):
            _signal(pid, signal.SIGKILL)
    while time.monotonic() < end + 5 and any(alive(name) for name in pids):
        time.sleep(0.05)


def signal_to(name: str, number: int) -> None:
    """Send a signal to one process, which must run."""
    pid = pid_of(name)
    assert pid is not None, why_dead(name)
    os.kill(pid, number)


def alive(name: str) -> bool:
    return pid_of(name) is not None


def pid_of(name: str) -> int | None:
    """Its process id. The start time is compared too: after a reboot the number is someone else's."""
    try:
        pid, born = _pid_file(name).read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if _born(int(pid)) == born else None


def why_dead(name: str) -> str | None:
    """None while it runs, else the end of its log."""
    if alive(name):
        return None
    try:
        lines = (LOGS / f"{name}.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{name} ended: {lines[-1][:300] if lines else 'no log'} (see {LOGS / name}.log)"


def _pid_file(name: str) -> Path:
    return RUN / f"{name}.pid"


def _born(pid: int) -> str | None:
    """Start time in clock ticks since boot; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_containers() -> None:
    """Kill the shims of our containerd, which outlive it, with all that runs below them."""
    parents, shims = {}, set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        if b"containerd-shim" in line and str(CONTAINERD_SOCKET).encode() in line:
            shims.add(int(entry.name))
    doomed = set(shims)
    while more := {pid for pid, parent in parents.items() if parent in doomed} - doomed:
        doomed |= more
    for pid in sorted(doomed, key=lambda pid: pid in shims):
        _signal(pid, signal.SIGKILL)
