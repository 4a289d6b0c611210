"""A real MLflow server for tests, in the environment that the platform makes for it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from atelier_cli.platform.tracking import environment, process
from tests.harness.ports import free_port

START_SECONDS = 120


class MlflowServer:
    """One MLflow; `kill` and `start` again as one likes."""

    def __init__(self, folder: Path, database: str = "") -> None:
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._secret = secrets.token_hex(16)
        process.write_configuration(folder, database)
        self._database = process.database_url(folder, database)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> MlflowServer:
        """Serve; returns when it answers."""
        environment.make(environment.default_cache())
        variables = process.variables(self.folder, self.password, self._secret, self._database)
        cache = str(environment.default_cache())
        with (self.folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "atelier_cli.platform.tracking.process",
                    cache,
                    str(self.folder),
                    str(self.port),
                ],
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError((self.folder / "mlflow.log").read_text()[-4000:])
            time.sleep(0.2)
        return self

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; its data stays."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None
