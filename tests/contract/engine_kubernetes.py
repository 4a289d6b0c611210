"""The Kubernetes engine under the contract suite: the test cluster, a namespace prefix of its own, real pods."""

from __future__ import annotations

import contextlib
import json
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from atelier_core.backend import Backend, BackendSettings, Usage
from atelier_core.errors import BackendUnavailable
from atelier_core.image import Image
from atelier_core.states import State
from atelier_core.workload import Handle, ReplicaUsage
from atelier_spawner.kubernetes.backend import KubernetesBackend
from atelier_spawner.kubernetes.labels import selector
from atelier_spawner.kubernetes.observe import replica_names
from atelier_spawner.kubernetes.options import KubernetesOptions
from tests.contract.engine import Engine
from tests.harness.attempt_api import AttemptApi
from tests.harness.cluster import images
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.runtime import publish_runtime
from tests.harness.cluster.settings import CannotRun

_KINDS = "pods,jobs,deployments,replicasets,services,secrets"


@dataclass
class Shared:
    """What all tests of a session use."""

    cluster: Cluster
    api: AttemptApi
    options: dict[str, object]
    reference: str


class KubernetesEngine(Engine):
    """Pods on the test cluster."""

    name = "kubernetes"
    patience = 90.0
    lag = 1.5
    features = frozenset[str]()

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared.api)
        self._shared = shared
        self.options = dict(shared.options)

    def make(self) -> KubernetesBackend:
        images_known = {self.image: Image(name=self.image, reference=self._shared.reference)}
        settings = BackendSettings("kubernetes", Path("/nonexistent"), images=images_known, options=self.options)
        return KubernetesBackend(settings)

    async def usage(self, backend: Backend, handles: list[Handle]) -> dict[str, tuple[ReplicaUsage, ...]]:
        """The rig serves no metrics, which the back end says; then shims report."""
        assert isinstance(backend, Usage)
        with contextlib.suppress(BackendUnavailable):
            return await backend.usage(handles)
        running = {each.workload for each in await backend.list() if each.state is State.RUNNING}
        found = {each.workload: self.api.attempts[each.workload].usage for each in handles if each.workload in running}
        return {
            workload: tuple(
                ReplicaUsage(name=body["replica"], **{k: v for k, v in body.items() if k != "replica"})
                for body in reports.values()
            )
            for workload, reports in found.items()
        }

    async def kill_shim(self, handle: Handle, replica: str) -> None:
        found = self._objects("pods", handle.workload)
        pod = replica_names(found)[replica][-1]["metadata"]
        assert self._shared.cluster.faults.kill_container(pod["namespace"], pod["name"], "main")

    async def left_over(self, workload: str) -> list[str]:
        found = self._objects(_KINDS, workload)
        return [f"{each['kind']} {each['metadata']['name']}" for each in found]

    def _objects(self, kinds: str, workload: str) -> list[dict]:
        options = KubernetesOptions.model_validate(self.options)
        arguments = ("get", kinds, "--all-namespaces", "-l", selector(options, workload), "-o", "json")
        return list(json.loads(self._shared.cluster.kubectl(*arguments))["items"])


_SHARED = pytest.StashKey[Shared]()


def make_engine(request: pytest.FixtureRequest) -> KubernetesEngine:
    """The engine; what the session shares is made by its first test."""
    stash = request.config.stash
    if _SHARED not in stash:
        stash[_SHARED] = _share(request)
    return KubernetesEngine(stash[_SHARED])


def _share(request: pytest.FixtureRequest) -> Shared:
    cluster: Cluster = request.getfixturevalue("cluster")
    folder = tempfile.TemporaryDirectory(prefix="attempts-")
    api = AttemptApi(Path(folder.name), cluster.advertise_host or "127.0.0.1")
    api.start()
    prefix = f"c{uuid.uuid4().hex[:6]}-"
    options = {
        "kubeconfig": str(cluster.kubeconfig),
        "namespace_prefix": prefix,
        "instance": prefix.strip("-"),
        "runtime_image": publish_runtime(cluster),
        "node_labels": {"kubernetes.io/hostname": "rig"} if cluster.owned else {},
    }

    def end() -> None:
        with contextlib.suppress(CannotRun):  # a cluster that is gone has nothing left to clean
            cluster.kubectl("delete", "namespace", f"{prefix}contract", "--wait=false", "--ignore-not-found")
        api.stop()
        folder.cleanup()

    request.config.add_cleanup(end)
    return Shared(cluster, api, options, cluster.publish(images.base()))
