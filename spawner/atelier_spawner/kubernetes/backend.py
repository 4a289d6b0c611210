"""The Kubernetes back end: pods, indexed Jobs and Deployments in one namespace per project."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from atelier_core.backend import Backend, BackendSettings, Capacity, Endpoints, Exec, Usage
from atelier_core.errors import BackendUnavailable
from atelier_core.states import Reason, State
from atelier_core.workload import Handle, Observation, ReplicaObservation, ReplicaUsage, WorkloadSpec
from atelier_spawner.kubernetes import diagnosis, stopping, streams
from atelier_spawner.kubernetes.api import (
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    SERVICES,
    Api,
    ApiError,
    Object,
    Objects,
    explain,
)
from atelier_spawner.kubernetes.capacity import free
from atelier_spawner.kubernetes.labels import WORKLOAD, namespace_of, selector
from atelier_spawner.kubernetes.observe import expected, lost_nodes, observe, understood
from atelier_spawner.kubernetes.options import read_options
from atelier_spawner.kubernetes.pods import MAIN, Build
from atelier_spawner.kubernetes.reflector import Change, Reflector
from atelier_spawner.kubernetes.starting import Starter
from atelier_spawner.kubernetes.status import Patience
from atelier_spawner.kubernetes.usage import Metrics
from atelier_spawner.kubernetes.view import View

Observations = list[Observation]
Names = list[str]
Changes = asyncio.Queue[Change | None]
Findings = list[dict[str, Any]]
NODE = "Node"
_TICK = 5.0


class KubernetesBackend(Backend, Endpoints, Exec, Capacity, Usage):
    """Runs workloads on a cluster. Holds no state that a restart would miss."""

    api_class: type[Api] = Api

    def __init__(self, settings: BackendSettings) -> None:
        super().__init__(settings)
        self.options = read_options(settings.name, settings.options)
        self._patience = Patience(
            self.options.pull_seconds, self.options.unschedulable_seconds, self.options.toleration_seconds
        )
        self._api: Api | None = None
        self._starter: Starter | None = None
        self._metrics = Metrics()
        self._whole_cluster = self._sees_nodes = True
        self._stopping: set[str] = set()
        self._feeders: set[asyncio.Task[None]] = set()
        self._namespaces: set[str] = {namespace_of(self.options, project) for project in self.options.projects}
        self._more_namespaces = asyncio.Event()

    @property
    def api(self) -> Api:
        """The connection; `BackendUnavailable` before `open`."""
        if self._api is None:
            raise BackendUnavailable("The back end is not open.", hint="It is opened when the control plane starts.")
        return self._api

    async def open(self) -> None:
        """Connect, and see whether pods of the whole cluster may be watched or only those of known namespaces."""
        self._api = await self.api_class.connect(self.options)
        self._starter = Starter(self._api, self.options)
        try:
            await self._api.get("/version")
            self._whole_cluster = await diagnosis.may(self._api, diagnosis.Right("watch", "", "pods"))
            self._sees_nodes = await diagnosis.may(self._api, diagnosis.Right("watch", "", "nodes"))
        except ApiError as error:
            await self.close()
            raise explain(error, "say its version") from error

    async def close(self) -> None:
        """End watches and close connections; what runs goes on."""
        api, self._api, self._starter = self._api, None, None
        for feeder in self._feeders:
            feeder.cancel()
        if api is not None:
            await api.close()

    async def start(self, spec: WorkloadSpec) -> AsyncIterator[Handle]:
        """Namespace, secret, service, and what runs it; adopts what an earlier call made."""
        if self._starter is None:
            raise BackendUnavailable("The back end is not open.", hint="It is opened when the control plane starts.")
        self._note(namespace_of(self.options, spec.project))
        build = Build(self.options, spec, self.settings.images)
        async with aclosing(self._starter.start(build)) as stages:  # type: ignore[type-var]
            async for handle in stages:
                yield handle

    async def stop(self, handle: Handle, grace: float) -> None:
        """Delete it all and wait until its pods are gone."""
        self._stopping.add(handle.workload)
        try:
            for namespace in await self._namespaces_of(handle):
                which = selector(self.options, handle.workload)
                await stopping.remove(self.api, namespace, which, grace, self.options.stop_seconds)
                self._metrics.forget(namespace)
        except ApiError as error:
            raise explain(error, f"stop {handle.workload}") from error

    def expect(self, handles: Collection[Handle]) -> None:
        """Without the right to look at the whole cluster only their handles say in which namespaces they are."""
        for handle in handles:
            if namespace := handle.data.get("namespace"):
                self._note(namespace)

    async def list(self) -> Observations:
        """One list per scope and kind; Jobs and Deployments count while they have no pod yet."""
        now = datetime.now(UTC)
        pods: dict[str, Objects] = {}
        bare: dict[str, Object] = {}
        try:
            for scope in self._scopes():
                found = await asyncio.gather(*(self._objects(each, scope) for each in (PODS, JOBS, DEPLOYMENTS)))
                for pod in found[0]:
                    pods.setdefault(pod["metadata"]["labels"][WORKLOAD], []).append(pod)
                bare |= {each["metadata"]["labels"][WORKLOAD]: each for each in (*found[1], *found[2])}
            lost = lost_nodes((await self.api.list(NODES.path()))["items"]) if pods and self._sees_nodes else {}
        except ApiError as error:
            raise explain(error, "list workloads") from error
        observed = [observe(each, self._patience, now, lost) for each in pods.values()]
        podless = [each for workload, each in bare.items() if workload not in pods]
        return observed + [understood(each, partial(_without_pods, each, now)) for each in podless]

    async def watch(self) -> AsyncIterator[Observation]:
        """Changes of all pods of ours, by one watch per scope."""
        queue: Changes = asyncio.Queue()
        feeders = [asyncio.create_task(self._feed_all(queue)), asyncio.create_task(_tick(queue))]
        feeders[0].add_done_callback(lambda _: queue.put_nowait(None))
        self._feeders.add(feeders[0])
        view = View(self._patience, self._stopping)
        try:
            while not feeders[0].done():
                change = await queue.get()
                if change is None:
                    for observation in view.tick():
                        yield observation
                elif change.item.get("kind") == NODE:
                    view.take_node(change)
                elif changed := view.take(change):
                    yield changed
            if self._api is not None:  # not closed: feeding ended by a fault of ours, which must not look like peace
                feeders[0].result()
        finally:
            self._feeders.discard(feeders[0])
            for task in feeders:
                task.cancel()
            await asyncio.gather(*feeders, return_exceptions=True)

    async def logs(self, handle: Handle, replica: str, follow: bool) -> AsyncIterator[bytes]:
        """From the pod's log; `NotFound` when the pod is gone."""
        try:
            pod = await self._pod(handle, replica)
            async with aclosing(streams.read_logs(self.api, pod, follow)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    yield piece
        except ApiError as error:
            raise explain(error, f"read the log of {replica}") from error

    async def exec(self, handle: Handle, replica: str, command: Names) -> tuple[int, bytes]:
        """Run a command of the step's image in its container."""
        try:
            pod = await self._pod(handle, replica)
            return await streams.run_command(self.api, pod, command)
        except ApiError as error:
            raise explain(error, f"run a command in {replica}") from error

    async def endpoint(self, handle: Handle, port: str) -> str:
        """The Service's address, or the pod's where there is no Service; only while a replica is ready."""
        which = selector(self.options, handle.workload)
        try:
            for namespace in await self._namespaces_of(handle):
                pods = (await self.api.list(PODS.path(namespace), which))["items"]
                found = (await self.api.list(SERVICES.path(namespace), which))["items"]
                address = _address(pods, found, port)
                if address and not await streams.refuses(*address):
                    return f"http://{address[0]}:{address[1]}"
        except ApiError as error:
            raise explain(error, f"find {handle.workload}") from error
        raise BackendUnavailable(
            f"{handle.workload} does not answer on port {port!r} yet.",
            code="not_ready",
            hint="Wait until it runs, and check the port's name.",
        )

    async def capacity(self) -> dict[str, dict[str, float]]:
        """Of healthy, schedulable nodes; needs the right to list nodes and all pods."""
        try:
            nodes, pods = await asyncio.gather(self.api.list(NODES.path()), self.api.list(PODS.path()))
        except ApiError as error:
            raise explain(error, "list nodes and pods") from error
        return free(nodes["items"], pods["items"])

    async def usage(self, handles: Sequence[Handle]) -> dict[str, tuple[ReplicaUsage, ...]]:
        """By the metrics API, one call per namespace; where that is missing, shims report by themselves."""
        namespaces = {handle.data["namespace"] for handle in handles if handle.data.get("namespace")}
        found = await self._metrics.usage(self.api, namespaces, selector(self.options))
        return {handle.workload: found[handle.workload] for handle in handles if handle.workload in found}

    async def diagnose(self) -> Findings:
        """What works and what is missing, with the command that helps; for `atelier doctor`."""
        return await diagnosis.diagnose(self.api, self.options, self._whole_cluster)

    async def _pod(self, handle: Handle, replica: str) -> Object:
        namespaces = await self._namespaces_of(handle)
        which = selector(self.options, handle.workload)
        return await streams.find_pod(self.api, namespaces[0] if namespaces else "", which, replica)

    async def _objects(self, resource: Any, scope: str) -> Objects:
        listing = await self.api.list(resource.path(scope), selector(self.options))
        return [each for each in listing["items"] if self._ours(each)]

    def _ours(self, each: Object) -> bool:
        namespace: str = each["metadata"]["namespace"]
        return namespace.startswith(self.options.namespace_prefix)

    def _scopes(self) -> Names:
        return [""] if self._whole_cluster else sorted(self._namespaces)

    def _note(self, namespace: str) -> None:
        if namespace not in self._namespaces:
            self._namespaces.add(namespace)
            self._more_namespaces.set()

    async def _namespaces_of(self, handle: Handle) -> Names:
        """Where it is: the handle says; one that was lost before it was saved is looked for by its labels."""
        if namespace := handle.data.get("namespace"):
            self._note(namespace)
            return [namespace]
        which = selector(self.options, handle.workload)
        found: set[str] = set()
        for scope in self._scopes():
            for resource in (PODS, JOBS, DEPLOYMENTS, diagnosis.SECRETS):
                listing = await self.api.list(resource.path(scope), which)
                found |= {each["metadata"]["namespace"] for each in listing["items"]}
        return sorted(found)

    async def _feed_all(self, queue: Changes) -> None:
        """A reflector per scope; namespaces that become known later get theirs then."""
        fed: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            if self._sees_nodes:
                tasks.create_task(self._feed_nodes(queue))
            while True:
                self._more_namespaces.clear()
                for scope in set(self._scopes()) - fed:
                    fed.add(scope)
                    tasks.create_task(self._feed(scope, queue))
                await self._more_namespaces.wait()

    async def _feed(self, scope: str, queue: Changes) -> None:
        """Our pods of one namespace, or of all."""
        reflector = Reflector(self.api, PODS.path(scope), selector(self.options), self.options.resync_seconds)
        async with aclosing(reflector.changes()) as changes:  # type: ignore[type-var]
            async for change in changes:
                if self._ours(change.item):
                    queue.put_nowait(change)

    async def _feed_nodes(self, queue: Changes) -> None:
        reflector = Reflector(self.api, NODES.path(), "", self.options.resync_seconds)
        async with aclosing(reflector.changes()) as changes:  # type: ignore[type-var]
            async for change in changes:
                queue.put_nowait(replace(change, item={**change.item, "kind": NODE}))


async def _tick(queue: Changes) -> None:
    while True:
        await asyncio.sleep(_TICK)
        queue.put_nowait(None)


def _without_pods(runner: Object, now: datetime) -> Observation:
    """A Job or Deployment without pods: they were not made yet, or somebody deleted them for good."""
    metadata = runner["metadata"]
    conditions = (runner.get("status") or {}).get("conditions") or []
    met = {each["type"] for each in conditions if each["status"] == "True"}
    state, reason, message = State.STARTING, Reason.NONE, ""
    if "Failed" in met:
        state, reason, message = State.FAILED, Reason.GONE, "Its pods were deleted by somebody else."
    elif "Complete" in met:  # whether its outputs are stored, only its shims' reports tell
        state = State.DONE
    replicas = [ReplicaObservation(name=name, state=state) for name in expected(metadata)]
    return Observation(
        workload=metadata["labels"][WORKLOAD],
        state=state,
        reason=reason,
        message=message,
        replicas=tuple(replicas),
        observed_at=now,
    )


def _address(pods: Objects, found: Objects, port: str) -> tuple[str, int] | None:
    for pod in pods:
        main = next(each for each in pod["spec"]["containers"] if each["name"] == MAIN)
        numbers = [each["containerPort"] for each in main.get("ports") or [] if each.get("name") == port]
        if not numbers or not _ready(pod):
            continue
        for service in found:
            cluster_ip = service["spec"].get("clusterIP", "None")
            named = [each["port"] for each in service["spec"].get("ports") or [] if each.get("name") == port]
            if cluster_ip != "None" and named:
                return _host(cluster_ip), named[0]
        return _host(pod["status"]["podIP"]), numbers[0]
    return None


def _ready(pod: Object) -> bool:
    if "deletionTimestamp" in pod["metadata"] or not pod["status"].get("podIP"):
        return False
    conditions = pod["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
