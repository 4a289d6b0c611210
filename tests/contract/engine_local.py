"""The local engine under the contract suite."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from atelier_core.backend import BackendSettings
from atelier_core.image import Image
from atelier_core.workload import Handle
from atelier_runtime import process
from atelier_spawner.local.attempt import Attempt
from atelier_spawner.local.backend import LocalBackend
from tests.contract.engine import Engine
from tests.harness.attempt_api import AttemptApi


class LocalEngine(Engine):
    """Processes of this machine; `options` go to the back end."""

    name = "local"
    features = frozenset({"slots", "light", "processes", "uid"})

    def __init__(self, api: AttemptApi, data_dir: Path, cache_dir: Path, python: str) -> None:
        super().__init__(api)
        self.data_dir = data_dir
        self.options: dict[str, Any] = {"cache_dir": cache_dir, "cpu": 8, "memory": 8 * 1024**3}
        lock = cache_dir / "empty.lock"
        lock.write_text("# nothing but Python\n")
        self._images = {self.image: Image(name=self.image, reference="none", python=python, lock=lock)}

    def make(self) -> LocalBackend:
        return LocalBackend(
            BackendSettings(name="local", data_dir=self.data_dir, images=self._images, options=self.options)
        )

    def attempt(self, workload: str) -> Attempt:
        """The attempt as its folder shows it."""
        return Attempt(self.data_dir, workload)

    async def kill_shim(self, handle: Handle, replica: str) -> None:
        pid = self.attempt(handle.workload).shim(replica)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def left_over(self, workload: str) -> list[str]:
        places = [self.data_dir / "attempts", self.data_dir / "records"]
        folders = [str(path) for place in places for path in place.iterdir() if workload in path.name]
        return folders + [f"process {pid}" for pid in process.survivors(workload, [], None)]
