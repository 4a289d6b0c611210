"""Bringing the platform up and down, and saying how it is."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from atelier_cli.platform import backends, child, processes, proxy
from atelier_cli.platform.layout import GATEWAY_PATH, Layout, Settings, load_settings, save_settings
from atelier_cli.platform.processes import MLFLOW, NAMES, SUPERVISOR
from atelier_cli.platform.tracking import process as tracking
from atelier_core.errors import BackendUnavailable, Conflict, Invalid
from atelier_core.names import check_project_name, slug
from atelier_spawner.accounts.store import SETUP_PATH, Accounts
from atelier_spawner.notebooks.folders import Folders, why_one_person
from atelier_spawner.notebooks.process import Process, stop_all

READY_SECONDS = 120.0
SERVER_GRACE = 10.0
HEALTH = {
    "hub": "/hub/health",
    "control-plane": "/services/atelier/api/health",
    "gateway": f"{GATEWAY_PATH}/health",
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Started:
    """What a person needs to know after `up`."""

    url: str
    already: bool
    admin: str
    link: str
    one_person: str

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {"url": self.url, "already_running": self.already, "admin": self.admin, "link": self.link or None}


def up(layout: Layout, options: dict[str, Any], say: Say) -> Started:
    """Start what does not run yet and wait until it answers. Running it again changes nothing."""
    layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.run.mkdir(mode=0o700, exist_ok=True)
    with _alone(layout):
        settings = load_settings(layout)
        wanted = settings.given(**options)
        backends.check(wanted)
        already = child.running(layout, SUPERVISOR) is not None
        if already and wanted != settings:
            raise Conflict(
                f"The platform runs already, with other options, at {settings.url}.",
                code="already_running",
                hint="Run `atelier down` first; notebooks will be stopped, runs go on.",
            )
        one_person = "" if already else _prepare(layout, wanted, say)
        if not already:
            say("Starting hub, proxy, control plane and gateway…")
            _start_supervisor(layout)
        settings = load_settings(layout)
        wait_ready(layout, settings)
    return Started(settings.url, already, settings.admin, _link(layout, settings), one_person)


def _prepare(layout: Layout, wanted: Settings, say: Say) -> str:
    """Folders, proxy, first account, ports and configuration. Returns why only one person can be served, if so."""
    one_person = why_one_person(layout.data)
    Folders(layout.data, several=not one_person).make()
    proxy.find_or_install(proxy.default_cache(), say)
    accounts = Accounts(layout.accounts)
    if not accounts.all():
        accounts.add(wanted.admin or default_admin(), admin=True)
    admins = [account.name for account in accounts.all() if account.admin]
    wanted = replace(wanted, admin=_choose_admin(wanted.admin, load_settings(layout).admin, admins))
    running = any(child.running(layout, name) for name in NAMES)
    if not running:
        processes.check_port(wanted)
    wanted = processes.choose_ports(wanted, running=running)
    save_settings(layout, wanted)
    processes.write_configuration(layout, wanted, admins=admins, one_person=one_person)
    return one_person


def _choose_admin(wanted: str, saved: str, admins: list[str]) -> str:
    """Whose platform it is; the one of an earlier start may not be an administrator any more."""
    if not admins:
        raise Invalid(
            "No account of this platform may administer it.",
            code="no_admin",
            hint="Add one: atelier user add NAME --admin",
        )
    if wanted in admins:
        return wanted
    if wanted and wanted != saved:
        raise Invalid(
            f"--admin {wanted!r} is no administrator here, and the first account is there already.",
            code="unknown_admin",
            hint=f"Leave --admin out, or name {' or '.join(admins)}; atelier user add NAME --admin adds another.",
        )
    return admins[0]


def default_admin() -> str:
    """The first account: the name of the person who starts the platform, or `admin` where that is root."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "admin"
    return "admin" if name == "root" else check_project_name(slug(name, 30))


def _start_supervisor(layout: Layout) -> None:
    with child.open_log(layout.log(SUPERVISOR)) as log:
        subprocess.Popen(
            [sys.executable, "-m", "atelier_cli.platform.supervisor", str(layout.data)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.data,
            start_new_session=True,
            umask=0o077,
        )


def wait_ready(layout: Layout, settings: Settings, seconds: float = READY_SECONDS) -> None:
    """Wait until everything answers through the proxy; else say which process does not, with the end of its log."""
    end = time.monotonic() + seconds
    while True:
        silent = silent_processes(settings)
        if not silent:
            return
        if time.monotonic() > end:
            raise _not_ready(layout, silent[0], seconds)
        time.sleep(0.2)


def silent_processes(settings: Settings) -> list[str]:
    """Those that do not answer through the proxy. One without a listener is not asked: the proxy logs each failure."""
    ports = {
        "hub": settings.hub_port,
        "control-plane": settings.control_plane_port,
        "gateway": settings.gateway_port,
    }
    return [
        name for name, path in HEALTH.items() if not processes.answers(ports[name]) or not healthy(settings.url + path)
    ]


def _not_ready(layout: Layout, name: str, seconds: float) -> BackendUnavailable:
    last = child.tail(layout.log(name)) or "(its log is empty)"
    return BackendUnavailable(
        f"{name} does not answer after {seconds:.0f} seconds. The end of its log:\n{last}",
        code="not_ready",
        hint=f"The whole log is {layout.log(name)}. `atelier doctor` checks the usual causes; `atelier down` gives up.",
    )


def healthy(url: str) -> bool:
    """Whether `url` answers 200."""
    try:
        return httpx.get(url, timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _link(layout: Layout, settings: Settings) -> str:
    """The address at which the first admin chooses a password, as long as they have none."""
    accounts = Accounts(layout.accounts)
    admin = accounts.get(settings.admin)
    if admin is None or admin.ready:
        return ""
    return setup_link(settings, accounts.new_link(settings.admin))


def setup_link(settings: Settings, token: str) -> str:
    """The address at which the account of the one-time `token` chooses a password."""
    return f"{settings.url}/hub/{SETUP_PATH}?token={token}"


def reload(layout: Layout) -> bool:
    """Let a running platform take over a change of accounts: the hub starts anew, notebooks go on."""
    supervisor = child.running(layout, SUPERVISOR)
    if supervisor is None:
        return False
    settings, accounts = load_settings(layout), Accounts(layout.accounts)
    admins = [account.name for account in accounts.all() if account.admin]
    several = bool(layout.data.stat().st_mode & 0o011)
    reason = "" if several else why_one_person(layout.data)
    processes.write_configuration(layout, settings, admins=admins, one_person=reason)
    return supervisor.process.signal(signal.SIGHUP)


def down(layout: Layout) -> list[str]:
    """Stop the platform and its notebooks; runs go on and are found again. Returns what was stopped."""
    stopped: list[str] = []
    if not layout.run.is_dir():
        return stopped
    with _alone(layout):
        order = {SUPERVISOR: 90.0, MLFLOW: 10.0, "control-plane": 15.0, "gateway": 15.0, "hub": 20.0, "proxy": 5.0}
        stopped = [name for name in order if child.running(layout, name)]
        for name, grace in order.items():
            child.stop(layout, name, grace)
        records = {path: Process.load(processes.read_json(path)) for path in processes.server_records(layout)}
        servers = [process for process in records.values() if process is not None and process.alive()]
        stop_all(servers, SERVER_GRACE)
        for path in records:
            path.unlink(missing_ok=True)
        stopped += [f"{len(servers)} notebook(s)"] if servers else []
    return stopped


def status(layout: Layout) -> dict[str, Any]:
    """What runs and what answers."""
    settings = load_settings(layout)
    starts = processes.read_json(layout.run / "starts.json") or {}
    rows = []
    for name in (SUPERVISOR, *(name for name in NAMES if name != MLFLOW or settings.mlflow)):
        found = child.running(layout, name)
        row: dict[str, Any] = {"name": name, "running": found is not None, "pid": found.process.pid if found else None}
        if name in HEALTH:
            row["answers"] = found is not None and healthy(settings.url + HEALTH[name])
        if name == MLFLOW:
            row |= mlflow_status(layout, settings, running=found is not None)
        if name in starts:
            row["starts"] = starts[name]
        rows.append(row)
    servers = [Process.load(processes.read_json(path)) for path in processes.server_records(layout)]
    return {
        "data": str(layout.data),
        "url": settings.url,
        "running": all(row["running"] for row in rows if row["name"] != MLFLOW),
        "processes": rows,
        "notebooks": sum(1 for process in servers if process is not None and process.alive()),
    }


def mlflow_status(layout: Layout, settings: Settings, *, running: bool) -> dict[str, Any]:
    """Whether MLflow answers, and what it does while it does not. Everything else goes on without it."""
    answers = running and healthy(f"{settings.mlflow_url}/health")
    known = tracking.state(layout.mlflow)
    doing = (
        ""
        if answers
        else {"installing": "is being installed", "failed": "could not be installed"}.get(
            str(known.get("state")), "is starting"
        )
    )
    return {"answers": answers, "doing": doing, "message": "" if answers else str(known.get("message", ""))}


@contextmanager
def _alone(layout: Layout, seconds: float = 180.0) -> Iterator[None]:
    """One `up` or `down` at a time; a second waits for the first."""
    end = time.monotonic() + seconds
    with (layout.run / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Conflict(
                        "Another `atelier up` or `atelier down` of this data folder is still busy.", code="busy"
                    ) from None
                time.sleep(0.2)
        yield
