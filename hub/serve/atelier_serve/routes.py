"""Everything that is asked seldom: health, metadata, metrics."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atelier_serve import __version__
from atelier_serve.errors import Refused, internal, loading
from atelier_serve.served import Served
from atelier_serve.state import State

EXTENSIONS = ["binary_tensor_data", "model_repository", "model_configuration", "statistics"]


def application(state: State) -> Starlette:
    """All routes; inference requests come here only when they name another model."""
    server, model = _Server(state), _Model(state)
    of_model = (("", model.metadata), ("/ready", model.ready), ("/config", model.config), ("/stats", model.stats))
    routes = [
        Route("/v2/health/live", server.live),
        Route("/v2/health/ready", server.ready),
        Route("/metrics", server.metrics),
        Route("/v2", server.metadata),
        Route("/v2/models/stats", model.stats),
        Route("/v2/repository/index", server.index, methods=["POST"]),
        Route("/v2/repository/models/{model}/{action}", server.fixed, methods=["POST"]),
        Route("/v1/models/{model}", model.ready),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        routes += [Route(path + end, answer) for end, answer in of_model]
        routes.append(Route(f"{path}/infer", model.other, methods=["POST"]))
    handlers = {HTTPException: _not_found, Refused: _refused, Exception: _failed}
    return Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]


class _Server:
    """What concerns the process."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        return _json({"ready": self._state.ready}, 200 if self._state.ready else 503)

    async def metadata(self, _: Request) -> Response:
        return _json({"name": "atelier-serve", "version": __version__, "extensions": EXTENSIONS})

    async def metrics(self, _: Request) -> Response:
        return Response(self._state.metrics.text(), media_type="text/plain; version=0.0.4")

    async def index(self, _: Request) -> Response:
        state = self._state
        kind, reason = "UNAVAILABLE", "stopping" if state.stopping else "loading"
        if state.ready:
            kind, reason = "READY", ""
        return _json([{"name": state.name, "version": state.version, "state": kind, "reason": reason}])

    async def fixed(self, _: Request) -> Response:
        raise Refused(
            "This server has one model, from its start to its end.",
            code="not_served",
            hint="Deploy another revision of the service instead.",
        )


class _Model:
    """What concerns the model."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def metadata(self, request: Request) -> Response:
        return _json(self._served(request).metadata())

    async def ready(self, request: Request) -> Response:
        self._named(request)
        ready = self._state.ready
        return _json({"name": self._state.name, "ready": ready}, 200 if ready else 503)

    async def config(self, request: Request) -> Response:
        return _json(self._served(request).config())

    async def stats(self, request: Request) -> Response:
        found = self._served(request)
        return _json({"model_stats": [self._state.metrics.triton(found.name, found.version)]})

    async def other(self, request: Request) -> Response:
        self._named(request)
        raise HTTPException(404)

    def _named(self, request: Request) -> None:
        state, given = self._state, request.path_params
        model, version = given.get("model", state.name), given.get("version", state.version)
        if (model, version) != (state.name, state.version):
            raise Refused(
                f"There is no model {model!r} of the version {version!r} here.",
                code="no_model",
                hint=f"This server has {state.name!r}, version {state.version}.",
                status=404,
            )

    def _served(self, request: Request) -> Served:
        self._named(request)
        if self._state.served is None:
            raise loading()
        return self._state.served


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


async def _refused(_: Request, error: Refused) -> Response:
    return _json(error.document(), error.status)


async def _not_found(request: Request, error: HTTPException) -> Response:
    known = {404: "not_found", 405: "bad_method"}
    found = Refused(
        f"{request.method} {request.url.path} is not answered here.",
        code=known.get(error.status_code, "bad_request"),
        hint="Ask /v2 for the server, /v2/models/NAME for the model, POST /v2/models/NAME/infer for predictions.",
        status=error.status_code,
    )
    response = await _refused(request, found)
    response.headers.update(error.headers or {})
    return response


async def _failed(_: Request, error: Exception) -> Response:
    return _json(internal().document(), 500)
