"""Where a sign-in comes from, by a real server's requests: clients must not be able to say it themselves."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from atelier_spawner.accounts.authenticator import client_address

LOCAL = ("127.0.0.1", "::1")


class Echo(web.RequestHandler):
    """Says where the request comes from, by the settings of the application."""

    def get(self) -> None:
        self.write(client_address(self.request, self.settings["proxies"], self.settings["hops"]))


@pytest.mark.parametrize(
    ("proxies", "hops", "headers", "address"),
    [
        (LOCAL, 1, {}, "127.0.0.1"),
        (LOCAL, 1, {"X-Forwarded-For": "192.0.2.7"}, "192.0.2.7"),
        (LOCAL, 1, {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}, "192.0.2.7"),
        (LOCAL, 1, {"X-Forwarded-For": "198.51.100.1, 127.0.0.1"}, "127.0.0.1"),
        (LOCAL, 1, {"X-Real-Ip": "198.51.100.1", "X-Forwarded-For": "192.0.2.7"}, "192.0.2.7"),
        (LOCAL, 1, {"X-Real-Ip": "198.51.100.1"}, "127.0.0.1"),
        (LOCAL, 2, {"X-Forwarded-For": "198.51.100.1, 192.0.2.7, 203.0.113.5"}, "192.0.2.7"),
        (LOCAL, 2, {"X-Forwarded-For": "192.0.2.7"}, "192.0.2.7"),
        (LOCAL, 0, {"X-Forwarded-For": "198.51.100.1"}, "127.0.0.1"),
        ((), 1, {"X-Forwarded-For": "198.51.100.1", "X-Real-Ip": "198.51.100.2"}, "127.0.0.1"),
    ],
)
async def test_the_address(proxies: tuple[str, ...], hops: int, headers: dict[str, str], address: str) -> None:
    application = web.Application([("/", Echo)], proxies=proxies, hops=hops)
    server = HTTPServer(application, xheaders=True)  # as the hub does, which believes X-Real-Ip from anybody
    listening, port = bind_unused_port("127.0.0.1")
    server.add_socket(listening)
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(10):
            assert (await client.get(f"http://127.0.0.1:{port}/", headers=headers)).text == address
    finally:
        server.stop()
