"""Keeps the platform's processes running: starts them, starts them again when they die, and ends them with itself.

    python -m atelier_cli.platform.supervisor DATA

It may be killed at any time: the others go on, and the next one takes them over, for a process says itself who it is.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import httpx

from atelier_cli.platform import child, processes, proxy
from atelier_cli.platform.child import Command
from atelier_cli.platform.launch import TAKEN, take
from atelier_cli.platform.layout import Layout, load_secrets, load_settings, write_private
from atelier_cli.platform.processes import SUPERVISOR

TICK = 0.2
LONGEST_WAIT = 30.0
LOOK = 2.0  # between two looks at a child that lives: at its record and at the files that it reads
STEADY = 20.0  # a process that ran this long starts again at once when it dies

log = logging.getLogger("atelier.supervisor")


class Kept:
    """One process that should run."""

    def __init__(self, layout: Layout, command: Command) -> None:
        self.layout = layout
        self.command = command
        self.starts = 0
        self._failures = 0
        self._since = 0.0
        self._next = 0.0
        self._look = 0.0
        self._starting: subprocess.Popen[bytes] | None = None

    def tick(self) -> bool:
        """Look after it once; whether it was started just now."""
        # Asked first, for looking a dead process up in the table would lose its exit code.
        if self._starting is not None and self._starting.poll() is not None:
            self._note_end(self._starting.returncode)
        if self.lives_on:
            return False
        found = child.running(self.layout, self.command.name)
        if found is not None:
            self._note_running(found.fingerprint)
            return False
        if self._starting is not None or time.monotonic() < self._next:
            return False  # it has not said who it is yet, or died too often lately
        self._starting = child.start(self.layout, self.command)
        self.starts += 1
        self._since = time.monotonic()
        return True

    @property
    def lives_on(self) -> bool:
        """Whether nothing needs to be looked at: it is a living child of ours, and was right a moment ago."""
        child_lives = self._starting is not None and self._starting.poll() is None
        return child_lives and time.monotonic() < self._look

    def configure(self, command: Command) -> None:
        """Run this command from now on."""
        self.command = command
        self._look = 0.0

    def stop(self) -> None:
        """End it."""
        child.stop(self.layout, self.command.name, self.command.grace)

    def _note_running(self, fingerprint: str) -> None:
        if not self._since:
            self._since = time.monotonic()
            log.info("%s runs already", self.command.name)
        if fingerprint != self.command.fingerprint:
            log.info("%s was configured otherwise; starting it anew", self.command.name)
            self.stop()
        else:
            self._look = time.monotonic() + LOOK

    def _note_end(self, code: int) -> None:
        lived = time.monotonic() - self._since
        self._failures = 0 if lived > STEADY else self._failures + 1
        wait = 0.0 if self._failures == 0 else min(LONGEST_WAIT, 0.25 * 2**self._failures)
        self._next = time.monotonic() + wait
        self._starting = None
        self._look = 0.0
        why = "another one still holds its lock" if code == TAKEN else f"ended with {code}"
        log.warning("%s %s after %.1f s; starting it again in %.1f s", self.command.name, why, lived, wait)


class Supervisor:
    """All the processes of one data folder."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._stopping = False
        self._reload = False
        self._routes_due = False
        self._kept: list[Kept] = []

    def run(self) -> None:
        """Until a signal asks for the end; then stop everything, the last started first."""
        self._load()
        while not self._stopping:
            if self._reload:
                self._reload = False
                self._load()
            self._tick()
            time.sleep(TICK)
        log.info("stopping")
        for kept in reversed(self._kept):
            kept.stop()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """SIGHUP reads the configuration again; any other ends the platform."""
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self._stopping = True

    def _load(self) -> None:
        self.settings = load_settings(self.layout)
        program = proxy.find(proxy.default_cache()) or ()
        known = {kept.command.name: kept for kept in self._kept}
        self._kept = []
        for command in processes.commands(self.layout, self.settings, program):
            kept = known.get(command.name) or Kept(self.layout, command)
            kept.configure(command)
            self._kept.append(kept)

    def _tick(self) -> None:
        for kept in self._kept:
            if self._too_early(kept):
                continue
            if kept.tick():
                log.info("started %s", kept.command.name)
                self._routes_due = self._routes_due or kept.command.name == "proxy"
                self._write_status()
        if self._routes_due and processes.answers(self.settings.proxy_api_port):
            self._routes_due = not self._set_routes()

    def _too_early(self, kept: Kept) -> bool:
        """A hub that finds no proxy when it starts gives up."""
        if kept.command.name != "hub" or kept.lives_on or child.running(self.layout, "hub") is not None:
            return False
        return not processes.answers(self.settings.proxy_api_port)

    def _set_routes(self) -> bool:
        """A new proxy knows no routes; the hub would tell it only minutes later. Whether the hub did it."""
        token = load_secrets(self.layout).supervisor
        try:
            answer = httpx.post(
                f"{self.settings.hub_url}/hub/api/proxy", headers={"Authorization": f"token {token}"}, timeout=5
            )
        except httpx.HTTPError:
            return False  # the hub is not up; it sets the routes itself when it comes
        return answer.status_code == 200

    def _write_status(self) -> None:
        write_private(self.layout.run / "starts.json", json.dumps({k.command.name: k.starts for k in self._kept}))


def main() -> None:
    """Be the supervisor of the data folder named on the command line, unless there is one."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    layout = Layout(Path(sys.argv[1]))
    if take(layout.record(SUPERVISOR), "") is None:
        raise SystemExit(TAKEN)
    supervisor = Supervisor(layout)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, supervisor.on_signal)
    supervisor.run()


if __name__ == "__main__":
    main()
