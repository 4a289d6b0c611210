"""From the end of a step in a pod to the creation of the next step's pod."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from atelier_spawner.kubernetes.labels import INSTANCE, WORKLOAD
from tests.benchmarks.installation import USER, Installation, chain, installation
from tests.benchmarks.report import Aim, Row, Table
from tests.harness.cluster import fixtures
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import backend_options
from tests.harness.cluster.settings import CannotRun
from tests.harness.ports import free_port

AIMS = (Aim("median", 0.15), Aim("p99", 1.0))
_RESOURCES = {"cpu": 0.02, "memory": "96Mi"}
_PER_RUN = 15
_STEP = """\
import json, os, time

time.sleep(0.01)
with open(os.path.join(os.environ["ATELIER_OUTPUTS"], "outputs.json"), "w") as file:
    json.dump({"ended": time.time()}, file)
"""


class Skipped(Exception):
    """Not here; the text says why in one line."""


def measure(pairs: int, quick: bool) -> Table:
    """Chains of pods, until `pairs` pairs of consecutive pods were seen."""
    reported: list[float] = []
    ended: list[float] = []
    with _pods() as (here, pods):
        for _ in range(2 + 2 * pairs // _PER_RUN):
            if len(reported) >= pairs:
                break
            length = min(_PER_RUN, pairs - len(reported)) + 1
            outputs = {"ended": "value"}
            revision = here.revision(chain(length, resources=_RESOURCES, outputs=outputs), _STEP)
            run, _ = here.run(revision, on="cluster", seconds=60 * length)
            _collect(here, pods, run, length, reported, ended)
    rows = [
        Row("step finished → next pod", reported, AIMS, "ms"),
        Row("last line of the step → next pod", ended, unit="ms"),
    ]
    notes = [
        "Finished: the time in the event `attempt.finished`, taken as the shim's report is being committed.",
        "Next pod: a watch of the cluster hears of it (so the watch's own delay is in it). Last line: what the step's",
        "code itself wrote down, so that its container's end, the outputs and the report are in it too. One clock.",
    ]
    return Table("next-pod: step finished → next pod created", rows, notes)


def _collect(here: Installation, pods: _Pods, run: str, length: int, reported: list[float], ended: list[float]) -> None:
    attempts = here.feed.of_attempts(run)
    for number in range(length - 1):
        before, after = f"{run}-s{number}-1", f"{run}-s{number + 1}-1"
        values = next(iter(here.client.steps.attempts(USER, run, f"s{number}"))).values
        if after not in pods.created:
            continue
        reported.append(pods.created[after] - attempts[before]["attempt.finished"])
        ended.append(pods.created[after] - values["ended"])


class _Pods:
    """Hears of new pods of one installation, in a thread."""

    def __init__(self, kubeconfig: Path, instance: str) -> None:
        self.created: dict[str, float] = {}
        self._api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
        self._selector = f"{INSTANCE}={instance},{WORKLOAD}"
        self._watch = watch.Watch()
        self._closed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closed:
            with suppress(client.ApiException, HTTPError):
                self._follow()

    def _follow(self) -> None:
        listed = self._api.list_pod_for_all_namespaces
        # Pods that were there already, after a watch that broke, were made at a moment that nobody saw.
        version = listed(label_selector=self._selector).metadata.resource_version  # type: ignore[union-attr]
        found = self._watch.stream(listed, label_selector=self._selector, resource_version=version, timeout_seconds=600)
        for event in found:
            now = time.time()
            if event["type"] == "ADDED":
                self.created.setdefault(event["object"].metadata.labels[WORKLOAD], now)

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._watch.stop()


@contextmanager
def _pods() -> Iterator[tuple[Installation, _Pods]]:
    cluster = _cluster()
    prefix = f"b{uuid.uuid4().hex[:6]}-"
    host, port = cluster.advertise_host or "127.0.0.1", free_port()
    settings: dict[str, Any] = {
        "backends": {"cluster": _options(cluster, prefix)},
        "extra_binds": [f"{host}:{port}"],
        "advertise_url": f"http://{host}:{port}/api",
    }
    try:
        with installation(**settings) as here:
            pods = _Pods(cluster.kubeconfig, prefix.strip("-"))
            try:
                yield here, pods
            finally:
                pods.close()
    finally:
        _clean(cluster, prefix)


def _clean(cluster: Cluster, prefix: str) -> None:
    with suppress(CannotRun):
        names = cluster.kubectl("get", "namespaces", "-o", "name").split()
        if ours := [name for name in names if name.startswith(f"namespace/{prefix}")]:
            cluster.kubectl("delete", *ours, "--wait=false")


def _cluster() -> Cluster:
    given = os.environ.get("ATELIER_TEST_KUBECONFIG")
    if not given and os.geteuid():
        raise Skipped("needs root for the cluster rig, or ATELIER_TEST_KUBECONFIG with a cluster of yours")
    try:
        return fixtures._someone_elses(Path(given)) if given else fixtures.rig_cluster()
    except CannotRun as error:
        raise Skipped(f"no cluster: {error}") from None


def _options(cluster: Cluster, prefix: str) -> dict[str, Any]:
    try:
        return backend_options(cluster, prefix)
    except (CannotRun, pytest.skip.Exception) as error:
        raise Skipped(f"the images could not be published: {error}") from None
