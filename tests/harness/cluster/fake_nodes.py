"""Nodes that exist only in the API: for scale, and for accelerators that the machine does not have.

The real scheduler places pods on them; this program says that those pods run. With the annotation
`atelier.test/ends-after: SECONDS` (and `atelier.test/exit-code`) on a pod, it also says that they end.
Usable from tests (`with FakeNodes(8, {"nvidia.com/gpu": "8"}):`) and as a program
(`python -m tests.harness.cluster.fake_nodes --nodes 8 --capacity nvidia.com/gpu=8`).
"""

from __future__ import annotations

import argparse
import itertools
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from .api import Api, Cache, Refused
from .settings import NODE

TAINT = "atelier.test/fake"
RENEW_EVERY = 10
WORKERS = 8
DEFAULT_CAPACITY = {"cpu": "64", "memory": "512Gi", "pods": "250", "ephemeral-storage": "1Ti"}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def now(micro: bool = False) -> str:
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.now(UTC).strftime(form)


class FakeNodes:
    """A set of nodes for the time of a `with` block. Tainted with `atelier.test/fake` unless told
    otherwise, so that only pods that tolerate it come here."""

    def __init__(
        self,
        count: int,
        capacity: Mapping[str, str] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        tainted: bool = True,
        prefix: str = "fake",
    ) -> None:
        self.names = [f"{prefix}-{number:04d}" for number in range(count)]
        self._capacity = DEFAULT_CAPACITY | dict(capacity or {})
        self._labels = dict(labels or {})
        self._tainted = tainted
        self._api = Api()
        self._stop = threading.Event()
        self._changed = threading.Event()
        self._addresses = itertools.count(1)
        self._told: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(WORKERS)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> FakeNodes:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Register the nodes, then keep them alive and their pods running."""
        list(self._pool.map(self._register, self.names))
        self._pods = Cache(self._api, "/api/v1/pods", self._changed, fieldSelector=f"spec.nodeName!={NODE}")
        self._pods.start()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._renew, self._run_pods)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Remove the nodes with their pods."""
        self._stop.set()
        self._changed.set()
        for thread in self._threads:
            thread.join(15)
        list(self._pool.map(self._remove_pod, self._mine()))
        list(self._pool.map(lambda name: self._api.delete(f"/api/v1/nodes/{name}"), self.names))
        list(self._pool.map(lambda name: self._api.delete(f"{LEASES}/{name}"), self.names))
        self._pool.shutdown()
        self._api.close()

    def _register(self, name: str) -> None:
        resources = {"capacity": self._capacity, "allocatable": self._capacity}
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", TAINT: "true"} | self._labels
        taints = [{"key": TAINT, "value": "true", "effect": "NoSchedule"}] if self._tainted else []
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": {"taints": taints},
            "status": resources | {"conditions": [_condition("Ready", "KubeletReady")]},
        }
        self._api.create("/api/v1/nodes", node)
        self._api.patch(f"/api/v1/nodes/{name}/status", {"status": node["status"]})
        self._lease(name)

    def _lease(self, name: str) -> None:
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now(micro=True)}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
        if not self._api.create(LEASES, lease):
            self._api.patch(f"{LEASES}/{name}", {"spec": spec})

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            list(self._pool.map(self._try_lease, self.names))

    def _try_lease(self, name: str) -> None:
        try:
            self._lease(name)
        except (OSError, Refused):
            return  # the API server may be away on purpose

    def _mine(self) -> list[dict]:
        names = set(self.names)
        return [pod for pod in self._pods.objects() if pod["spec"].get("nodeName") in names]

    def _run_pods(self) -> None:
        while not self._stop.is_set():
            self._changed.wait(0.2)
            self._changed.clear()
            list(self._pool.map(self._care, self._mine()))

    def _care(self, pod: dict) -> None:
        """Bring one pod to where it should be; each step is told once."""
        uid, notes = pod["metadata"]["uid"], pod["metadata"].get("annotations", {})
        try:
            if pod["metadata"].get("deletionTimestamp"):
                self._remove_pod(pod)
            elif uid not in self._told:
                self._tell(pod, "Running")
                self._told[uid] = str(time.monotonic())
            elif self._is_over(uid, notes):
                code = int(notes.get("atelier.test/exit-code", "0"))
                self._tell(pod, "Failed" if code else "Succeeded", code)
                self._told[uid] = "ended"
        except (OSError, Refused):
            return  # the next turn tries again

    def _is_over(self, uid: str, notes: Mapping[str, str]) -> bool:
        if "atelier.test/ends-after" not in notes or self._told[uid] == "ended":
            return False
        return time.monotonic() - float(self._told[uid]) >= float(notes["atelier.test/ends-after"])

    def _tell(self, pod: dict, phase: str, code: int = 0) -> None:
        running = phase == "Running"
        state = {"running": {"startedAt": now()}} if running else {"terminated": _ended(code)}
        containers = [
            {
                "name": box["name"],
                "image": box["image"],
                "imageID": "",
                "restartCount": 0,
                "ready": running,
                "state": state,
            }
            for box in pod["spec"]["containers"]
        ]
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        status = {
            "phase": phase,
            "conditions": [_condition(kind, "Fake", running or kind in kinds[:2]) for kind in kinds],
            "containerStatuses": containers,
        }
        if running:
            number = next(self._addresses)
            status |= {"startTime": now(), "podIP": f"10.79.{number // 250 % 250}.{number % 250 + 1}"}
        place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        self._api.patch(place, {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status})

    def _remove_pod(self, pod: dict) -> None:
        place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        self._api.delete(place, gracePeriodSeconds=0)
        self._told.pop(pod["metadata"]["uid"], None)


def _condition(kind: str, reason: str, holds: bool = True) -> dict:
    times = {"lastTransitionTime": now()}
    if reason == "KubeletReady":
        times["lastHeartbeatTime"] = now()
    return {"type": kind, "status": str(holds), "reason": reason, **times}


def _ended(code: int) -> dict:
    reason = "Error" if code else "Completed"
    return {"exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now()}


def main() -> None:
    parser = argparse.ArgumentParser(description="register fake nodes until interrupted")
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--capacity", action="append", default=[], metavar="RESOURCE=QUANTITY")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--untainted", action="store_true")
    options = parser.parse_args()
    capacity = dict(pair.split("=", 1) for pair in options.capacity)
    labels = dict(pair.split("=", 1) for pair in options.label)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with FakeNodes(options.nodes, capacity, labels=labels, tainted=not options.untainted):
        print(f"{options.nodes} fake nodes; interrupt to remove them", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
