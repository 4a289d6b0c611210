"""Running other programs, always with a bound."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from .settings import CannotRun


def run(*command: object, timeout: float = 120, **options) -> subprocess.CompletedProcess:
    """Run to the end; a failure is one line with the last words of the program."""
    words = [str(word) for word in command]
    if not {"stdout", "stderr", "capture_output"} & set(options):
        options["capture_output"] = True
    try:
        done = subprocess.run(words, check=False, text=True, timeout=timeout, **options)
    except FileNotFoundError as error:
        raise CannotRun(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CannotRun(f"{words[0]} {words[1:3]} took more than {timeout:.0f} s") from error
    if done.returncode:
        lines = (done.stderr or done.stdout or "").strip().splitlines()
        last = " | ".join(lines[-3:])
        raise CannotRun(f"{' '.join(words[:4])} … ended with {done.returncode}: {last}")
    return done


def succeeds(*command: object, timeout: float = 60, **options) -> bool:
    """Whether the program ends with 0; for questions such as "is this link there"."""
    try:
        run(*command, timeout=timeout, **options)
    except CannotRun:
        return False
    return True


def wait_for(
    what: str,
    ready: Callable[[], object],
    seconds: float = 60,
    still_possible: Callable[[], str | None] = lambda: None,
) -> None:
    """Poll until `ready` is true. `still_possible` may give a reason to stop waiting at once."""
    end = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except OSError:
            pass
        reason = still_possible()
        if reason:
            raise CannotRun(f"{what}: {reason}")
        if time.monotonic() > end:
            raise CannotRun(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(0.1)
