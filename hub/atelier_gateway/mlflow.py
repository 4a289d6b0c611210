"""`/mlflow/…`: a visitor's token becomes the account at MLflow that may do what the visitor may, in one workspace."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote, unquote

from atelier_gateway import headers
from atelier_gateway.access import token_of
from atelier_gateway.body import Body
from atelier_gateway.call import Call
from atelier_gateway.connection import UpstreamError
from atelier_gateway.control_plane import Account, ControlPlane
from atelier_gateway.errors import Refusal, unavailable
from atelier_gateway.exchange import UsedBefore, exchange
from atelier_gateway.remembered import Remembered
from atelier_gateway.replica import Upstream

WORKSPACE = b"x-mlflow-workspace"
ACTOR = b"x-atelier-actor"  # MLflow's server marks with it what is registered; from visitors it is never taken
_SECONDS = 300.0
_MOST_UPSTREAMS = 8
_HINT = (
    "In JupyterLab, the panels Models and Runs show what MLflow keeps. Programs use the mlflow client: notebooks and "
    "steps have a token already, others send one of the hub as MLFLOW_TRACKING_TOKEN."
)


class MLflow:
    """Passes requests on to MLflow, of any size in both directions."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._accounts: Remembered[Account] = Remembered(control_plane.mlflow)
        self._upstreams: dict[str, Upstream] = {}

    async def handle(self, scope: Any, receive: Any, send: Any, target: bytes, request_id: bytes) -> None:
        """Answer one request. Raises a refusal if there was no answer yet."""
        raw = scope["headers"]
        token, project = token_of(raw), _workspace(raw)
        if not token:
            raise Refusal(401, "MLflow is reached with a token, never from a browser.", code="unauthorized", hint=_HINT)
        account = await self._accounts.get(token, project)
        length = next(iter(headers.values(raw, b"content-length")), None)
        body = Body(receive, int(length) if length is not None else None, None, _SECONDS)
        sent = headers.to_upstream(raw) + _identity(account) + [(b"x-request-id", request_id)]
        call = Call(send, scope["method"], target, sent, body, _SECONDS, request_id)
        with call.watched():
            await body.first()
            await self._deliver(call, self._upstream(account.url))
        if call.status == 401:  # the account is not what it was
            self._accounts.forget(token, project)

    async def _deliver(self, call: Call, upstream: Upstream) -> None:
        try:
            return await exchange(call, upstream)
        except UsedBefore as error:
            if not call.body.replayable:
                raise _away(error) from error
        except UpstreamError as error:
            if call.answered:
                raise
            raise _away(error) from error
        try:
            await exchange(call, upstream, fresh=True)
        except UpstreamError as error:
            if call.answered:
                raise
            raise _away(error) from error

    def _upstream(self, url: str) -> Upstream:
        found = self._upstreams.get(url)
        if found is None:
            while len(self._upstreams) >= _MOST_UPSTREAMS:
                self._upstreams.pop(next(iter(self._upstreams))).retire()
            found = self._upstreams[url] = Upstream("mlflow", url)
        return found


def _workspace(raw: headers.RawHeaders) -> str:
    """The project that the visitor names; empty means their own."""
    named = headers.values(raw, WORKSPACE)
    if len(named) > 1:
        raise Refusal(422, "The request names more than one workspace.", code="invalid", hint="Name one project.")
    return unquote(named[0].decode("latin-1")).strip() if named else ""


def _identity(account: Account) -> headers.RawHeaders:
    basic = b64encode(f"{account.username}:{account.password}".encode())
    return [
        (b"authorization", b"Basic " + basic),
        (WORKSPACE, quote(account.project, safe="@+").encode()),
        (ACTOR, quote(account.actor, safe="@+").encode()),
    ]


def _away(error: UpstreamError) -> Refusal:
    return unavailable(f"MLflow does not answer: {error}.", code="mlflow_away")
