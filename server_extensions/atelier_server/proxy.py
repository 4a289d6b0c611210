"""`/atelier/api/…`: everything that the browser asks the control plane passes here, in both directions as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from jupyter_server.base.handlers import APIHandler
from tornado.iostream import StreamClosedError
from tornado.web import stream_request_body

from atelier_core.errors import AtelierError
from atelier_server.access import OwnerHandler, away, error_body
from atelier_server.page import away_page
from atelier_server.settings import Settings
from atelier_server.upstream import HEADER_SECONDS, ControlPlane, check_path

# What the control plane needs to know of the browser's request: no cookie, no token, nothing else of the browser.
ASKED = ("Content-Type", "Content-Length", "Accept", "If-Match", "If-None-Match", "Range", "Last-Event-ID")
# What the browser needs to know of the answer: no Set-Cookie, nothing that belongs to one connection.
ANSWERED = (
    "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "Content-Range", "Accept-Ranges",
    "ETag", "Last-Modified", "Cache-Control", "Retry-After", "Content-Security-Policy", "X-Content-Type-Options",
    "X-Atelier-Kind",
)  # fmt: skip
_PIECES = 4  # pieces of a request body that may wait here
_NO_LIMIT = 2**50  # the control plane has its own limits and says so in words
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


@stream_request_body
class ProxyHandler(OwnerHandler):
    """Passes one request on with the server's own token."""

    def initialize(self, platform: Settings, upstream: ControlPlane) -> None:  # type: ignore[override]
        """`upstream` is shared by all requests."""
        super().initialize(platform)
        self._upstream = upstream
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)
        self._answer: asyncio.Task[httpx.Response] | None = None
        self._work: asyncio.Task[None] | None = None

    async def prepare(self, *args: Any, **kwargs: Any) -> None:
        """After the checks, before the first byte of the body: begin to ask."""
        await super().prepare(*args, **kwargs)
        if self._finished:
            return
        self.request.connection.set_max_body_size(_NO_LIMIT)  # type: ignore[union-attr]
        base = f"{self.base_url}atelier/api/"
        path = check_path(self.request.path[len(base) :])
        query = f"?{self.request.query}" if self.request.query else ""
        headers = {name: self.request.headers[name] for name in ASKED if name in self.request.headers}
        method = str(self.request.method)
        length = self.request.headers.get("Content-Length", "0" if method in _BODILESS else "")
        chunked = "Transfer-Encoding" in self.request.headers
        content = self._body() if chunked or length not in {"", "0"} else None
        self._answer = asyncio.create_task(self._upstream.send(method, path + query, headers, content))

    async def data_received(self, chunk: bytes) -> None:
        """Take no more from the browser than the control plane takes from us."""
        put = asyncio.create_task(self._pieces.put(chunk))
        if self._answer is not None:
            # An answer before the end of the body (too large, not allowed) ends the waiting; the rest is dropped.
            await asyncio.wait({put, self._answer}, return_when=asyncio.FIRST_COMPLETED)
        put.cancel()

    async def _body(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    def on_connection_close(self) -> None:
        """The browser went away: so do we, and the control plane notices."""
        super().on_connection_close()
        if self._work is not None:
            self._work.cancel()
        elif self._answer is not None:
            self._answer.cancel()
            self._answer.add_done_callback(_let_go)

    async def _pass_on(self) -> None:
        self._work = asyncio.create_task(self._answer_browser())
        await asyncio.wait({self._work})
        if not self._work.cancelled():
            self._work.result()

    async def _answer_browser(self) -> None:
        assert self._answer is not None
        end = asyncio.create_task(self._pieces.put(None))
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                answer = await self._answer
        except TimeoutError:
            raise away("it takes too long") from None
        finally:
            end.cancel()
        try:
            await self._write(answer)
        finally:
            await answer.aclose()

    async def _write(self, answer: httpx.Response) -> None:
        self.set_status(answer.status_code, answer.reason_phrase or None)
        self.clear_header("Content-Type")
        for name in ANSWERED:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        self.set_header("X-Content-Type-Options", "nosniff")
        if answer.is_error:
            self._close_after()
        try:
            async for piece in answer.aiter_raw():
                self.write(piece)
                await self.flush()
            self._done()
        except StreamClosedError:
            return
        except httpx.HTTPError:
            # The headers are out: only a broken connection can still say that something is missing.
            self.request.connection.stream.close()  # type: ignore[union-attr]

    def _done(self) -> None:
        """Not `APIHandler.finish`, which would name a content type where the control plane named none."""
        self.update_api_activity()
        super(APIHandler, self).finish()

    def _close_after(self) -> None:
        """Tornado hangs up where nobody read the body; unsaid, the proxy would use the connection again."""
        self.set_header("Connection", "close")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """For somebody who opened an address of ours in a tab, a page instead of JSON."""
        self._close_after()
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        wants_page = "text/html" in self.request.headers.get("Accept", "")
        if wants_page and isinstance(error, AtelierError) and (told := error_body(error)):
            self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            languages = self.request.headers.get("Accept-Language", "")
            said = {name: told[1][name] for name in ("message", "hint", "code")}
            self.finish(away_page(**said, languages=languages), set_content_type="text/html; charset=UTF-8")
            return
        super().write_error(status_code, **kwargs)

    async def get(self, path: str) -> None:
        """Pass it on."""
        await self._pass_on()

    async def head(self, path: str) -> None:
        """Pass it on."""
        await self._pass_on()

    async def post(self, path: str) -> None:
        """Pass it on."""
        await self._pass_on()

    async def put(self, path: str) -> None:
        """Pass it on."""
        await self._pass_on()

    async def patch(self, path: str) -> None:
        """Pass it on."""
        await self._pass_on()

    async def delete(self, path: str) -> None:
        """Pass it on."""
        await self._pass_on()


def _let_go(answer: asyncio.Task[httpx.Response]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        asyncio.ensure_future(answer.result().aclose())  # noqa: RUF006 - it only closes
