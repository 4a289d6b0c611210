"""The native sidecar: logs, outputs, the report; it outlives the command, and starts over if it is killed itself."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import Any

from atelier_runtime import files, outcome, pod
from atelier_runtime.api import Api, ApiError, AttemptOver, Unreachable
from atelier_runtime.gauge import Gauge
from atelier_runtime.log import notice
from atelier_runtime.outcome import Failure, Outcome
from atelier_runtime.spec import ShimSpec
from atelier_runtime.store import store

_WAIT = 0.05
_LOG_EVERY = 1.0
_LOG_PIECE = 1024**2
_DEAD_AFTER = 1.0
_TOLD = ("exit_code", "reason", "message", "values", "outputs")


class Sidecar:
    """Carries one replica's output and end from the shared volume to the control plane."""

    def __init__(self, spec: ShimSpec, shared: str) -> None:
        self._spec = spec
        self._shared = shared
        self._api = Api(spec.url, spec.attempt, spec.token)
        self._gauge = Gauge(spec, shared)
        self._offset = 0
        self._stopping = False

    def run(self) -> int:
        """Until the cluster ends it, which it does when the step's container has ended.

        A sidecar that leaves earlier would be started again. If the wrapper died without an exit there is nothing to
        report: the container's own status says why.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        try:
            if files.read_json(os.path.join(self._shared, "stored.json")) is None:
                ended = self._follow()
                self._ship_logs()
                if ended is not None:
                    self._finish(ended)
        except AttemptOver:
            self._write_stored(Outcome())
        while not self._stopping:
            time.sleep(_WAIT)
        return 0

    def _follow(self) -> dict[str, Any] | None:
        """Ship logs until the command has ended; its end, or None if its wrapper is gone without one."""
        started, over, shipped, missing = False, False, 0.0, 0.0
        while True:
            alive = pod.wrapper_alive(self._shared)
            ended = files.read_json(os.path.join(self._shared, "exit.json"))
            now = time.monotonic()
            if ended is not None:
                return ended
            # A wrapper that has just opened its lock does not hold it yet; a dead one stays dead.
            missing = missing or now if alive is False else 0.0
            if self._stopping and not alive:
                return None
            if missing and now - missing > _DEAD_AFTER and self._spec.kind == "job":
                return None
            try:
                if alive and not started:
                    started = True
                    self._call("started", {"replica": self._spec.replica, "node": pod.node_name()})
                if now - shipped >= _LOG_EVERY:
                    shipped = now
                    self._ship_logs()
                if started and not over:
                    self._gauge.tend()
            except AttemptOver:
                over = True
                pod.end_command(self._shared)  # its last words are still of use, if they are taken
            time.sleep(_WAIT)

    def _ship_logs(self) -> None:
        """Send what is new of the log; the control plane's offset counts."""
        path = os.path.join(self._shared, "log")
        while True:
            try:
                with open(path, "rb") as file:
                    file.seek(self._offset)
                    piece = file.read(_LOG_PIECE)
            except FileNotFoundError:
                return
            if not piece:
                return
            self._send_log(piece)

    def _send_log(self, piece: bytes) -> None:
        path = f"logs/{self._spec.replica}?offset={self._offset}"
        try:
            self._api.call("POST", path, lambda response: response.read(), lambda: piece, _BYTES)
            self._offset += len(piece)
        except AttemptOver:
            raise
        except (ApiError, Unreachable) as error:
            known = error.body.get("offset") if isinstance(error, ApiError) and error.status == 409 else None
            # A log that is refused must not hold up the step: skip the piece.
            self._offset = known if isinstance(known, int) and known != self._offset else self._offset + len(piece)

    def _finish(self, ended: dict[str, Any]) -> None:
        result = Outcome(ended.get("exit_code"), str(ended.get("reason", "")), str(ended.get("message", "")))
        if not result.reason:
            self._store(result)
        told = result.document()
        self._call("finished", {"replica": self._spec.replica, **{name: told[name] for name in _TOLD}})
        self._write_stored(result)

    def _store(self, result: Outcome) -> None:
        if not self._spec.stores:
            result.stored = True
            return
        try:
            store(self._spec, self._api, result, lambda text: self._send_log(notice(text)))
        except Failure as failure:
            result.fail(failure.reason, failure.message)
        except OSError as error:
            result.fail(outcome.OUTPUT_UNSTORED, f"The outputs could not be read: {error}.")

    def _call(self, path: str, document: dict[str, Any]) -> None:
        try:
            self._api.post(path, document)
        except AttemptOver:
            raise
        except (ApiError, Unreachable) as error:
            print(f"{path}: {error}", flush=True)  # the engine's watch sees the pod's end

    def _write_stored(self, result: Outcome) -> None:
        files.write_json(os.path.join(self._shared, "stored.json"), result.document(), mode=0o644)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """The step's container has ended, or the pod is being deleted: finish what can be finished."""
        self._stopping = True


_BYTES = {"Content-Type": "application/octet-stream"}
