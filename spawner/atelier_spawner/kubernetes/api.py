"""The Kubernetes API as plain JSON over the official client's connection, and what its errors mean."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.client import ApiClient

from atelier_core.errors import AtelierError, BackendUnavailable, Invalid, QuotaExceeded
from atelier_spawner.kubernetes.options import KubernetesOptions

log = logging.getLogger(__name__)

T = TypeVar("T")
Object = dict[str, Any]
Objects = list[Object]
Pairs = list[tuple[str, str]]
FIELD_MANAGER = "atelier"
_LIMITS = aiohttp.ClientTimeout(total=30)
_SILENCE = 150.0  # a healthy watch sends a bookmark about every minute
# What a connection was made with: when one of these is another, the old one is of no use any more.
_CONNECTED_BY = ("host", "ssl_ca_cert", "cert_file", "key_file", "verify_ssl", "tls_server_name", "proxy")


@dataclass(frozen=True)
class Resource:
    """A kind of object and where the API serves it."""

    prefix: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of a collection or of one object; without a namespace that of all namespaces."""
        parts = [self.prefix]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


PODS = Resource("/api/v1", "pods")
SECRETS = Resource("/api/v1", "secrets")
SERVICES = Resource("/api/v1", "services")
JOBS = Resource("/apis/batch/v1", "jobs")
DEPLOYMENTS = Resource("/apis/apps/v1", "deployments")
NAMESPACES = Resource("/api/v1", "namespaces", namespaced=False)
REPLICA_SETS = Resource("/apis/apps/v1", "replicasets")
NODES = Resource("/api/v1", "nodes", namespaced=False)
QUOTAS = Resource("/api/v1", "resourcequotas")
KINDS = {
    "Namespace": NAMESPACES,
    "ServiceAccount": Resource("/api/v1", "serviceaccounts"),
    "ResourceQuota": QUOTAS,
    "LimitRange": Resource("/api/v1", "limitranges"),
    "NetworkPolicy": Resource("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Secret": SECRETS,
    "Service": SERVICES,
    "Pod": PODS,
    "Job": JOBS,
    "Deployment": DEPLOYMENTS,
}


class ApiError(Exception):
    """The API server answered with an error; `status` 0 means that it did not answer."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.message = message
        self.reason = reason


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Object
    body: Object | None = None
    kind: str = "application/json"
    limits: aiohttp.ClientTimeout = _LIMITS


class Api:
    """Calls to one cluster. No client-side rate limit: the server's own fairness is enough."""

    def __init__(self, connection: ApiClient, options: KubernetesOptions) -> None:
        self._client = connection
        self._options = options
        self._before: list[ApiClient] = []
        self._renewed = 0
        self._renewing = asyncio.Lock()

    @classmethod
    async def connect(cls, options: KubernetesOptions) -> Api:
        """Read the kubeconfig or the pod's service account; `BackendUnavailable` if there is neither."""
        return cls(ApiClient(await _read(options)), options)

    async def close(self) -> None:
        """Close all connections."""
        for connection in (self._client, *self._before):
            await connection.close()

    async def get(self, path: str, **query: Any) -> Object:
        """One object, or a list."""
        return await self._json("GET", path, query)

    async def create(self, manifest: Object) -> Object:
        """Create an object; `ApiError` 409 if there is one of that name."""
        resource = KINDS[manifest["kind"]]
        path = resource.path(manifest["metadata"].get("namespace", ""))
        return await self._json("POST", path, {"fieldManager": FIELD_MANAGER}, manifest)

    async def post(self, path: str, body: Object) -> Object:
        """Post to a path that is no collection (reviews)."""
        return await self._json("POST", path, {}, body)

    async def apply(self, manifest: Object) -> Object:
        """Server-side apply: create it, or make what we manage of it as in `manifest`."""
        metadata = manifest["metadata"]
        path = KINDS[manifest["kind"]].path(metadata.get("namespace", ""), metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._json("PATCH", path, query, manifest, "application/apply-patch+yaml")

    async def delete(self, path: str, grace: int | None = None, propagation: str = "Background", **query: Any) -> None:
        """Delete an object or, with a selector, a collection; no error if it is not there."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self._json("DELETE", path, query, body)
        except ApiError as error:
            if error.status != 404:
                raise

    async def list(self, path: str, selector: str = "", **query: Any) -> Object:
        """A whole list, fetched in pages."""
        if selector:
            query["labelSelector"] = selector
        items: Objects = []
        page: Object = {}
        while True:
            page = await self._json("GET", path, {**query, "limit": "1000"})
            items += page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return {**page, "items": items}
            query["continue"] = following

    async def watch(self, path: str, version: str, selector: str = "", **query: Any) -> AsyncGenerator[Object]:
        """Events after `version` until the server ends the stream; an error event is raised as `ApiError`."""
        query |= {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        if selector:
            query["labelSelector"] = selector
        buffer = b""
        async with aclosing(self.stream(path, silence=_SILENCE, **query)) as pieces:
            async for piece in pieces:
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    yield _event(line)

    async def stream(self, path: str, silence: float | None = None, **query: Any) -> AsyncGenerator[bytes]:
        """The body of an answer as it comes; given up after `silence` seconds without a byte."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
        response = await self._accepted(partial(self._send, _Request("GET", path, query, limits=limits)))
        try:
            async for piece in response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"The connection broke: {error or type(error).__name__}.") from error
        finally:
            response.close()

    async def websocket(self, path: str, query: Pairs, protocol: str) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket (exec)."""
        return await self._accepted(partial(self._open_websocket, path, query, protocol))

    async def _open_websocket(self, path: str, query: Pairs, protocol: str) -> aiohttp.ClientWebSocketResponse:
        headers: dict[str, str] = {}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        url = f"{self._client.configuration.host}{path}?{urlencode(query)}"
        proxy = {"proxy": rest.proxy} if rest.proxy else {}
        try:
            return await rest.pool_manager.ws_connect(
                url, protocols=[protocol], headers=headers, max_msg_size=0, **proxy
            )
        except aiohttp.WSServerHandshakeError as error:
            raise ApiError(error.status, error.message) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"The connection broke: {error}.") from error

    async def _json(
        self, method: str, path: str, query: Object, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        response = await self._accepted(partial(self._send, _Request(method, path, query, body, kind)))
        try:
            answer: Object = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"The answer broke off: {error}.") from error
        return answer

    async def _accepted(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` answers. Credentials expire (those of a plugin after minutes): then once more with new ones."""
        renewed = self._renewed
        try:
            return await call()
        except ApiError as error:
            if error.status != 401:
                raise
        await self._renew(renewed)
        return await call()

    async def _renew(self, renewed: int) -> None:
        """Read the credentials again, once for all whose calls were refused meanwhile."""
        async with self._renewing:
            if self._renewed != renewed:
                return
            try:
                fresh = await _read(self._options)
            except BackendUnavailable as error:
                log.warning("The cluster refuses the credentials, and there are no others: %s", error.message)
                return
            self._renewed += 1
            now = self._client.configuration
            if all(getattr(now, name) == getattr(fresh, name) for name in _CONNECTED_BY):
                now.api_key, now.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook
            else:  # logs and watches that are open go on
                self._before.append(self._client)
                self._client = ApiClient(fresh)

    async def _send(self, request: _Request) -> aiohttp.ClientResponse:
        pairs = [(key, str(value)) for key, value in request.query.items()]
        _, url, headers, _, _ = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=pairs or None,
            header_params={"Content-Type": request.kind, "Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            answer = await self._client.rest_client.request(
                request.method, url, headers=headers, body=request.body, _request_timeout=request.limits
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiError(0, f"{type(error).__name__}: {error}") from error
        if answer.status >= 400:
            raise await _refusal(answer.response)
        return answer.response


async def _read(options: KubernetesOptions) -> client.Configuration:
    """How to reach the cluster, and as whom."""
    settings = client.Configuration()
    settings.connection_pool_maxsize = 0
    try:
        if options.kubeconfig or options.context:
            arguments = {"config_file": options.kubeconfig} if options.kubeconfig else {}
            await config.load_kube_config(
                context=options.context or None, client_configuration=settings, persist_config=False, **arguments
            )
        else:
            config.load_incluster_config(client_configuration=settings)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        raise BackendUnavailable(
            f"The cluster's configuration cannot be read: {' '.join(str(error).split())}.",
            code="bad_kubeconfig",
            hint="Set the option `kubeconfig` to a readable file, and `context` to one that it holds.",
        ) from error
    return settings


def _event(line: bytes) -> Object:
    event: Object = json.loads(line)
    if event["type"] == "ERROR":
        status = event["object"]
        raise ApiError(int(status.get("code", 500)), status.get("message", ""), status.get("reason", ""))
    return event


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    try:
        text = await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        text = b""
    try:
        status = json.loads(text)
        return ApiError(response.status, str(status.get("message", "")), str(status.get("reason", "")))
    except (ValueError, AttributeError):
        return ApiError(response.status, text.decode(errors="replace")[:500])


def explain(error: ApiError, doing: str) -> AtelierError:
    """The error in the words of the product; `doing` completes "could not …"."""
    message = f"The cluster could not {doing}: {error.message.rstrip('.')}."
    if error.status == 403 and "exceeded quota" in error.message:
        return QuotaExceeded(message, hint="Wait until other work of the project ends, or ask for a larger quota.")
    if error.status == 403 and "violates PodSecurity" in error.message:
        return Invalid(message, code="pod_security", hint="This is a fault of the back end's manifests; report it.")
    if error.status == 403 and ("per Container is" in error.message or "per Pod is" in error.message):
        return Invalid(message, code="limit_range", hint="Ask for no more than the project's limits allow.")
    if error.status == 403 and "being terminated" in error.message:
        return BackendUnavailable(message, hint="The project's namespace is being deleted; try again when it is gone.")
    if error.status == 403:
        return BackendUnavailable(
            message, code="cluster_forbidden", hint="`atelier doctor` says which right is missing."
        )
    if error.status == 401:
        return BackendUnavailable(message, code="cluster_unauthorized", hint="Renew the cluster credentials.")
    if error.status in (400, 422):
        return Invalid(message, code="cluster_refused", hint="Correct what the message names.")
    if error.status == 0:
        return BackendUnavailable(
            f"The cluster's API server cannot be reached ({error.message.rstrip('.')}).",
            code="cluster_unreachable",
            hint="It is tried again by itself; check the kubeconfig and the API server if it lasts.",
        )
    return BackendUnavailable(message, hint="It is tried again by itself.")
