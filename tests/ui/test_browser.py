"""The browser of the stories is not disturbed by the cluster that may run beside them."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.async_api import Browser

ASK = """async () => {
  const end = Date.now() + 4000;
  let asked = 0;
  while (Date.now() < end) {
    await Promise.all([1, 2, 3, 4].map(() => fetch(`/?${asked++}`)));
  }
  return asked;
}"""
APPEARS = (
    "ip link add at-test0 type veth peer name at-test1"
    " && ip link set at-test0 up && ip addr add 10.78.9.9/32 dev at-test0"
)
GOES = "ip link del at-test0"


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def url() -> Iterator[str]:
    """A server that keeps connections."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.root
async def test_requests_go_on_while_addresses_come_and_go(chromium: Browser, url: str) -> None:
    page = await chromium.new_page()
    await page.goto(url)
    asking = asyncio.ensure_future(page.evaluate(ASK))
    try:
        for change in (APPEARS, GOES) * 3:
            await asyncio.sleep(0.5)
            subprocess.run(change, shell=True, check=True)
        assert await asking > 100
    finally:
        subprocess.run(GOES, shell=True, check=False, stderr=subprocess.DEVNULL)
        await page.close()
