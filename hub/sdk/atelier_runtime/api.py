"""The control plane as the shim sees it: one attempt, one token, patience while it restarts."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any, BinaryIO, TypeVar, Union
from urllib.parse import quote, urlsplit

from atelier_runtime.archive import CHUNK, BadArchive
from atelier_runtime.files import FULL

PATIENCE = 600.0
TIMEOUT = 60.0
_AGAIN = frozenset({429, 502, 503, 504})
_OVER = frozenset({401, 410})
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 15.0

Result = TypeVar("Result")
Body = Union[bytes, BinaryIO, Iterable[bytes], None]  # noqa: UP007  # evaluated at run time, on Python 3.9 too


class ApiError(Exception):
    """The control plane refused; trying again would not help."""

    def __init__(self, status: int, message: str, body: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.body = body


class AttemptOver(ApiError):
    """The attempt is over for the control plane: kill and leave."""


class Unreachable(Exception):
    """The control plane did not answer, or the disk here had no room, for as long as we wait."""


class OwnFault(Exception):
    """A file on this side cannot be read or written; the control plane has no part in it."""


class _Later(Exception):
    """Not now."""


class _NoRoom(_Later):
    """The disk on this side is full."""


class Api:
    """Calls below `/attempts/{attempt}`. Not for several threads at once."""

    def __init__(self, url: str, attempt: str, token: str, patience: float = PATIENCE) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/") + "/attempts/" + quote(attempt, safe="") + "/"
        self._token = token
        self._patience = patience
        self._connection: HTTPConnection | None = None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Send a JSON document."""
        body = json.dumps(document).encode()
        return self.call("POST", path, _json, lambda: body, {"Content-Type": "application/json"})

    def get(self, path: str, receive: Callable[[Answer], Result]) -> Result:
        """Fetch something; `receive` reads the answer and is called anew if the connection breaks half-way."""
        return self.call("GET", path, receive)

    def put_file(self, path: str, file_path: str, headers: dict[str, str]) -> dict[str, Any]:
        """Store a file, streamed."""
        return self.call("PUT", path, _json, lambda: open(file_path, "rb"), headers)

    def put_stream(self, path: str, pieces: Callable[[], Iterable[bytes]], headers: dict[str, str]) -> dict[str, Any]:
        """Store what `pieces` yields, streamed."""
        return self.call("PUT", path, _json, pieces, headers)

    def call(
        self,
        method: str,
        path: str,
        receive: Callable[[Answer], Result],
        body: Callable[[], Body] = lambda: None,
        headers: dict[str, str] | None = None,
    ) -> Result:
        """One call, tried again as the protocol says; `OwnFault` where that would not help."""
        started, wait = time.monotonic(), _FIRST_WAIT
        while True:
            try:
                return self._once(method, path, receive, _opened(body), headers or {})
            except (OwnFault, BadArchive):
                self.close()  # what was on its way is not whole
                raise
            except (OSError, HTTPException, _Later) as error:
                self.close()
                if time.monotonic() - started + wait > self._patience:
                    raise Unreachable(_why(error, self._patience)) from error
            time.sleep(wait * random.uniform(0.7, 1.3))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _once(
        self, method: str, path: str, receive: Callable[[Answer], Result], body: Body, headers: dict[str, str]
    ) -> Result:
        connection = self._connect()
        all_headers = {"Authorization": "Bearer " + self._token, **headers}
        try:
            response = self._send(connection, method, path, body, all_headers)
        finally:
            if hasattr(body, "close"):
                body.close()  # type: ignore[union-attr]
        if response.status >= 300:
            raise _refusal(response)
        return _received(response, receive)

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: Body, headers: dict[str, str]
    ) -> HTTPResponse:
        chunked = body is not None and not isinstance(body, bytes) and not hasattr(body, "fileno")
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif body is not None and hasattr(body, "fileno"):
            headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
        try:
            pieces = body if body is None or isinstance(body, bytes) else _pieces(body)
            connection.request(method, self._prefix + path, body=pieces, headers=headers, encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            # It may have refused the body before all of it was sent; its answer says why.
            return connection.getresponse()
        return connection.getresponse()

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            make = HTTPSConnection if self._secure else HTTPConnection
            self._connection = make(self._host, self._port, timeout=TIMEOUT, blocksize=CHUNK)
        return self._connection


class Answer:
    """An answer as its receiver sees it; that the connection broke is told from what the receiver cannot do."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.getheader = response.getheader

    def read(self, amount: int | None = None) -> bytes:
        """The next bytes; all if no amount is given."""
        try:
            return self._response.read(amount)
        except OSError as error:
            raise IncompleteRead(b"", self._response.length) from error


def _received(response: HTTPResponse, receive: Callable[[Answer], Result]) -> Result:
    """What `receive` made of the answer; a body that broke off counts as a broken connection."""
    try:
        result = receive(Answer(response))
    except OSError as error:
        raise _own(error) from error
    except Exception as error:
        if response.length:
            raise IncompleteRead(b"", response.length) from error
        raise
    response.read()
    if response.length:
        raise IncompleteRead(b"", response.length)
    return result


def _opened(body: Callable[[], Body]) -> Body:
    try:
        return body()
    except OSError as error:
        raise _own(error) from error


def _pieces(body: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    """What a file holds, or what a body yields."""
    source = iter(lambda: body.read(CHUNK), b"") if hasattr(body, "read") else iter(body)
    while True:
        try:
            piece = next(source, None)
        except OSError as error:
            raise _own(error) from error
        if piece is None:
            return
        yield piece


def _own(error: OSError) -> Exception:
    """On a full disk there may be room later."""
    return _NoRoom(str(error)) if error.errno in FULL else OwnFault(str(error))


def _why(error: Exception, seconds: float) -> str:
    if isinstance(error, _NoRoom):
        return f"The disk of the step had no room for {seconds:.0f} s ({error}). Free some, or give it more."
    return f"The control plane did not answer for {seconds:.0f} s ({error})."


def _json(response: Answer) -> dict[str, Any]:
    text = response.read()
    return json.loads(text) if text else {}


def _refusal(response: HTTPResponse) -> Exception:
    text = response.read()
    if response.status in _AGAIN:
        return _Later(f"HTTP {response.status}")
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = " ".join(str(body[key]) for key in ("message", "hint") if body.get(key)) or f"HTTP {response.status}"
    over = response.status in _OVER or body.get("code") == "gone"
    kind = AttemptOver if over else ApiError
    return kind(response.status, message, body)
