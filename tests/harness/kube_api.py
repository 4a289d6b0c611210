"""A small API server that keeps objects and tells watchers: for what a real cluster does not do when it is asked to."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

Object = dict[str, Any]
_PATH = re.compile(
    r"(?P<prefix>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)(/(?P<name>[^/]+))?"
)


class KubeApi:
    """Objects by collection, namespace and name. `tokens` are the credentials it takes; None: anybody's."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.tokens: set[str] | None = None
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self._versions = itertools.count(1)
        self._watchers: set[asyncio.Queue[tuple[str, Object]]] = set()

    def put(self, plural: str, item: Object, *, told: bool = True) -> None:
        """Keep `item`; a change that is not `told` is one that watches miss."""
        metadata = item["metadata"]
        key = (plural, metadata.get("namespace", ""), metadata["name"])
        known = self.objects.get(key)
        version = str(next(self._versions))
        uid = known["metadata"]["uid"] if known else f"uid-{version}"
        self.objects[key] = {**item, "metadata": {"uid": uid, **metadata, "resourceVersion": version}}
        if told:
            self._tell(plural, "MODIFIED" if known else "ADDED", self.objects[key])

    def remove(self, plural: str, namespace: str, name: str, *, told: bool = True) -> None:
        """Forget an object."""
        gone = self.objects.pop((plural, namespace, name))
        if told:
            self._tell(plural, "DELETED", gone)

    def kubeconfig(self, path: Path, user: Object | None = None) -> str:
        """Write one that leads here."""
        document = {
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": user or {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(json.dumps(document))
        return str(path)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.requests.append((request.method, request.path))
        if not self._may(request):
            return _status(401, "Unauthorized", "Unauthorized")
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.30.0", "major": "1", "minor": "30"})
        if request.path.endswith("/selfsubjectaccessreviews"):
            return web.json_response({"status": {"allowed": True}})
        found = _PATH.fullmatch(request.path)
        if found is None:
            return _status(404, "NotFound", "There is no such collection.")
        plural, namespace, name = found["plural"], found["namespace"] or "", found["name"] or ""
        if request.method == "GET" and not name:
            return await self._list(request, plural, namespace)
        return await self._one(request, (plural, namespace, name))

    def _may(self, request: web.Request) -> bool:
        return self.tokens is None or request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    async def _one(self, request: web.Request, key: tuple[str, str, str]) -> web.StreamResponse:
        plural, namespace, name = key
        if request.method in ("POST", "PATCH"):
            item = await request.json()
            key = (plural, namespace, item["metadata"]["name"])
            if request.method == "POST" and key in self.objects:
                return _status(409, "AlreadyExists", f"{key[2]} already exists")
            self.put(plural, {"status": {}, **item})
        elif key not in self.objects and request.method == "GET":
            return _status(404, "NotFound", f"{name} not found")
        elif request.method == "DELETE":
            for each in [each for each in self.objects if each == key or (not name and each[:2] == key[:2])]:
                if _matches(request, self.objects[each]):
                    self.remove(*each)
            return web.json_response({"kind": "Status"})
        return web.json_response(self.objects[key])

    async def _list(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request, plural, namespace)
        items = [
            item
            for (kind, place, _), item in self.objects.items()
            if kind == plural and (not namespace or place == namespace) and _matches(request, item)
        ]
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(next(self._versions))}})

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        """What changes from now on: nothing happens between a list and its watch in a server that waits for both."""
        response = web.StreamResponse()
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self._watchers.add(queue)
        await response.prepare(request)
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "60"))):
                while True:
                    kind, event = await queue.get()
                    place = event["object"]["metadata"].get("namespace", "")
                    if kind == plural and namespace in ("", place) and _matches(request, event["object"]):
                        await response.write(json.dumps(event).encode() + b"\n")
        except TimeoutError:
            return response
        finally:
            self._watchers.discard(queue)

    def _tell(self, plural: str, kind: str, item: Object) -> None:
        for watcher in self._watchers:
            watcher.put_nowait((plural, {"type": kind, "object": item}))


@asynccontextmanager
async def kube_api() -> AsyncIterator[KubeApi]:
    """An empty one that listens on this machine."""
    api = KubeApi()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


def _matches(request: web.Request, item: Object) -> bool:
    labels = item["metadata"].get("labels") or {}
    for part in filter(None, request.query.get("labelSelector", "").split(",")):
        key, equals, value = part.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _status(code: int, reason: str, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "reason": reason, "message": message}, status=code)
