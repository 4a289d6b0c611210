"""Back ends on the test cluster, with a real attempt server that pods report to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from atelier_core.backend import BackendSettings
from atelier_core.workload import Handle, Resources, Role, WorkloadSpec
from atelier_spawner.kubernetes.backend import KubernetesBackend
from tests.harness.attempt_api import AttemptApi
from tests.harness.cluster import images
from tests.harness.cluster.fixtures import Cluster, cluster
from tests.harness.cluster.runtime import publish_runtime
from tests.harness.kube_api import KubeApi, kube_api

__all__ = ["cluster"]


@pytest.fixture(scope="session")
def runtime_image(cluster: Cluster) -> str:
    """The runtime image, in the registry that pods pull from."""
    return publish_runtime(cluster)


@pytest.fixture(scope="session")
def busybox(cluster: Cluster) -> str:
    return cluster.publish(images.busybox())


@pytest.fixture(scope="session")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttemptApi]:
    served = AttemptApi(tmp_path_factory.mktemp("attempts"), cluster.advertise_host or "127.0.0.1")
    served.start()
    yield served
    served.stop()


@dataclass
class Rig:
    """Makes specs and back ends for one test; everything it started is stopped at the end."""

    cluster: Cluster
    server: AttemptApi
    image: str
    options: dict[str, Any]
    folder: Path
    project: str
    handles: list[Handle] = field(default_factory=list)
    backends: list[KubernetesBackend] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return f"{self.options['namespace_prefix']}{self.project}"

    async def open(self, kind: type[KubernetesBackend] = KubernetesBackend, **options: Any) -> KubernetesBackend:
        backend = kind(BackendSettings("rig", self.folder, options={**self.options, **options}))
        await backend.open()
        self.backends.append(backend)
        return backend

    def spec(self, *command: str, **changes: Any) -> WorkloadSpec:
        role = {
            "image": self.image,
            "command": command or ("true",),
            "resources": Resources(cpu=0.05, memory=64 * 1024**2),
        }
        role |= changes.pop("role", {})
        workload = f"w-{uuid.uuid4().hex[:8]}-step-1"
        base: dict[str, Any] = {
            "id": workload,
            "project": self.project,
            "roles": (Role(**role),),
            "url": self.server.url,
            "token": f"token-{workload}",
            "grace": 1,
        }
        spec = WorkloadSpec(**{**base, **changes})
        self.server.expect(spec.id)
        return spec

    async def start(self, backend: KubernetesBackend, spec: WorkloadSpec) -> Handle:
        async for handle in backend.start(spec):
            last = handle
        self.handles.append(last)
        return last


@pytest.fixture(scope="session")
def namespace_prefix(cluster: Cluster) -> Iterator[str]:
    prefix = f"t{uuid.uuid4().hex[:6]}-"
    yield prefix
    names = cluster.kubectl("get", "namespaces", "-o", "name").split()
    ours = [name for name in names if name.startswith(f"namespace/{prefix}")]
    if ours:
        cluster.kubectl("delete", *ours, "--wait=false")


@pytest.fixture
async def rig(
    cluster: Cluster,
    server: AttemptApi,
    busybox: str,
    runtime_image: str,
    namespace_prefix: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Rig]:
    """A project of its own per test module, on the node that really runs pods."""
    options = {
        "kubeconfig": str(cluster.kubeconfig),
        "namespace_prefix": namespace_prefix,
        "instance": namespace_prefix.strip("-"),
        "runtime_image": runtime_image,
        "node_labels": {"kubernetes.io/hostname": "rig"} if cluster.owned else {},
    }
    project = request.module.__name__.rpartition("_")[2]
    made = Rig(cluster, server, busybox, options, tmp_path, project)
    yield made
    if made.handles:
        janitor = await made.open()
        for handle in made.handles:
            await janitor.stop(handle, 1)
    for backend in made.backends:
        await backend.close()


@pytest.fixture
def workload_specs() -> Callable[..., WorkloadSpec]:
    """Specs for tests of manifests, without a cluster."""

    def make(**changes: Any) -> WorkloadSpec:
        base: dict[str, Any] = {
            "id": "r1-train-1",
            "project": "demo",
            "roles": (Role(image="python", command=("python", "train.py")),),
            "url": "http://10.1.2.3:8000/api",
            "token": "token-1",
        }
        return WorkloadSpec(**{**base, **changes})

    return make


def pod_of(workload: str, **status: Any) -> dict[str, Any]:
    """A pod of the default instance's project `demo` as the API shows it."""
    labels = {"app.kubernetes.io/managed-by": "atelier", "atelier.dev/instance": "atelier", "atelier.dev/role": "main"}
    return {
        "metadata": {
            "name": workload,
            "namespace": "atelier-demo",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {**labels, "atelier.dev/workload": workload, "atelier.dev/kind": "job"},
            "annotations": {"atelier.dev/replicas": "main=1"},
        },
        "spec": {"nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "main"}]},
        "status": status,
    }


@pytest.fixture
async def quiet_cluster() -> AsyncIterator[KubeApi]:
    """An API server behind which nothing runs: what there is, a test puts there."""
    async with kube_api() as api:
        yield api


@pytest.fixture
async def quiet_backend(quiet_cluster: KubeApi, tmp_path: Path) -> AsyncIterator[KubernetesBackend]:
    """A back end on it."""
    options = {"kubeconfig": quiet_cluster.kubeconfig(tmp_path / "kubeconfig"), "resync_seconds": 1}
    backend = KubernetesBackend(BackendSettings("quiet", tmp_path, options=options))
    await backend.open()
    yield backend
    await backend.close()
