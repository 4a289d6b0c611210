"""Images on this machine: a lock file becomes a cached Python environment."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from atelier_core.errors import AtelierError, BackendUnavailable, Invalid
from atelier_core.image import Image
from atelier_spawner.local import interpreters
from atelier_spawner.local.people import open_to_all, passage

_DONE = ".complete"
_LOCK_WAIT = 0.1
_LAST_LINES = 12
_TRY_AGAIN = re.compile(
    r"error sending request|failed to fetch|connect|dns error|timed? ?out|no space left", re.IGNORECASE
)


class Environments:
    """Environments by content: the same lock and Python version are built once, whoever asks."""

    def __init__(self, folder: Path, images: Mapping[str, Image]) -> None:
        self._folder = folder
        self._images = images
        self._ready: dict[str, Path] = {}
        self._keys: dict[tuple[str, Path, int, int], str] = {}
        self._building: dict[str, asyncio.Lock] = {}
        self._pythons: dict[tuple[str, ...], tuple[str, str]] = {}

    async def ready(self, name: str) -> Path:
        """The environment of the image `name`; builds it if it is not there."""
        image = self._find(name)
        python = (await self._python(image))[0]
        key = self._key(image, python)
        if key not in self._ready:
            self._ready[key] = await self._build_once(image, self._folder / key)
        return self._ready[key]

    async def built(self, name: str) -> Path | None:
        """The environment of the image `name` if somebody has made it."""
        image = self._find(name)
        target = self._folder / self._key(image, (await self._python(image))[0])
        return target if (target / _DONE).exists() else None

    def warm(self, name: str) -> tuple[str, ...]:
        """The modules that a warm worker of the image `name` imports."""
        return self._find(name).warm

    def _find(self, name: str) -> Image:
        image = self._images.get(name)
        if image is None:
            image = next((item for item in self._images.values() if item.reference == name), None)
        if image is None:
            known = ", ".join(sorted(self._images)) or "none"
            raise Invalid(f"There is no image {name!r} here.", code="no_image", hint=f"Known images: {known}.")
        if image.cluster_only:
            raise Invalid(
                f"The image {name!r} has no lock file, so it runs on a cluster only.",
                code="cluster_only",
                hint="Give the image a lock file (a requirements.txt with hashes), or run on a cluster.",
            )
        return image

    def _key(self, image: Image, python: str) -> str:
        """Names an environment by its content; the lock is read again only when it changed."""
        assert image.lock is not None
        try:
            status = image.lock.stat()
        except OSError as error:
            raise Invalid(
                f"The lock file of the image {image.name!r} cannot be read: {error}.", code="no_lock"
            ) from error
        seen = (python, image.lock, status.st_mtime_ns, status.st_size)
        if seen not in self._keys:
            content = python.encode() + b"\0" + image.lock.read_bytes()
            self._keys[seen] = hashlib.sha256(content).hexdigest()[:24]
        return self._keys[seen]

    async def _build_once(self, image: Image, target: Path) -> Path:
        if (target / _DONE).exists():
            return target
        passage(self._folder)
        # One task waits for the other processes, the rest of this process for that task; none holds a thread.
        async with self._building.setdefault(target.name, asyncio.Lock()):
            if not (target / _DONE).exists():
                async with _locked(self._folder / f"{target.name}.lock"):
                    if not (target / _DONE).exists():
                        await asyncio.to_thread(self._clear, target.name)
                        await self._build(image, target)
        return target

    def _clear(self, own: str) -> None:
        """Blocking: remove what builds that were killed left: nobody holds their lock, or it is our `own`."""
        for work in self._folder.glob(".*-*"):
            key = work.name[1:].rpartition("-")[0]
            held = None if key == own else _try_lock(self._folder / f"{key}.lock")
            if key == own or held is not None:
                shutil.rmtree(work, ignore_errors=True)
            if held is not None:
                os.close(held)

    async def _build(self, image: Image, target: Path) -> None:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=self._folder))
        try:
            base = (await self._python(image))[1]
            python = work / "env" / "bin" / "python"
            await _install("venv", "--quiet", "--no-project", "--relocatable", "--python", base, str(work / "env"))
            lock = image.lock
            if lock is not None and _has_requirements(lock):
                # As root a source package's build would run somebody else's code with all rights.
                extra = ["--only-binary", ":all:", "--compile-bytecode"] if os.geteuid() == 0 else []
                await _install(
                    "pip", "install", "--quiet", "--python", str(python), "--require-hashes", *extra, "-r", str(lock)
                )
            (work / "env" / _DONE).touch()
            if os.geteuid() == 0:  # steps of other users run in it
                await asyncio.to_thread(open_to_all, work / "env")
            shutil.rmtree(target, ignore_errors=True)
            os.rename(work / "env", target)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _python(self, image: Image) -> tuple[str, str]:
        """The version of Python that the image's environment has here, and the interpreter that it is built from."""
        versions = (image.python, *image.other_pythons)
        if versions not in self._pythons:
            self._pythons[versions] = await self._choose(versions)
        return self._pythons[versions]

    async def _choose(self, versions: Sequence[str]) -> tuple[str, str]:
        """The first that the machine has; the first of all is fetched if it has none."""
        for version in versions:
            if found := await self._installed(version):
                return version, found
        first, folder = versions[0], self._folder.parent / "python"
        passage(folder)
        output = await _uv("python", "install", "--no-progress", "--install-dir", str(folder), first)
        if output is not None:
            raise _no_python(versions, output)
        return first, str(interpreters.fetched(folder, first) or first)

    async def _installed(self, version: str) -> str | None:
        shared = os.geteuid() == 0
        found = interpreters.find(version, shared) or interpreters.fetched(self._folder.parent / "python", version)
        if found is None and not shared and await _uv("python", "find", "--no-python-downloads", version) is None:
            return version  # uv knows where
        return str(found) if found else None


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold the lock of an environment against other processes; it goes with the process that holds it."""
    while (descriptor := _try_lock(path)) is None:
        await asyncio.sleep(_LOCK_WAIT)
    try:
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """The lock, held until it is closed; None if somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor


def _has_requirements(lock: Path) -> bool:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _uv_program() -> str:
    own = Path(sys.executable).with_name("uv")
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        raise Invalid(
            f"Images are made with uv, which is neither beside {sys.executable} nor on PATH.",
            code="no_uv",
            hint="Run `pip install uv` where Atelier is installed, then start the run again.",
        )
    return found


async def _install(*arguments: str) -> None:
    """Run uv for an environment; what it says when it fails is told."""
    text = await _uv(*arguments)
    if text is None:
        return
    if not _TRY_AGAIN.search(text):
        raise Invalid(f"The image's lock file cannot be installed. {text}", code="image_pull", hint="Lock it again.")
    raise BackendUnavailable(
        f"The image's environment could not be built. {text}",
        code="image_pull",
        hint="It is tried again; check the connection to the package index and the room on the disk.",
    )


async def _uv(*arguments: str) -> str | None:
    """Run uv: None if it did what it should, else its last words. Whoever gives up ends it, and what it started."""
    process = await asyncio.create_subprocess_exec(
        _uv_program(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        umask=0o022,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if not process.returncode:
        return None
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-_LAST_LINES:])


def _no_python(versions: Sequence[str], output: str) -> AtelierError:
    kind = BackendUnavailable if _TRY_AGAIN.search(output) else Invalid
    wanted = " or ".join(versions)
    return kind(
        f"The image needs Python {wanted}. This machine has none, and none could be fetched. {output}",
        code="no_python",
        hint=f"Install one of them so that all users can run it, for example python{versions[-1]} of the system.",
    )
