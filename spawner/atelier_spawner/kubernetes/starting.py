"""Making a workload's objects, stage by stage; what is already there is adopted, never made twice."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from atelier_core.errors import BackendUnavailable, Invalid
from atelier_core.names import label
from atelier_core.workload import Handle
from atelier_spawner.kubernetes.api import KINDS, NODES, QUOTAS, Api, ApiError, Object, explain
from atelier_spawner.kubernetes.capacity import check_quota
from atelier_spawner.kubernetes.labels import INSTANCE, PROJECT, SYSTEM, WORKLOAD, namespace_of
from atelier_spawner.kubernetes.options import KubernetesOptions
from atelier_spawner.kubernetes.pods import Build, check
from atelier_spawner.kubernetes.project import QUOTA, ControlPlane, project_manifests
from atelier_spawner.kubernetes.workloads import is_gang, runners, secrets, services

log = logging.getLogger(__name__)
_COUNTED_SECONDS = 10.0


class Starter:
    """Starts workloads in namespaces that it makes ready once per project."""

    def __init__(self, api: Api, options: KubernetesOptions) -> None:
        self._api = api
        self._options = options
        self._ready: dict[str, str] = {}  # project -> address of the control plane for which it was made ready
        self._locks: dict[str, asyncio.Lock] = {}

    async def start(self, build: Build) -> AsyncIterator[Handle]:
        """As `Backend.start`: a handle after each stage."""
        check(build)
        namespace = namespace_of(self._options, build.spec.project)
        handle = Handle(workload=build.spec.id, data={"namespace": namespace})
        await self.ensure_project(build.spec.project, build.spec.url)
        yield handle.model_copy(update={"stage": "namespace"})
        await self._again_if_namespace_went(build, self._make_secrets(build))
        yield handle.model_copy(update={"stage": "secret"})
        for manifest in services(build):
            await self._create(manifest)
        yield handle.model_copy(update={"stage": "service"})
        await self._check_quota(build)
        for manifest in runners(build):
            await self._create(manifest)
        yield handle.model_copy(update={"stage": "created"})

    async def ensure_project(self, project: str, url: str) -> None:
        """Make the project's namespace, quota, limits, policy and service account what they should be."""
        async with self._locks.setdefault(project, asyncio.Lock()):
            if self._ready.get(project) == url:
                return
            try:
                await self._apply_project(project, url)
            except ApiError as error:
                raise explain(error, f"prepare the namespace of project {project}") from error
            self._ready[project] = url

    async def _apply_project(self, project: str, url: str) -> None:
        namespace = namespace_of(self._options, project)
        await self._check_owner(namespace, project)
        if not self._options.manage_namespaces:
            return
        pods, control_plane = await pod_ranges(self._api), await find_control_plane(url)
        for manifest in project_manifests(self._options, project, pods, control_plane):
            await self._api.apply(manifest)
        if self._options.quota:
            await self._until_counted(namespace)

    async def _check_owner(self, namespace: str, project: str) -> None:
        """A project may be called like anything that has a namespace, and must not get at what runs there."""
        try:
            found = await self._api.get(KINDS["Namespace"].path(name=namespace))
        except ApiError as error:
            if error.status == 404 and self._options.manage_namespaces:
                return  # it will be ours
            raise
        labels = found["metadata"].get("labels") or {}
        ours = {INSTANCE: self._options.instance, PROJECT: label(project)}
        # Who makes namespaces themselves need not label them, but steps have no business beside the platform.
        good = ours.items() <= labels.items() if self._options.manage_namespaces else labels.get(SYSTEM) != "true"
        if not good:
            marks = " ".join(f"{key}={value}" for key, value in ours.items())
            raise Invalid(
                f"The project {project} cannot use the namespace {namespace}, which is not its own.",
                code="namespace_taken",
                hint="Use a project of another name; if the namespace is meant for this one, an administrator runs: "
                f"kubectl label namespace {namespace} {marks}",
            )

    async def _until_counted(self, namespace: str) -> None:
        """A quota holds once the cluster has counted what there is; until then it lets everything in."""
        until = time.monotonic() + _COUNTED_SECONDS
        while True:
            quotas = (await self._api.list(QUOTAS.path(namespace)))["items"]
            ours = next((one for one in quotas if one["metadata"]["name"] == QUOTA), None)
            if ours is None or (ours.get("status") or {}).get("hard") == ours["spec"].get("hard"):
                return
            if time.monotonic() > until:
                log.warning("Nobody counts for the quota of %s: does the cluster's controller manager run?", namespace)
                return
            await asyncio.sleep(0.05)

    async def _make_secrets(self, build: Build) -> None:
        """A secret that an interrupted start left is replaced, unless a pod may already live by it."""
        fresh = None
        for manifest in secrets(build):
            found = await self._create(manifest)
            if found is None or found.get("data") == manifest["data"]:
                continue
            if fresh is None:
                fresh = not [runner for runner in runners(build) if await self._find(runner)]
            if fresh:
                await self._api.delete(_path(found))
                await self._create(manifest)

    async def _again_if_namespace_went(self, build: Build, making: object) -> None:
        try:
            await making  # type: ignore[misc]
        except BackendUnavailable as error:
            if error.code != "namespace_gone":
                raise
            self._ready.pop(build.spec.project, None)
            await self.ensure_project(build.spec.project, build.spec.url)
            await self._make_secrets(build)

    async def _check_quota(self, build: Build) -> None:
        """A gang starts whole or not at all; the API would let a Job or Deployment in and then refuse its pods."""
        if not is_gang(build.spec) and build.spec.kind != "service":
            return
        namespace = namespace_of(self._options, build.spec.project)
        try:
            quotas = (await self._api.list(QUOTAS.path(namespace)))["items"]
        except ApiError as error:
            raise explain(error, "read the project's quota") from error
        for runner in runners(build):
            if quotas and not await self._find(runner):
                wanted = runner["spec"]
                check_quota(quotas, wanted["template"]["spec"], wanted.get("completions") or wanted["replicas"])

    async def _create(self, manifest: Object) -> Object | None:
        """Create it; returns what is already there under its name, which must be the same workload's."""
        name = f"{manifest['kind'].lower()} {manifest['metadata']['name']}"
        try:
            await self._api.create(manifest)
            return None
        except ApiError as error:
            if error.status == 404:
                raise BackendUnavailable(f"The namespace of {name} is gone.", code="namespace_gone") from error
            if error.status != 409 or error.reason != "AlreadyExists":
                raise explain(error, f"create {name}") from error
        found = await self._find(manifest)
        if found is None:
            raise BackendUnavailable(f"The {name} went away while it was adopted.", hint="It is tried again by itself.")
        labels = found["metadata"].get("labels") or {}
        if labels.get(WORKLOAD) != manifest["metadata"]["labels"][WORKLOAD]:
            raise Invalid(
                f"There is already a {name} that is not ours.", code="name_taken", hint="Remove it, or rename the step."
            )
        return found

    async def _find(self, manifest: Object) -> Object | None:
        try:
            return await self._api.get(_path(manifest))
        except ApiError as error:
            if error.status == 404:
                return None
            raise explain(error, f"look for {manifest['metadata']['name']}") from error


async def find_control_plane(url: str) -> ControlPlane:
    """Where steps report to. A name that only the cluster knows stands for nothing here: the platform's namespace
    or `control_plane_cidrs` must do."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname or "", port, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    addresses = sorted({ip_address(one[4][0]) for one in found}, key=str)
    return ControlPlane(tuple(f"{one}/{one.max_prefixlen}" for one in addresses), port)


async def pod_ranges(api: Api) -> list[str]:
    """Where pods of any project live, as far as the nodes say and we may ask them."""
    try:
        nodes = (await api.list(NODES.path()))["items"]
    except ApiError as error:
        if error.status != 403:
            raise
        nodes = []
    return sorted({cidr for node in nodes for cidr in node["spec"].get("podCIDRs") or []})


def _path(manifest: Object) -> str:
    metadata = manifest["metadata"]
    return KINDS[manifest.get("kind", "Secret")].path(metadata.get("namespace", ""), metadata["name"])
