"""A real Elyra in an environment of its own, with atelier-elyra in it, and its editor in a browser."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page

from tests.harness.control_plane import environment_cache
from tests.harness.ports import free_port

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("requirements.lock")
START_SECONDS = 90


def environment() -> Path:
    """The Python of that environment; made once for each lock file, whole or not at all."""
    name = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = environment_cache() / f"elyra-{name}"
    if not folder.is_dir():
        fresh = folder.with_suffix(f".{os.getpid()}")
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh))
        install = (uv, "pip", "install", "--quiet", "--python", str(fresh / "bin/python"), "--no-deps")
        _run(*install, "--require-hashes", "-r", str(LOCK))
        try:
            fresh.rename(folder)
        except OSError:  # another run was quicker
            shutil.rmtree(fresh)
    return folder / "bin/python"


def install_adapter(python: Path, target: Path) -> None:
    """The adapter and the SDK as wheels of this tree, beside the environment and not in it."""
    uv = str(Path(sys.executable).with_name("uv"))
    for project in ("hub/sdk", "server_extensions/elyra"):
        _run(uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps", "--no-build-isolation-package",
             "none", "--target", str(target), str(ROOT / project))  # fmt: skip


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed: {done.stderr[-3000:]}")


@dataclass
class ElyraServer:
    """JupyterLab with Elyra on a folder, signed in to the control plane at `platform` as one person."""

    folder: Path
    platform: str
    user: str
    token: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def start(self) -> None:
        """Until it answers."""
        python, adapter = environment(), self.folder / "adapter"
        install_adapter(python, adapter)
        self.root.mkdir()
        home = self.folder / "home"
        home.mkdir()
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(adapter),
            # Where it was installed to, as a wheel puts it below the prefix.
            "ELYRA_METADATA_PATH": str(adapter / "share/jupyter"),
            "ATELIER_API_URL": self.platform,
            "JUPYTERHUB_API_TOKEN": self.token,
            "ATELIER_PROJECT": self.user,
        }
        options = ["--no-browser", "--allow-root", f"--port={self.port}", "--ServerApp.port_retries=0",
                   "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
                   "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={self.root}"]  # fmt: skip
        with (self.folder / "elyra.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(python), "-m", "jupyterlab", *options], env=env, cwd=self.root, stdout=log, stderr=log
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/api/status", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        raise RuntimeError(f"Elyra did not start:\n{(self.folder / 'elyra.log').read_text()[-3000:]}")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def get(self, path: str) -> Any:
        """Something of Elyra's own API."""
        answer = httpx.get(f"{self.url}/elyra/{path}", timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def palette(self) -> list[dict[str, Any]]:
        """Our templates as Elyra's palette has them; it reads its catalogs a moment after it started."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            groups = self.get("pipeline/components/ATELIER")["categories"]
            found = [node for group in groups for node in group["node_types"] if "template" in node["op"]]
            if found:
                return found
            time.sleep(0.3)
        raise AssertionError(
            f"no template of ours is in the palette:\n{(self.folder / 'elyra.log').read_text()[-3000:]}"
        )

    def post(self, path: str, body: Any) -> httpx.Response:
        """Something for Elyra's own API."""
        return httpx.post(f"{self.url}/elyra/{path}", json=body, timeout=120)

    def write(self, name: str, document: Any) -> Path:
        """A pipeline file in its folder."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
        return file

    def read(self, name: str) -> Any:
        """What is in a pipeline file now."""
        return json.loads((self.root / name).read_text())


@dataclass
class ElyraEditor:
    """Elyra's own editor in a browser tab."""

    server: ElyraServer
    page: Page

    @classmethod
    async def open(cls, server: ElyraServer, browser: Browser) -> ElyraEditor:
        """Lab with Elyra, nothing open."""
        page = await browser.new_page(viewport={"width": 1500, "height": 900})
        await page.goto(f"{server.url}/lab?reset")
        await page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
        await page.wait_for_selector("#main .jp-SideBar", timeout=30_000)
        return cls(server, page)

    async def run(self, command: str, **args: Any) -> None:
        """One of Lab's commands."""
        await self.page.evaluate(
            "async ([c, a]) => { await window.jupyterapp.commands.execute(c, a); }", [command, args]
        )

    async def open_and_save(self, name: str, nodes: int) -> Any:
        """Open a file, move its first node a little so that Elyra has something to save, save; what is there then."""
        before = (self.server.root / name).read_text()
        await self.run("docmanager:open", path=name)
        shown = self.page.locator(".lm-DockPanel-widget:not(.lm-mod-hidden) .d3-node-group.d3-draggable")
        await shown.nth(nodes - 1).wait_for(timeout=60_000)
        box = await shown.first.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await self.page.mouse.move(x, y)
        await self.page.mouse.down()
        await self.page.mouse.move(x + 30, y + 20, steps=5)
        await self.page.mouse.up()
        await self.page.wait_for_timeout(300)
        await self.run("docmanager:save")
        for _ in range(50):
            if (self.server.root / name).read_text() != before:
                break
            await self.page.wait_for_timeout(100)
        else:
            raise AssertionError(f"Elyra wrote nothing to {name}")
        await self.run("application:close")
        return self.server.read(name)
