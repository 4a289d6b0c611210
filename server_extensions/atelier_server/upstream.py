"""The control plane as this server sees it: one HTTP client with the server's own token."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import httpx

from atelier_core.errors import AtelierError, BackendUnavailable, Forbidden, Invalid, NotFound, Unauthorized
from atelier_server.access import away
from atelier_server.settings import Settings

# The feed says something every 15 seconds; a log or a slow answer may be silent for as long as it likes.
FEED_SILENCE = 45.0
HEADER_SECONDS = 120.0
REFUSED = "refused"
REFUSED_HINT = "Stop and start your server on the hub's page: a new server gets a new token."
_GONE = frozenset({502, 503, 504})


@dataclass(frozen=True)
class Event:
    """Something that happened, and its JSON as it came."""

    id: int
    text: str


@dataclass
class Message:
    """One message of a stream of server-sent events."""

    id: str = ""
    kind: str = ""
    data: list[str] = field(default_factory=list)


def waits(longest: float = 5.0) -> Iterator[float]:
    """Growing pauses between tries, never two servers in step."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, longest)


def segments(*parts: str) -> str:
    """A path of these parts; none of them can lead out of its place."""
    if any(part in {"", ".", ".."} for part in parts):
        raise Invalid("A name in the path is empty or made of dots.", code="bad_path", hint="Correct the name.")
    return "/".join(quote(part, safe="") for part in parts)


def check_path(raw: str) -> str:
    """A path as the browser sent it, unless some reader of it could take it for a way out of the API."""
    plain = unquote(unquote(raw)).replace("\\", "/")
    if any(part in {".", ".."} for part in plain.split("/")) or "\0" in plain:
        raise NotFound("There is no such route.", hint="A path of the API has no dots as names.")
    return raw


class ControlPlane:
    """Asks the control plane; what goes wrong is an `AtelierError` for the person at the browser."""

    def __init__(self, settings: Settings) -> None:
        self.api = f"{settings.api_url.rstrip('/')}/api"
        self._there = bool(settings.api_url)
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {settings.token}", "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=20),
            trust_env=False,  # a proxy or a .netrc of the person must not see or change the token
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: AsyncIterator[bytes] | None = None,
        silence: float | None = None,
    ) -> httpx.Response:
        """The beginning of an answer; its body is still to be read, and the answer to be closed."""
        if not self._there:
            raise away("this server was not told where it is")
        timeout = httpx.Timeout(HEADER_SECONDS, connect=5, read=silence, pool=30)
        url = f"{self.api}/{path}"
        request = self._http.build_request(method, url, headers=headers, content=content, timeout=timeout)
        try:
            answer = await self._http.send(request, stream=True)
        except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
            raise away(_reason(error)) from error
        if _is_of_somebody_else(answer):
            await answer.aclose()
            raise away(f"the hub's proxy says {answer.status_code}")
        return answer

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str] | None = None, silence: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        """A long answer, or an `AtelierError`; broken off where nothing comes for `silence` seconds."""
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                answer = await self.send("GET", path, headers or {}, silence=silence)
        except TimeoutError:
            raise away("it takes too long") from None
        try:
            if answer.is_error:
                raise error_from(answer.status_code, await answer.aread())
            yield answer
        except (httpx.TransportError, httpx.StreamError) as error:
            raise away(_reason(error)) from error
        finally:
            await answer.aclose()

    async def json(self, path: str) -> Any:
        """A short answer."""
        async with self.stream(path, {"Accept": "application/json"}) as answer:
            return json.loads(await answer.aread())

    async def events(self, after: int | None) -> AsyncIterator[Event | int]:
        """The event feed after an id (from now on without): first its position as a number, then event by event."""
        headers = {"Accept": "text/event-stream"}
        query = ""
        if after is not None:
            headers["Last-Event-ID"], query = str(after), f"?after={after}"
        async with self.stream(f"events{query}", headers, FEED_SILENCE) as answer:
            async for message in messages(answer.aiter_lines()):
                if message.kind == "hello":
                    yield int(message.id)
                elif message.id.isdecimal() and not message.kind:
                    yield Event(int(message.id), "\n".join(message.data))


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[Message]:
    """Messages of a server-sent event stream; comments and an unfinished last message are dropped."""
    message = Message()
    async for line in lines:
        if not line:
            if message.data:
                yield message
            message = Message()
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            message.data.append(value)
        elif name == "id":
            message.id = value
        elif name == "event":
            message.kind = value


def error_from(status: int, body: bytes) -> AtelierError:
    """The control plane's own words as an error of ours."""
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or f"The control plane answered {status}.")
    code, hint = str(said.get("code") or "error"), str(said.get("hint") or "")
    if status == 401 or code == "token_without_scope":
        return Unauthorized(
            "The platform does not accept this server's token any more.", code=REFUSED, hint=REFUSED_HINT
        )
    kinds: dict[int, type[AtelierError]] = {403: Forbidden, 404: NotFound, 429: BackendUnavailable}
    kind = kinds.get(status, BackendUnavailable if status >= 500 else Invalid)
    return kind(message, code=code, hint=hint)


def _is_of_somebody_else(answer: httpx.Response) -> bool:
    """The proxy's own answer, or the hub's page because its proxy knows no control plane just now."""
    kind = answer.headers.get("content-type", "")
    return (answer.is_error and kind.startswith("text/html")) or (answer.status_code in _GONE and "json" not in kind)


def _reason(error: Exception) -> str:
    return "no connection" if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else "the connection broke"
