"""Workloads as processes of this machine."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from atelier_core.backend import Backend, BackendSettings, Capacity, Endpoints, Exec, Usage
from atelier_core.errors import AtelierError, BackendUnavailable, Invalid, NotFound, StorageFull
from atelier_core.states import Reason, State
from atelier_core.workload import Handle, Observation, ReplicaUsage, WorkloadSpec
from atelier_runtime import files
from atelier_runtime.spec import ShimSpec
from atelier_spawner.local.attempt import Attempt, known, make_folders
from atelier_spawner.local.environments import Environments
from atelier_spawner.local.launch import Launcher, make_record
from atelier_spawner.local.people import People
from atelier_spawner.local.slots import Slots
from atelier_spawner.local.tracker import Tracker
from atelier_spawner.local.usage import Meter

# The method `list` hides the type inside the class.
Observations = list[Observation]

_OPTIONS = frozenset(
    {
        "accelerators",
        "cache_dir",
        "cpu",
        "env",
        "folder",
        "identities",
        "log_limit",
        "memory",
        "people",
        "warm_limit",
        "warm_seconds",
    }
)
_LOG_PIECE = 256 * 1024
_LOG_WAIT = 0.05
_STOP_MARGIN = 1.0

log = logging.getLogger("atelier.local")


class LocalBackend(Backend, Endpoints, Exec, Capacity, Usage):
    """The embedded engine.

    Options: `cpu`, `memory`, `accelerators` that it may use; `env` for steps; `log_limit` bytes that are kept of a
    log; `warm_limit` warm workers, each of which ends after `warm_seconds` without use; `cache_dir` for environments
    and `folder` for attempts, which other accounts must be able to pass; see `People` for the rest.
    """

    def __init__(self, settings: BackendSettings) -> None:
        super().__init__(settings)
        unknown = set(settings.options) - _OPTIONS
        if unknown:
            raise Invalid(
                f"The local back end knows no option {', '.join(sorted(unknown))}.",
                code="bad_option",
                hint=f"It knows {', '.join(sorted(_OPTIONS))}.",
            )
        cache = Path(settings.options.get("cache_dir", settings.data_dir / "cache"))
        folder = Path(settings.options.get("folder", settings.data_dir))
        self._folder = folder
        self._people = People(settings.options)
        self._slots = Slots.of_machine(settings.options)
        self._environments = Environments(cache / "envs", settings.images)
        self._launcher = Launcher(
            folder, cache, Path(sys.executable), self._people, self._environments.warm, settings.options
        )
        self._tracker = Tracker(self._slots.release)
        self._meter = Meter()
        self._locks: dict[str, asyncio.Lock] = {}
        self._opened = False
        self._opening = asyncio.Lock()
        self._tending: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take over what runs: count its slots, watch its shims, clean up what was cut short."""
        async with self._opening:
            if self._opened:
                return
            await asyncio.to_thread(self._make_folders)
            await asyncio.to_thread(self._launcher.open)
            self._slots.clear()  # after `close`, another process may have ended what was counted
            for attempt in await asyncio.to_thread(known, self._folder):
                try:
                    self._take_over(attempt)
                except Exception:  # what is wrong with one must not keep the others from being looked after
                    log.exception("Workload %s cannot be taken over", attempt.workload)
            self._tending = asyncio.get_running_loop().create_task(self._launcher.tend())
            self._opened = True

    async def close(self) -> None:
        """Stop watching; what runs goes on running."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        await self._tracker.close()
        await asyncio.to_thread(self._launcher.close)
        self._opened = False

    async def start(self, spec: WorkloadSpec) -> AsyncIterator[Handle]:
        """Reserve, make the environment ready, prepare the folder, start the shims."""
        await self.open()
        if self._people.several:
            spec = await asyncio.to_thread(self._people.assign, spec)
        self._check(spec)
        async with self._locks.setdefault(spec.id, asyncio.Lock()):
            attempt = Attempt(self._folder, spec.id)
            launched = False
            try:
                self._reserve(attempt, spec)
                yield _handle(attempt, "reserved")
                environments = {role.image: await self._environments.ready(role.image) for role in spec.roles}
                yield _handle(attempt, "environment")
                await asyncio.to_thread(
                    self._launcher.prepare, attempt, spec, environments, list(self._slots.accelerators)
                )
                yield _handle(attempt, "prepared")
                launched = True
                await self._launcher.launch(attempt, spec, environments)
            except OSError as error:
                raise _no_room(error) from error
            finally:
                if launched:
                    self._tracker.follow(attempt)
                else:
                    self._give_up(attempt)
            yield _handle(attempt, "started")

    async def stop(self, handle: Handle, grace: float) -> None:
        """Ask, wait, kill, verify that nothing survives, remove the folder."""
        await self.open()
        attempt = Attempt(self._folder, handle.workload)
        if attempt.record is not None or attempt.damaged:
            self._tracker.signal(attempt.workload, signal.SIGTERM)
            await self._tracker.ended(attempt.workload, grace + _STOP_MARGIN if self._is_live(attempt) else 0)
            self._tracker.signal(attempt.workload, signal.SIGKILL)
            stuck = [] if attempt.clean else await asyncio.to_thread(self._kill, attempt)
            if stuck:
                raise BackendUnavailable(
                    f"Processes {', '.join(map(str, stuck))} of {attempt.workload} cannot be killed now.",
                    code="stuck_process",
                    hint="They wait in the kernel, often for a file server; stopping is tried again.",
                )
        self._tracker.forget(attempt.workload)
        self._slots.release(attempt.workload)
        await asyncio.to_thread(attempt.remove)
        self._locks.pop(attempt.workload, None)

    def set_aside(self, project: str) -> None:
        """The project's folder gets out of the way, and its group out of use."""
        self._people.set_aside(project)

    def remove_aside(self) -> None:
        """Remove the folders of deleted projects."""
        self._people.remove_aside()

    async def list(self) -> Observations:
        """Every attempt folder, lost shims dealt with first."""
        await self.open()
        return await asyncio.to_thread(self._observe_all)

    async def watch(self) -> AsyncIterator[Observation]:
        """Changes, within a millisecond of the end of a shim."""
        await self.open()
        async for observation in self._tracker.changes():
            yield observation

    async def logs(self, handle: Handle, replica: str, follow: bool) -> AsyncIterator[bytes]:
        """The log file from its beginning; with `follow` until the replica has ended."""
        attempt = self._find(handle)
        descriptor: int | None = None
        try:
            while True:
                ended = attempt.ended(replica) is not None or not attempt.folder.exists()
                if descriptor is None:
                    path = files.log_path(str(attempt.root(replica)), replica)
                    descriptor = files.open_untrusted(path, attempt.record.uid if attempt.record else None)
                while descriptor is not None and (piece := _read_on(descriptor)):
                    yield piece
                if ended or not follow:
                    return
                await asyncio.sleep(_LOG_WAIT)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    async def endpoint(self, handle: Handle, port: str) -> str:
        """Where the first replica that has this port listens."""
        attempt = self._find(handle)
        replicas = attempt.record.replicas if attempt.record else ()
        for replica in replicas:
            if port not in replica.ports:
                continue
            if attempt.shim(replica.name) is None or not await _listens(replica.ports[port]):
                raise BackendUnavailable(
                    f"{handle.workload} does not listen on its port {port!r} yet.", code="not_ready", hint="Try again."
                )
            return f"http://127.0.0.1:{replica.ports[port]}"
        raise NotFound(f"{handle.workload} has no port {port!r}.", code="no_port")

    async def exec(self, handle: Handle, replica: str, command: Sequence[str]) -> tuple[int, bytes]:
        """Run `command` with the replica's environment, folder and user."""
        attempt = self._find(handle)
        if attempt.shim(replica) is None:
            raise NotFound(f"The replica {replica!r} of {handle.workload} is not running.", code="not_running")
        spec = await asyncio.to_thread(ShimSpec.load, str(attempt.orders(replica)))
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=spec.environment({}),
                cwd=spec.path(spec.workdir),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                user=spec.uid,
                group=spec.uid,
                extra_groups=None if spec.uid is None else list(spec.groups),
            )
        except FileNotFoundError:
            return 127, f"{command[0]}: not found\n".encode()
        output, _ = await process.communicate()
        return process.returncode or 0, output

    async def capacity(self) -> dict[str, dict[str, float]]:
        """What this machine has and what no workload holds."""
        await self.open()
        free = self._slots.free()
        return {name: {"total": total, "free": free[name]} for name, total in self._slots.total().items()}

    async def usage(self, handles: Sequence[Handle]) -> dict[str, tuple[ReplicaUsage, ...]]:
        """From the process table, and from the accelerators' own program."""
        await self.open()
        return await self._meter.usage([Attempt(self._folder, handle.workload) for handle in handles])

    def _make_folders(self) -> None:
        make_folders(self._folder)
        if os.geteuid() == 0 and not self._people.several:
            log.warning("Steps run as root, which is for one person alone; the option `identities` gives each a user.")

    def _take_over(self, attempt: Attempt) -> None:
        record = attempt.record
        if record is None:
            return
        for replica in record.replicas:
            attempt.keep_claim(replica.name)
        if self._is_live(attempt):
            self._slots.hold(attempt.workload, record.replicas)
        self._tracker.follow(attempt)

    def _check(self, spec: WorkloadSpec) -> None:
        if spec.uid is not None and spec.uid != os.geteuid() and os.geteuid() != 0:
            raise Invalid(
                "Running steps as another user needs root.",
                code="needs_root",
                hint="Start the platform as root, or let it serve one person.",
            )
        if spec.uid is not None and spec.uid == 0 and os.geteuid() == 0:
            raise Invalid("Steps of a user never run as root.", code="root_refused")

    def _reserve(self, attempt: Attempt, spec: WorkloadSpec) -> None:
        record = attempt.record
        if attempt.damaged:
            raise BackendUnavailable(f"The record of {spec.id} is damaged; it is reported lost.", code="damaged")
        if record is None:
            attempt.reserve(make_record(spec, self._slots))
        elif not self._slots.holds(spec.id) and not attempt.all_ended:
            claimed = any(attempt.claim(replica.name) is not None for replica in record.replicas)
            if not claimed:  # an earlier start was cut short; what it chose may be taken by now
                attempt.reserve(make_record(spec, self._slots))
        if attempt.record is not None and not attempt.all_ended:
            self._slots.hold(spec.id, attempt.record.replicas)

    def _give_up(self, attempt: Attempt) -> None:
        """A start ended before any shim was asked for: give the slot back unless an earlier start's shims live."""
        record = attempt.record
        if record and not any(attempt.shim(replica.name) for replica in record.replicas):
            self._slots.release(attempt.workload)

    def _is_live(self, attempt: Attempt) -> bool:
        record = attempt.record
        return record is not None and any(attempt.shim(replica.name) for replica in record.replicas)

    def _kill(self, attempt: Attempt) -> Sequence[int]:
        """Blocking: end shims first (they would start the command), then everything else."""
        attempt.kill_shims()
        return attempt.kill_survivors()

    def _observe_all(self) -> Observations:
        return [self._observe(attempt) for attempt in known(self._folder)]

    def _observe(self, attempt: Attempt) -> Observation:
        """What its files show; where they cannot be read now, that it is there and why no more can be told."""
        try:
            attempt.settle()
            return attempt.observe()
        except Exception as error:
            log.exception("Workload %s cannot be looked at", attempt.workload)
            text = f"Its files on this machine cannot be read now: {error}."
            return Observation(
                workload=attempt.workload, state=State.STARTING, reason=Reason.BACKEND_UNAVAILABLE, message=text
            )

    def _find(self, handle: Handle) -> Attempt:
        attempt = Attempt(self._folder, handle.workload)
        if attempt.record is None:
            raise NotFound(f"{handle.workload} is not on this machine.", code="gone")
        return attempt


def _handle(attempt: Attempt, stage: str) -> Handle:
    return Handle(workload=attempt.workload, data={"folder": str(attempt.folder)}, stage=stage)


def _no_room(error: OSError) -> AtelierError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            f"There is no room left for the step's folder ({error.filename or 'the data folder'}).",
            hint="Delete old runs or make the disk larger; the step is tried again.",
        )
    return BackendUnavailable(f"The step's folder could not be made: {error}.", code="start_failed")


def _read_on(descriptor: int) -> bytes:
    """What is new in a log; one that was cut short because it was too long goes on at its new end."""
    if os.fstat(descriptor).st_size < os.lseek(descriptor, 0, os.SEEK_CUR):
        os.lseek(descriptor, 0, os.SEEK_END)
    return os.read(descriptor, _LOG_PIECE)


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
