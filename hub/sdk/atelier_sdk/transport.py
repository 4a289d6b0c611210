"""One HTTP call: what is tried again, and how answers become errors."""

from __future__ import annotations

import functools
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from atelier_sdk.errors import AtelierError, NotSignedIn, Unreachable

RETRIED_STATUS = frozenset({502, 503, 504})
_PIECE = 64 * 1024
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_SIGN_IN = (
    "Get a new token from the hub's token page and run `atelier login URL`; `atelier up` renews it on this machine."
)


class Transport:
    """Sends requests to one platform. A control plane that restarts is waited for, up to `patience` seconds."""

    def __init__(self, url: str, token: str, *, patience: float = 30.0, timeout: float = 60.0) -> None:
        if not (token.isascii() and token.isprintable()):
            raise NotSignedIn("This is no token: it has characters that no token has.", code="bad_token", hint=_SIGN_IN)
        self.url = url.rstrip("/")
        self._patience = patience
        with self._addressed():
            self.http = httpx.Client(
                base_url=f"{self.url}/api/",
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                timeout=httpx.Timeout(timeout, connect=10),
                verify=_trusted(),
            )

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def request(self, method: str, path: str, *, idempotent: bool | None = None, **options: Any) -> httpx.Response:
        """The answer, or an `AtelierError`. Only calls that may safely arrive twice are sent twice."""
        repeatable = method in _IDEMPOTENT if idempotent is None else idempotent
        options = {key: value for key, value in options.items() if value is not None}
        if "json" in options:
            options["content"] = _encoded(options.pop("json"))
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        with self._addressed():
            answer = self._retried(lambda: self.http.request(method, path, **options), repeatable)
        if not _is_ours(answer):
            raise error_from(answer)
        return answer

    @contextmanager
    def _addressed(self) -> Iterator[None]:
        """An address that cannot be one is found out at different places."""
        try:
            yield
        except (httpx.InvalidURL, UnicodeError) as error:
            raise AtelierError(
                f"{self.url} is not an address: {error}.",
                code="bad_url",
                hint="Give the address that you open in the browser, up to and without /hub.",
            ) from error

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """The beginning of a long answer, or an `AtelierError`; `Unreachable`, also on the way, if trying again may
        help."""
        try:
            with ExitStack() as opened:
                with self._addressed():
                    answer = opened.enter_context(self.http.stream("GET", path, **options))
                if not answer.is_success:
                    answer.read()
                    raise error_from(answer)
                yield answer
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def download(self, path: str, target: Path, **options: Any) -> None:
        """Write a long answer to a file, which is there once it is whole. When the connection breaks, it is asked for
        again from its beginning, until no try has come further for `patience` seconds."""
        part = target.with_name(f".{target.name}.part")
        furthest, deadline = 0, time.monotonic() + self._patience
        try:
            for wait in waits():
                try:
                    with self.stream(path, **options) as answer, part.open("wb") as file:
                        file.writelines(answer.iter_bytes())
                    break
                except Unreachable:
                    come = part.stat().st_size if part.exists() else 0
                    if come > furthest:
                        furthest, deadline = come, time.monotonic() + self._patience
                    if time.monotonic() + wait > deadline:
                        raise
                time.sleep(wait)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, url: str, content: BinaryIO, content_type: str, params: dict[str, str]) -> Iterator[bytes]:
        """Send a file piece by piece, give the answer piece by piece. It is not sent twice: it can be read but once."""
        pieces = iter(lambda: content.read(_PIECE), b"")
        headers = {"Content-Type": content_type, "Accept": "*/*"}
        try:
            with self.http.stream("POST", url, content=pieces, headers=headers, params=params) as answer:
                if answer.is_error:
                    answer.read()
                    raise error_from(answer)
                yield from answer.iter_bytes()
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise Unreachable(
                "The answer broke off before its end.", code="broke_off", hint="Its last line says why, if it has one."
            ) from error
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def _retried(self, send: Callable[[], httpx.Response], repeatable: bool) -> httpx.Response:
        deadline = time.monotonic() + self._patience
        for wait in waits():
            last = not repeatable or time.monotonic() + wait > deadline
            try:
                answer = send()
            except httpx.TransportError as error:
                if last:
                    raise self.unreachable(error) from error
            else:
                if last or answer.status_code not in RETRIED_STATUS:
                    return answer
            time.sleep(wait)
        raise AssertionError("waits() never ends")

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """What to say when there was no answer."""
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            what = f"The platform at {self.url} did not answer in time."
        else:
            what = f"The platform at {self.url} cannot be reached ({error or type(error).__name__})."
        return Unreachable(
            what,
            code="unreachable",
            hint="Start it with `atelier up`, see what is wrong with `atelier status`, "
            "or sign in to another one with `atelier login URL`.",
        )


@functools.cache
def _trusted() -> ssl.SSLContext:
    """One for all clients: to read whom the machine trusts takes 20 ms."""
    return httpx.create_ssl_context()


def _encoded(body: Any) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise AtelierError(
            f"What is to be sent cannot be written as JSON: {error}.",
            code="not_json",
            hint="Text must be valid Unicode, numbers must be finite, and nothing may be nested hundreds of times.",
        ) from None


def _is_ours(answer: httpx.Response) -> bool:
    """Whether it went well, and at the platform: the hub sends who comes to it to its own pages."""
    return answer.is_success and not answer.headers.get("Content-Type", "").startswith("text/html")


def waits() -> Iterator[float]:
    """Growing pauses between tries, never two clients in step."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, 3.0)


def error_from(answer: httpx.Response) -> AtelierError:
    """The platform's own words where it sent some; else the status in words."""
    try:
        body = answer.json()
    except (ValueError, httpx.ResponseNotRead):
        body = {}
    if not isinstance(body, dict) or "message" not in body:
        body = _without_words(answer)
    kind = _kind(answer.status_code)
    known = ("message", "code", "hint", "trace")
    hint = body.get("hint") or (_SIGN_IN if answer.status_code == 401 else "")
    return kind(
        str(body["message"]),
        code=str(body.get("code") or "error"),
        hint=str(hint),
        status=answer.status_code,
        trace=str(body.get("trace") or ""),
        details={key: value for key, value in body.items() if key not in known},
    )


def _kind(status: int) -> type[AtelierError]:
    if status in RETRIED_STATUS:
        return Unreachable
    return NotSignedIn if status == 401 else AtelierError


def _without_words(answer: httpx.Response) -> dict[str, str]:
    """An answer that is not the control plane's: the proxy's, or another server's."""
    status = answer.status_code
    if status in RETRIED_STATUS:
        return {
            "message": f"The platform's proxy answers, its control plane does not ({status}).",
            "code": "unavailable",
            "hint": "It may be restarting: try again soon, or look at `atelier status`.",
        }
    return {
        "message": f"{answer.request.url} answered {status} {answer.reason_phrase}.",
        "code": "unexpected_answer",
        "hint": "Is this the address of an Atelier platform? `atelier login URL` takes the hub's address.",
    }
