"""What the machine must bring: root, Go, kernel parts, Debian packages. Says in one line what lacks."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from .settings import UNPACKED, CannotRun
from .shell import run, succeeds

OLDEST_GO = (1, 24)
TOOLS = {  # Debian package: a file or a program by which it is recognised
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "socat": "socat",
    "openssl": "openssl",
    "mmdebstrap": "mmdebstrap",
}


def prepare() -> None:
    """Check the machine and install what can be installed."""
    if not sys.platform.startswith("linux"):
        raise CannotRun("the rig needs Linux")
    if os.geteuid() != 0:
        raise CannotRun("the rig needs root (containers, a bridge, iptables)")
    _check_go()
    install_missing()
    _check_kernel()


def _check_go() -> None:
    if not shutil.which("go"):
        raise CannotRun("the rig compiles Kubernetes and needs Go ≥ 1.24 on PATH")
    found = re.search(r"go(\d+)\.(\d+)", run("go", "version").stdout)
    if found and tuple(map(int, found.groups())) < OLDEST_GO:
        raise CannotRun(f"the rig needs Go ≥ 1.24, this is {found[0]}")


def missing_packages() -> list[str]:
    """Debian's names of what is not there."""
    return [package for package, sign in TOOLS.items() if not shutil.which(sign, path=_path())]


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def install_missing() -> None:
    """apt-get, where there is one; elsewhere the list for a person."""
    packages = missing_packages()
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise CannotRun(f"missing Debian packages: {' '.join(packages)}")
    print(f"installing {' '.join(packages)} …", flush=True)
    _apt_get("install", "-y", "--no-install-recommends", *packages)
    still = missing_packages()
    if still:
        raise CannotRun(f"apt-get did not bring: {' '.join(still)}")


def _apt_get(*arguments: str, **options) -> None:
    """Try at once; only when the package lists are missing or old fetch them, once, and try again."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root")
    if succeeds(*command, *arguments, env=environment, timeout=900, **options):
        return
    run(*command, "update", env=environment, timeout=600)
    run(*command, *arguments, env=environment, timeout=900, **options)


def unpacked(package: str) -> Path:
    """A Debian package unpacked beside the system: nothing is installed, no service is started."""
    target = UNPACKED / package
    if not target.exists():
        work = UNPACKED / f".{package}.{os.getpid()}"
        work.mkdir(parents=True)
        try:
            _apt_get("download", package, cwd=work)
            run("dpkg-deb", "-x", next(work.glob("*.deb")), work / "root")
            (work / "root").rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def _check_kernel() -> None:
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not switch.exists():
        succeeds("modprobe", "br_netfilter")
    if not switch.exists():
        raise CannotRun("this kernel has no br_netfilter: Services and policies would not work")
    if not succeeds("iptables", "-w", "-t", "nat", "-S"):
        raise CannotRun("iptables does not work here (no netfilter, or not permitted)")
    if not Path("/sys/fs/cgroup").is_dir():
        raise CannotRun("no cgroups at /sys/fs/cgroup")
