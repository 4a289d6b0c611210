"""What a pod's command uses: measured by the wrapper around it when the sidecar asks, and told by the sidecar.

They meet in the folder that they share: the sidecar makes `usage-wanted`, the wrapper writes `usage.json` and takes
that away. So nothing is measured for nobody, and the control plane says how often. By its answer a pod on a node that
was given up for lost learns, too, that it has to end.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from atelier_runtime import files
from atelier_runtime.api import Api, ApiError, AttemptOver, Unreachable
from atelier_runtime.spec import ShimSpec
from atelier_runtime.usage import ProcessTable

_WANTED, _ANSWER = "usage-wanted", "usage.json"
_FIRST = 0.5
_AWAY = 15.0
_NEVER = float("inf")


class Measure:
    """The wrapper's side; `tend` is called now and then."""

    def __init__(self, shared: str) -> None:
        self._wanted = os.path.join(shared, _WANTED)
        self._answer = os.path.join(shared, _ANSWER)

    def tend(self) -> None:
        """Measure if that is wanted. A full disk, or a step that plays with the folder, spoils only this."""
        if not os.path.exists(self._wanted):
            return
        used = ProcessTable().used_below(os.getpid())
        document = {"at": time.monotonic(), "cpu": used.cpu, "memory": used.memory}
        with contextlib.suppress(OSError):
            files.write_json(self._answer, document, durable=False, mode=0o644)
            os.unlink(self._wanted)


class Gauge:
    """The sidecar's side; `tend` never waits for the wrapper."""

    def __init__(self, spec: ShimSpec, shared: str) -> None:
        self._spec = spec
        self._wanted = os.path.join(shared, _WANTED)
        self._answer = os.path.join(shared, _ANSWER)
        self._api = Api(spec.url, spec.attempt, spec.token, patience=0)  # what is not told now is old soon
        self._due = time.monotonic() + _FIRST
        self._asked = False
        self._before: dict[str, float] | None = None

    def tend(self) -> None:
        """Ask, or tell what was answered, if it is time to; `AttemptOver` if it is."""
        if time.monotonic() < self._due:
            return
        if not self._asked:
            with contextlib.suppress(OSError), open(self._wanted, "wb"):
                self._asked = True
            return
        if os.path.exists(self._wanted):
            return
        self._asked = False
        found, before = self._read(), self._before
        self._before = found
        if found is None or before is None or found["at"] <= before["at"] or found["cpu"] < before["cpu"]:
            self._due = time.monotonic() + _FIRST  # how fast a counter grows needs two readings of one wrapper
            return
        cores = (found["cpu"] - before["cpu"]) / (found["at"] - before["at"])
        self._due = time.monotonic() + self._tell(cores, int(found["memory"]))

    def _read(self) -> dict[str, float] | None:
        document = files.read_json(self._answer) or {}
        found = {name: document.get(name) for name in ("at", "cpu", "memory")}
        numbers = {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}
        return numbers if len(numbers) == len(found) else None

    def _tell(self, cores: float, memory: int) -> float:
        """Seconds until the next time."""
        body: dict[str, Any] = {"replica": self._spec.replica, "cpu": cores, "memory": memory, **self._spec.given}
        try:
            after = self._api.post("usage", body).get("after")
        except AttemptOver:
            raise
        except ApiError:  # an older control plane
            return _NEVER
        except Unreachable:
            return _AWAY
        return float(after) if isinstance(after, (int, float)) and after > 0 else _NEVER
