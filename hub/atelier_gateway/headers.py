"""Which headers pass the gateway: what belongs to the platform never reaches a service, and never comes from one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

RawHeaders = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
    }
)  # fmt: skip
# Cookies are the hub's: a service cannot set any, so none is meant for it. Lengths are said anew.
_NOT_TO_UPSTREAM = _HOP_BY_HOP | {
    b"host", b"content-length", b"expect", b"authorization", b"cookie", b"cookie2", b"forwarded", b"x-real-ip",
    b"x-request-id", b"x-mlflow-workspace",
}  # fmt: skip
# What a browser would keep for the whole origin, which is the hub's.
_NOT_TO_VISITOR = _HOP_BY_HOP | {
    b"set-cookie", b"set-cookie2", b"clear-site-data", b"strict-transport-security", b"public-key-pins", b"alt-svc",
    b"service-worker-allowed", b"nel", b"report-to", b"reporting-endpoints", b"x-request-id", b"x-content-type-options",
    b"content-length",
}  # fmt: skip
_PLATFORM = (b"x-atelier-", b"x-forwarded-")
_WEBSOCKET = b"sec-websocket-"
# Pages of a service run, but not as the hub's own: no cookies, no storage, no calls in the visitor's name.
SANDBOX = (b"content-security-policy", b"sandbox allow-scripts allow-forms allow-popups allow-downloads allow-modals")
NO_SNIFF = (b"x-content-type-options", b"nosniff")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of one header, in order."""
    return [value for known, value in headers if known == name]


def to_upstream(headers: RawHeaders) -> RawHeaders:
    """What a service may see of a visitor's headers. Names come in lower case."""
    named = _named_by_connection(headers)
    kept = []
    for name, value in headers:
        # Many servers take `_` for `-`: what is called almost like a dropped header is dropped, too.
        plain = name.replace(b"_", b"-") if b"_" in name else name
        if plain in _NOT_TO_UPSTREAM or plain in named or plain.startswith(_PLATFORM) or _BAD_VALUE.search(value):
            continue
        kept.append((name, value))
    return kept


def to_upstream_websocket(headers: RawHeaders) -> RawHeaders:
    """The same for a websocket, whose handshake is made anew."""
    return [(name, value) for name, value in to_upstream(headers) if not name.startswith(_WEBSOCKET)]


def to_visitor(headers: RawHeaders, request_id: bytes) -> RawHeaders:
    """What a visitor may see of an answer's headers, without its length, and what the gateway adds."""
    named = _named_by_connection(headers)
    kept = [
        (name, value)
        for name, value in headers
        if name not in _NOT_TO_VISITOR
        and name not in named
        and not name.startswith(b"x-atelier-")
        and not _BAD_VALUE.search(value)
    ]
    kept += [SANDBOX, NO_SNIFF, (b"x-request-id", request_id)]
    return kept


def _named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    """Headers that `Connection` declares to be for one hop only."""
    named = [value for name, value in headers if name == b"connection"]
    if not named:
        return frozenset()
    return frozenset(token.strip().lower() for token in b",".join(named).split(b","))


def request_id(headers: RawHeaders) -> bytes:
    """The visitor's own id of the request if it has a decent one, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return secrets.token_hex(8).encode()


def cookies(headers: RawHeaders) -> dict[str, str]:
    """The visitor's cookies, for routing only."""
    found: dict[str, str] = {}
    for line in values(headers, b"cookie"):
        for part in line.decode("latin-1").split(";"):
            name, separator, value = part.strip().partition("=")
            if separator:
                found.setdefault(name, value.strip('"'))
    return found
