"""A throw-away PostgreSQL from the system's own binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from tests.harness.ports import free_port

MISSING = "PostgreSQL's server is not installed. Run: apt-get install -y postgresql"


class Postgres:
    """One running server with as many databases as tests want; it is gone with all data after `stop`.

    With a `password` it can be reached from everywhere, by who knows it.
    """

    def __init__(self, password: str = "") -> None:
        self._password = password
        self._bin = _binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="atelier-pg-"))
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None  # the server refuses to run as root
        if self._user:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self.port = free_port()

    def start(self) -> None:
        """Make the cluster and start it; durability is off, for this data is worth nothing."""
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        if self._password:
            with (self._folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        listen = "*" if self._password else "127.0.0.1"
        options = (
            f"-c listen_addresses={listen} -p {self.port} -k {self._folder} -c fsync=off -c full_page_writes=off"
            " -c synchronous_commit=off -c max_connections=300 -c shared_buffers=32MB"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start")
        if self._password:
            self._execute(SQL("ALTER USER postgres PASSWORD {}").format(self._password))

    def stop(self) -> None:
        """End it and remove its data."""
        try:
            self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def _execute(self, statement: Composed) -> None:
        server = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self._folder,
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode()[-2000:]}")


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise RuntimeError(MISSING)
    return found[-1].parent if found else Path(str(on_path)).parent
