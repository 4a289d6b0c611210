"""Debian's Chromium, as tests start it; a browser is never downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

# The same engine without the browser around it takes a third less of the processor.
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
STEADY = Path(__file__).with_name("steady_chromium.py")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=LocalNetworkAccessChecks",  # a page that a test has touched is no longer this machine's own
]


@asynccontextmanager
async def chromium(*programs: str) -> AsyncIterator[Browser]:
    """The first of `programs` that there is; `ATELIER_TEST_CHROMIUM` names another."""
    found = (shutil.which(one) for one in (os.environ.get("ATELIER_TEST_CHROMIUM", ""), *(programs or PROGRAMS)) if one)
    program = next(filter(None, found), None)
    assert program, "There is no Chromium. Run: apt-get install -y chromium"
    async with async_playwright() as playwright:
        env = {**os.environ, "ATELIER_TEST_CHROMIUM": program}
        browser = await playwright.chromium.launch(executable_path=STEADY, args=FLAGS, env=env)
        yield browser
        await browser.close()
