"""A throw-away MariaDB from the system's own binaries."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.harness.ports import free_port

MISSING = "MariaDB's server is not installed. Run: apt-get install -y mariadb-server-core mariadb-client-core"
PASSWORD = "right/%41 horse"  # what an address would have to escape


class MariaDB:
    """One running server with the user `ann`, who must show her password; it is gone with all data after `stop`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="atelier-maria-"))
        self._socket = self._folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        """Make the data folder and start the server; durability is off, for this data is worth nothing."""
        data = f"--datadir={self._folder / 'data'}"
        user = ["--user=root"] if os.geteuid() == 0 else []
        install = ["mariadb-install-db", "--no-defaults", data, *user, "--auth-root-authentication-method=normal"]
        install += ["--skip-test-db", "--skip-name-resolve"]
        subprocess.run(install, check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        command = ["mariadbd", "--no-defaults", data, *user, f"--socket={self._socket}", f"--port={self.port}"]
        command += [
            "--bind-address=0.0.0.0",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-log-bin",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()
        self.run(f"CREATE USER ann@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO ann@'%'")

    def run(self, sql: str) -> None:
        """Statements, as the administrator."""
        command = ["mariadb", "--no-defaults", f"--socket={self._socket}", "--user=root", "-e", sql]
        subprocess.run(command, check=True, timeout=60, capture_output=True)

    def stop(self) -> None:
        """End it and remove its data."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        ping = ["mariadb", "--no-defaults", f"--socket={self._socket}", "--user=root", "-e", "SELECT 1"]
        for _ in range(300):
            if not subprocess.run(ping, check=False, timeout=30, capture_output=True).returncode:
                return
            time.sleep(0.1)
        raise RuntimeError(f"MariaDB did not start: {(self._folder / 'log').read_text()[-2000:]}")


def installed() -> bool:
    """Whether the machine has it."""
    return all(shutil.which(one) for one in ("mariadbd", "mariadb-install-db", "mariadb"))
