"""One try of a request at one upstream."""

from __future__ import annotations

import asyncio

from atelier_gateway.call import Call, response_too_large
from atelier_gateway.connection import BrokenAnswer, ClosedEarly, Connection
from atelier_gateway.errors import Refusal
from atelier_gateway.headers import RawHeaders, to_visitor
from atelier_gateway.replica import Upstream

# An answer up to this size is passed on when it is whole: one that breaks off before can be tried again.
WHOLE = 64 * 1024
_NO_BODY = frozenset({204, 205, 304})


class UsedBefore(ClosedEarly):
    """A kept connection was closed as the request was sent: what happens when an upstream ends idle connections."""


async def exchange(call: Call, upstream: Upstream, *, fresh: bool = False) -> None:
    """Send the request, pass the answer on. Raises `UpstreamError` or `Refusal`; see `call.answered`."""
    upstream.outstanding += 1
    connection: Connection | None = None
    sender: asyncio.Task[None] | None = None
    try:
        connection, reused = await upstream.connect(fresh=fresh)
        sender = _send(call, connection, upstream)
        try:
            await _wait_head(call, connection)
        except ClosedEarly as error:
            raise (UsedBefore(str(error)) if reused else error) from error
        upstream.succeeded()
        await _pass_on(call, connection, closing=sender is not None and not sender.done())
    finally:
        upstream.outstanding -= 1
        if sender is not None and not sender.done():
            sender.cancel()
            if connection is not None:
                connection.close()
        if connection is not None:
            upstream.give_back(connection)


def _send(call: Call, connection: Connection, upstream: Upstream) -> asyncio.Task[None] | None:
    """Send the head and what is there of the body; a task for the rest if there is more to come."""
    head = call.head(upstream.netloc, upstream.prefix)
    chunked, kept = call.body.chunked, call.body.kept
    if kept:
        head += b"%x\r\n%b\r\n" % (len(kept), kept) if chunked else kept
    connection.begin(head, head_only=call.method == "HEAD")
    if call.body.ended:
        return None
    return asyncio.create_task(call.body.send_rest(connection, chunked=chunked))


async def _wait_head(call: Call, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with asyncio.timeout(call.timeout):
                return await connection.head()
        except TimeoutError:
            if call.body.ended or loop.time() - call.body.moved_at > call.timeout:
                raise _too_slow(call) from None


async def _pass_on(call: Call, connection: Connection, *, closing: bool) -> None:
    call.status = connection.status
    headers = to_visitor(connection.headers, call.request_id)
    length = _length(call, connection)
    if length is not None:
        if call.response_limit is not None and call.method != "HEAD" and length > call.response_limit:
            raise response_too_large(call.response_limit)
        headers.append((b"content-length", b"%d" % length))
    if closing:  # it answers before it has read everything; the visitor is told to stop, too
        headers.append((b"connection", b"close"))
    if connection.complete or (length is not None and length <= WHOLE):
        return await _pass_whole(call, connection, headers)
    await call.start(headers)
    while True:
        piece = connection.take()
        if piece or connection.complete:
            done = connection.complete
            await call.pass_on(piece, more=not done)
            if done:
                return None
        else:
            await _more(call, connection)


async def _pass_whole(call: Call, connection: Connection, headers: RawHeaders) -> None:
    while not connection.complete:
        await _more(call, connection)
    piece = connection.take()
    call.count(piece)
    await call.start(headers)
    await call.send({"type": "http.response.body", "body": piece})


async def _more(call: Call, connection: Connection) -> None:
    try:
        async with asyncio.timeout(call.timeout):
            await connection.more()
    except TimeoutError:
        raise _too_slow(call) from None


def _length(call: Call, connection: Connection) -> int | None:
    if connection.status in _NO_BODY and call.method != "HEAD":
        return 0 if connection.status == 205 else None
    found = [value for name, value in connection.headers if name == b"content-length"]
    if not found or any(name == b"transfer-encoding" for name, _ in connection.headers):
        return None
    if not found[0].isdigit():
        raise BrokenAnswer("its length is not a number")
    return int(found[0])


def _too_slow(call: Call) -> Refusal:
    return Refusal(
        504,
        f"The service did not go on for {call.timeout:g} seconds.",
        code="upstream_timeout",
        hint="Look at the log of its replica, or have the service's timeout raised.",
    )
