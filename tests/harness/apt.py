"""Debian packages that the tests need: as root they are installed, else named in one line.

`python -m tests.harness.apt`; the cluster rig brings its own list.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "postgresql": ("initdb", "/usr/lib/postgresql/*/bin/initdb"),
    "chromium-headless-shell": ("chromium-headless-shell",),
    "mariadb-server-core": ("mariadbd", "/usr/sbin/mariadbd"),
    "mariadb-client-core": ("mariadb",),
    "r-base-core": ("Rscript",),
}
INSTEAD = {"chromium-headless-shell": ("chromium", "google-chrome")}  # slower, but it does
APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300")


def missing() -> list[str]:
    """Debian's names of what is not there."""
    return [package for package, signs in PACKAGES.items() if not any(_there(sign) for sign in signs)]


def _there(sign: str) -> bool:
    return any(Path("/").glob(sign[1:])) if sign.startswith("/") else shutil.which(sign) is not None


def install(packages: list[str]) -> bool:
    """With apt-get; fetches the package lists only when it does not work without."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    wanted = (*APT, "install", "-y", "--no-install-recommends", *packages)
    for command in (wanted, (*APT, "update"), wanted):
        done = subprocess.run(command, env=environment, check=False, timeout=900, stdin=subprocess.DEVNULL)
        if command == wanted and done.returncode == 0:
            return True
    return False


def main() -> int:
    """Install or name what is missing."""
    packages = missing()
    if not packages:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get") and install(packages):
        return 0
    packages = [one for one in packages if not any(map(_there, INSTEAD.get(one, ())))]
    if not packages:
        return 0
    print(f"The tests need: sudo apt-get install -y --no-install-recommends {' '.join(packages)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
