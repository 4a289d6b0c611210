"""The `cluster` fixture: a Kubernetes to test against.

With ATELIER_TEST_KUBECONFIG set, that cluster is used and the rig is left alone; ATELIER_TEST_REGISTRY
and ATELIER_TEST_ADVERTISE_HOST then say where images go and how pods reach this host. Else the rig is
started if it does not run, and left running for the next time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from . import cluster as rig
from . import faults as rig_faults
from . import images, programs
from .settings import BIN, KUBECONFIG, NODE_IP, REGISTRY, CannotRun
from .shell import run, wait_for


@dataclass(frozen=True)
class Cluster:
    """What a test may know of the cluster that it runs on."""

    kubeconfig: Path
    node_ip: str | None
    advertise_host: str | None  # this machine's address, as pods reach it
    registry: str | None
    kubectl_program: str
    owned: bool  # the rig: faults are possible, images can be published

    @property
    def faults(self) -> ModuleType:
        """`faults.py`; a test that needs it is skipped on a cluster that is not ours to break."""
        if not self.owned:
            pytest.skip("needs the rig: faults are not for a cluster of someone else")
        return rig_faults

    def kubectl(self, *arguments: object, stdin: str | None = None, timeout: float = 120) -> str:
        """kubectl as administrator; its output, or CannotRun with its last words."""
        command = (self.kubectl_program, f"--kubeconfig={self.kubeconfig}")
        return run(*command, *arguments, input=stdin, timeout=timeout).stdout

    def get(self, *arguments: object) -> dict:
        """`kubectl get …` as data."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *documents: dict) -> None:
        """Apply documents given as Python data."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def publish(self, image: images.Image) -> str:
        """Put an image where pods can pull it; returns the reference. On someone else's cluster their
        registry is taken to have it: pushing there is not for a test."""
        if self.owned:
            return images.publish(image)
        if not self.registry:
            pytest.skip("needs the rig, or ATELIER_TEST_REGISTRY with the images of the tests in it")
        return f"{self.registry}/{image.name}"

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test", **labels: str) -> Iterator[str]:
        """A namespace for the time of a block; `labels` with `_` for `-`, or see `pod_security`."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        marks = {"atelier.test/temporary": "true"} | {key.replace("_", "-"): value for key, value in labels.items()}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": marks}})
        try:
            wait_for("the default service account", lambda: self._has(name, "serviceaccount/default"), 30)
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def _has(self, namespace: str, what: str) -> bool:
        return bool(self.kubectl("get", "-n", namespace, what, "--ignore-not-found", "-o", "name").strip())

    def wait_pod(
        self, namespace: str, name: str, until: Callable[[dict], object], seconds: float = 60, what: str = ""
    ) -> dict:
        """Poll a pod until `until(status)` is true; the failure carries the pod's state and events."""
        last: dict = {}

        def reached() -> bool:
            last.clear()
            last.update(self.get("pod", "-n", namespace, name))
            return bool(until(last["status"]))

        try:
            wait_for(f"pod {name} {what}", reached, seconds)
        except CannotRun as error:
            happened = self.kubectl("get", "events", "-n", namespace, "-o", "custom-columns=R:.reason,M:.message")
            pytest.fail(f"{error}; status {json.dumps(last.get('status'))}; events:\n{happened}", pytrace=False)
        return last


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """A real cluster; see the module."""
    given = os.environ.get("ATELIER_TEST_KUBECONFIG")
    try:
        return _someone_elses(Path(given)) if given else rig_cluster()
    except CannotRun as reason:
        pytest.fail(f"no cluster for this test: {reason}", pytrace=False)


def _someone_elses(kubeconfig: Path) -> Cluster:
    if not kubeconfig.is_file():
        raise CannotRun(f"ATELIER_TEST_KUBECONFIG names {kubeconfig}, which is not a file")
    program = shutil.which("kubectl") or str(BIN / "kubectl")
    found = Cluster(
        kubeconfig=kubeconfig,
        node_ip=None,
        advertise_host=os.environ.get("ATELIER_TEST_ADVERTISE_HOST"),
        registry=os.environ.get("ATELIER_TEST_REGISTRY"),
        kubectl_program=program,
        owned=False,
    )
    found.kubectl("get", "--raw", "/readyz")
    return found


def rig_cluster() -> Cluster:
    """The rig, started if it does not run."""
    missing = programs.missing()
    if missing:  # ten minutes of compiling would run into the test's own time limit
        raise CannotRun(f"{', '.join(missing)} not compiled yet; run: python -m tests.harness.cluster up")
    rig.up()
    return Cluster(
        kubeconfig=KUBECONFIG,
        node_ip=NODE_IP,
        advertise_host=NODE_IP,
        registry=REGISTRY,
        kubectl_program=str(BIN / "kubectl"),
        owned=True,
    )
