"""What `atelier doctor` looks at. Every check ends in a sentence, and a bad one in what to do."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from atelier_cli.platform import child, platform, processes, proxy, sign_in
from atelier_cli.platform.cluster_checks import PodProbe, cluster_checks
from atelier_cli.platform.layout import Layout, Settings, load_settings
from atelier_cli.platform.leftovers import left_over
from atelier_cli.platform.results import Check, bad, good, skipped
from atelier_core.errors import AtelierError
from atelier_spawner.notebooks.folders import PRIVATE, why_one_person

__all__ = ["Check", "PodProbe", "all_checks"]

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
LITTLE_SPACE = 2 * 1024**3


def all_checks(layout: Layout, pod: PodProbe | None = None) -> Iterator[Check]:
    """Every check in turn; a later one may take a while, so a person sees the first ones at once."""
    settings = load_settings(layout)
    yield _python()
    yield _node()
    yield _uv()
    yield _space(layout)
    yield from _folders(layout)
    yield _people(layout)
    yield _port(layout, settings)
    yield from _processes(layout, settings)
    yield _token(layout, settings)
    yield from cluster_checks(settings, pod)
    yield from left_over(layout, settings)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return good("python", f"{found} at {sys.executable}")
    return bad("python", f"{found} is not supported.", "Install Atelier with Python 3.11, 3.12 or 3.13.")


def _node() -> Check:
    try:
        found = proxy.find(proxy.default_cache())
        if found is None:
            return good("proxy", f"not installed yet; `atelier up` does it with Node at {proxy.node()}")
    except AtelierError as error:
        return bad("proxy", error.message, error.hint)
    return good("proxy", " ".join(found))


def _uv() -> Check:
    program = Path(sys.executable).parent / "uv"
    path = str(program) if program.exists() else shutil.which("uv")
    if not path:
        return bad("uv", "There is no uv, so images cannot be made on this machine.", "pip install uv")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        return bad("uv", f"{path} does not run: {done.stderr.strip()}", "pip install --force-reinstall uv")
    return good("uv", f"{done.stdout.strip()} at {path}")


def _space(layout: Layout) -> Check:
    place = next(path for path in (layout.data, *layout.data.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < LITTLE_SPACE:
        return bad("disk", f"only {free / 1e9:.1f} GB free at {place}", "Make room, or choose another folder: --data.")
    return good("disk", f"{free / 1e9:.0f} GB free at {place}")


def _folders(layout: Layout) -> Iterator[Check]:
    if not layout.data.exists():
        yield skipped("data folder", f"{layout.data} does not exist yet; `atelier up` makes it")
        return
    several = stat.S_IMODE(layout.data.stat().st_mode) == 0o711
    wrong = [path for name in PRIVATE if (path := layout.data / name).exists() and _open_to_others(path)]
    wrong += [
        path for path in (layout.token, layout.secrets, layout.accounts) if path.exists() and _open_to_others(path)
    ]
    if not several and _open_to_others(layout.data):
        wrong.append(layout.data)
    if wrong:
        names = " ".join(map(str, wrong))
        yield bad("data folder", f"other people of this machine can look into {names}", f"chmod go-rwx {names}")
        return
    yield good("data folder", f"{layout.data}, {'for several people' if several else 'for one person'}")


def _open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _people(layout: Layout) -> Check:
    if not layout.data.exists():
        return skipped("people", "known when the data folder exists")
    reason = why_one_person(layout.data)
    return good("people", f"one person: {reason}" if reason else "several, each under a number of their own")


def _port(layout: Layout, settings: Settings) -> Check:
    if child.running(layout, "proxy"):
        return good("port", f"{settings.port}, held by our proxy")
    if processes.is_free(settings.ip, settings.port):
        return good("port", f"{settings.port} is free")
    return bad("port", f"{settings.port} is in use by another program.", f"atelier up --port {settings.port + 1}")


def _processes(layout: Layout, settings: Settings) -> Iterator[Check]:
    if child.running(layout, processes.SUPERVISOR) is None:
        yield skipped("processes", "the platform does not run; start it with `atelier up`")
        return
    for name in processes.NAMES:
        found = child.running(layout, name)
        log = f"Read {layout.log(name)}; the end of it: {child.tail(layout.log(name), 2)}"
        path = platform.HEALTH.get(name)
        if name == processes.MLFLOW:
            yield _mlflow(layout, settings, found is not None)
        elif found is None:
            yield bad(name, "does not run; it is started again and again", log)
        elif path and not platform.healthy(settings.url + path):
            yield bad(name, f"runs (pid {found.process.pid}) and does not answer at {settings.url}{path}", log)
        else:
            yield good(name, f"runs (pid {found.process.pid})" + (f", answers at {settings.url}{path}" if path else ""))


def _mlflow(layout: Layout, settings: Settings, running: bool) -> Check:
    if not settings.mlflow:
        return skipped(processes.MLFLOW, "not wanted here: `atelier up --no-mlflow`")
    found = platform.mlflow_status(layout, settings, running=running)
    if found["answers"]:
        return good(processes.MLFLOW, f"answers at {settings.mlflow_url}")
    if found["message"]:
        return bad(processes.MLFLOW, found["message"], "It is tried again; everything else goes on without it.")
    return skipped(processes.MLFLOW, f"MLflow {found['doing']}; everything else goes on without it")


def _token(layout: Layout, settings: Settings) -> Check:
    if child.running(layout, "hub") is None:
        return skipped("token", "the hub does not run")
    token = layout.token.read_text().strip() if layout.token.exists() else ""
    owner = sign_in.owner(settings, token)
    if not owner:
        return bad("token", "the command line's token is not valid.", "Run `atelier up`: it leaves a new one.")
    return good("token", f"belongs to {owner}")
