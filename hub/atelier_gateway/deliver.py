"""A request reaches one of the replicas that may answer it: another one where one is not there, nothing done twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from atelier_gateway.call import Call
from atelier_gateway.connection import ClosedEarly, Unreachable, UpstreamError
from atelier_gateway.counting import Counter
from atelier_gateway.errors import Refusal, VisitorGone, unavailable
from atelier_gateway.exchange import UsedBefore, exchange
from atelier_gateway.replica import Upstream
from atelier_gateway.table import Target, pick

log = logging.getLogger(__name__)
MOST_MIRRORED = 32
_MIRROR_SECONDS = 60.0


class Delivery:
    """One request and whom it was tried at; afterwards, who answered."""

    def __init__(
        self, call: Call, targets: Sequence[Target], again: Callable[[], Sequence[Target]] | None = None
    ) -> None:
        """`again` says who may answer by now: the routes may have changed since `targets` were chosen."""
        self._call = call
        self._targets = targets
        self._again = again
        self._tried: set[Upstream] = set()
        self.target: Target | None = None
        self.upstream: Upstream | None = None

    async def run(self) -> None:
        """Pass the answer on. Raises a refusal, or `UpstreamError` when the answer broke off in the middle."""
        error: UpstreamError | None = None
        again = False
        while True:
            if not again:
                found = pick(self._targets, self._tried)
                if found is None and self._again is not None:
                    found = pick(self._again(), self._tried)
                if found is None:
                    raise _nobody(error)
                self.target, self.upstream = found
            try:
                return await self._try(fresh=again)
            except UpstreamError as failed:
                error = failed
                self._check_repeatable(failed)
                # An idle connection that was just being closed says nothing about the replica.
                again = isinstance(failed, UsedBefore) and not again
                if not again:
                    self._give_up_on_it()

    async def _try(self, *, fresh: bool) -> None:
        assert self.target is not None
        assert self.upstream is not None
        counter = self.target.counter
        counter.begin()
        try:
            await exchange(self._call, self.upstream, fresh=fresh)
        except UpstreamError:
            raise
        except (Refusal, VisitorGone, asyncio.CancelledError) as error:
            self._count(counter, failed=isinstance(error, Refusal) and error.status >= 500)
            raise
        else:
            self._count(counter, failed=self._call.status >= 500)
        finally:
            counter.active -= 1

    def _check_repeatable(self, error: UpstreamError) -> None:
        """Raise unless the request may be sent once more."""
        call = self._call
        unsent = isinstance(error, Unreachable)
        allowed = unsent or ((call.repeatable or isinstance(error, UsedBefore)) and call.body.replayable)
        if allowed and not call.answered:
            return
        assert self.target is not None
        self._count(self.target.counter, failed=True)
        if call.answered:
            raise error
        self._give_up_on_it()
        what = "ended the connection" if isinstance(error, ClosedEarly) else "gave an answer that broke off"
        raise Refusal(
            502,
            f"The service {what}, and the request may have been carried out: it is not sent again.",
            code="upstream_failed",
            hint="Look at the log of its replica, then send the request again if it may be done twice.",
        ) from error

    def _give_up_on_it(self) -> None:
        assert self.upstream is not None
        self.upstream.failed()
        self._tried.add(self.upstream)

    def _count(self, counter: Counter, *, failed: bool) -> None:
        call = self._call
        seconds = time.perf_counter() - call.started
        counter.add(seconds, failed=failed, bytes_in=call.body.total, bytes_out=call.bytes_out)


def _nobody(error: UpstreamError | None) -> Refusal:
    if error is None:
        return unavailable(
            "The service has no replica that could answer now.",
            code="no_replica",
            hint="Try again in a moment; the service's page says why there is none.",
        )
    return unavailable(
        f"None of the service's replicas answers: {error}.",
        code="no_replica",
        hint="Try again in a moment; replicas that died are replaced.",
        retry_after=1,
    )


class Mirrors:
    """Copies of requests, whose answers nobody reads; so many at a time, and no more."""

    def __init__(self, most: int = MOST_MIRRORED) -> None:
        self._most = most
        self._running: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def start(self, target: Target, call: Call) -> None:
        """Send a copy of a request whose body is known."""
        if len(self._running) >= self._most:
            self.dropped += 1
            return
        copy = Call(
            _swallow, call.method, call.target, call.headers, call.body, _MIRROR_SECONDS, call.request_id,
            response_limit=call.response_limit,
        )  # fmt: skip
        task = asyncio.create_task(self._send(copy, target))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _send(self, call: Call, target: Target) -> None:
        try:
            await Delivery(call, (target,)).run()
        except (UpstreamError, Refusal) as error:
            log.debug("a mirrored request failed: %s", error)


async def _swallow(message: object) -> None:
    """Where the answers of mirrored requests go."""
