"""JupyterLab as tests see it: a page, the folder behind it, and the platform's client."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, Request, ViewportSize
from playwright.async_api import TimeoutError as TooLate

from atelier_sdk import Client
from tests.atelier_cli.platform.installation import PASSWORD, Installation

EACH = 100  # ms between two looks; else a page is looked at, and drawn for that, sixty times a second
SIZE: ViewportSize = {"width": 1280, "height": 800}  # of a small laptop
# After all is restored the file browser opens the file in the address, or else the launcher, which takes the focus.
SETTLED = """() => {
  const browser = document.querySelector('.jp-FileBrowser');
  return browser && !browser.closest('.jp-mod-restoring') && !browser.querySelector('.jp-mod-restoring')
    && !window.jupyterapp.shell.isEmpty('main');
}"""


# As it was when it was opened: what is open is closed without a question, then Lab opens its launcher by itself.
CLEAR = """async () => {
  const { shell, commands } = window.jupyterapp;
  for (const close of document.querySelectorAll('.jp-Notification-Toast-Close')) {
    close.click();
  }
  shell.collapseRight();
  await commands.execute('filebrowser:go-to-path', { path: '/', dontShowBrowser: true });
  await commands.execute('filebrowser:activate');
  for (const widget of [...shell.widgets('down'), ...shell.widgets('main')]) {
    if (widget.context) widget.context.model.dirty = false;
    widget.dispose();
  }
}"""
CLEARED = "() => document.activeElement?.closest('.jp-Launcher') && !document.querySelector('.Toastify__toast')"


async def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Through the hub's form."""
    await page.goto("/hub/login")
    await page.fill("#username_input", name)
    await page.fill("#password_input", password)
    await page.click("#login_submit")


def _stores_what_is_open(request: Request) -> bool:
    return request.method == "PUT" and "/api/workspaces/" in request.url


@dataclass
class Lab:
    """One tab with JupyterLab of a person."""

    page: Page
    platform: Installation
    client: Client
    name: str = "ada"
    errors: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """What the file browser shows."""
        return self.platform.layout.data / "users" / self.name

    async def open(self, path: str = "") -> None:
        """Load Lab in a workspace of its own, with a document open where `path` names one."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        workspace = uuid.uuid4().hex[:8]
        tree = f"/tree/{path}" if path else ""
        await self.page.goto(f"/user/{self.name}/lab/workspaces/{workspace}{tree}")
        await self.ready()

    async def clear(self) -> bool:
        """Close all that a test left open, for the next one; whether the tab is as good as a new one."""
        if self.page.is_closed() or not re.search(r"/lab/workspaces/\w+", self.page.url):
            return False
        await self.page.unroute_all()
        await self.page.set_viewport_size(SIZE)
        if await self.page.locator(".jp-Dialog").count():
            return False
        await self.page.evaluate(CLEAR)
        try:
            await self.page.wait_for_function(CLEARED, timeout=5_000, polling=EACH)
        except TooLate:
            return False  # what the last test began still has news
        self.errors.clear()
        return True

    async def reload(self) -> None:
        """As a person presses F5, who is not quicker than Lab: it stores what is open half a second later."""
        async with self.page.expect_request(_stores_what_is_open) as stored:
            await self.page.evaluate("() => window.jupyterapp.shell.layoutModified.emit()")
        await (await stored.value).response()
        await self.page.reload()
        await self.ready()

    async def ready(self) -> None:
        """Until Lab has started all plugins and restored what was open: a page can look ready before that."""
        await self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
        await self.page.wait_for_selector("#main .jp-SideBar", timeout=30_000)
        await self.page.wait_for_function("() => window.jupyterapp !== undefined", polling=EACH)
        await self.page.evaluate("async () => { await window.jupyterapp.restored; }")
        await self.page.wait_for_function(SETTLED, polling=EACH)

    async def run(self, command: str, args: Mapping[str, Any] | None = None) -> None:
        """A command of Lab's, by its id."""
        await self.page.evaluate(
            "async ([command, args]) => { await window.jupyterapp.commands.execute(command, args); }",
            [command, dict(args or {})],
        )

    def write(self, path: str, content: str | bytes | Mapping[str, Any]) -> Path:
        """A file in the person's folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(content) if isinstance(content, Mapping) else content
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return file

    def read(self, path: str) -> Any:
        """A JSON file in the person's folder."""
        return json.loads((self.folder / path).read_text())

    def find(self, role: Any, name: str) -> Locator:
        """Something that a screen reader would call so."""
        return self.page.get_by_role(role, name=name)

    async def screenshot(self, path: Path) -> None:
        """For a person to look at."""
        await self.page.screenshot(path=path)
