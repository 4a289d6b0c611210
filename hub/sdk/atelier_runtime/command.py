"""Running the command: a session of its own, one log, a deadline, and no survivor."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from atelier_runtime import oom, outcome, process
from atelier_runtime.outcome import Failure, Outcome
from atelier_runtime.spec import ShimSpec

_VARIABLE = re.compile(r"\$\{(ATELIER_[A-Z0-9_]+)\}")
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED = _STOP_SIGNALS | {signal.SIGCHLD}
_CANNOT_START = 127
_TEND_SECONDS = 2.0

Program = Callable[[], int]


def substitute(item: str, variables: dict[str, str]) -> str:
    """Fill in `${ATELIER_…}`; a name that is not set is an error, not an empty text."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise Failure(outcome.BAD_SPEC, f"The command names ${{{name}}}, which is not set for this step.")
        return variables[name]

    return _VARIABLE.sub(value, item)


def _checked(environment: dict[str, str]) -> dict[str, str]:
    """The environment, if the kernel can be given it."""
    for name, value in environment.items():
        if not name or "=" in name or not _is_text(name) or not _is_text(value):
            raise Failure(outcome.BAD_SPEC, f"The variable {name!r} is not one that a program can be given.")
    return environment


def _is_text(item: str) -> bool:
    try:
        return b"\0" not in os.fsencode(item)
    except UnicodeEncodeError:
        return False


class Command:
    """The command of one replica: started once, then waited for.

    Setting `program` replaces the execution of a file (a warm worker runs Python in place); `tend` is called now and
    then while it runs. Standard output and error go to the descriptor `output`. The caller has blocked `_WATCHED`
    signals by `block_signals`.
    """

    def __init__(self, spec: ShimSpec, environment: dict[str, str], output: int) -> None:
        self._spec = spec
        self._environment = _checked(environment)
        self._output = output
        self.program: Program | None = None
        self.tend: Callable[[], None] | None = None
        self._oom = oom.kills()
        self.items = [substitute(item, environment) for item in spec.command]
        if not all(map(_is_text, self.items)):
            raise Failure(outcome.BAD_SPEC, "The command holds a character that no program can be given.")
        self.pid = 0

    def start(self) -> int:
        """Start it and return its pid, which is its session too; `Failure` if the program cannot be executed."""
        workdir = self._spec.path(self._spec.workdir)
        if not os.path.isdir(workdir):
            raise Failure(outcome.BAD_SPEC, f"The working directory {self._spec.workdir!r} does not exist in the code.")
        executable = "" if self.program else self._find(workdir)
        receive, send = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(receive)
            self._become_command(workdir, executable, send)
        os.close(send)
        with os.fdopen(receive, "rb") as pipe:
            problem = pipe.read()
        if problem:
            os.waitpid(self.pid, 0)
            raise self._not_executable(int(problem), executable)
        return self.pid

    def wait(self) -> Outcome:
        """Wait for its end, keep its deadline, pass on a stop; afterwards nothing of it survives."""
        deadline = time.monotonic() + self._spec.timeout if self._spec.timeout else None
        result = Outcome()
        status = self._wait(deadline)
        if status == signal.SIGTERM:
            result.fail(outcome.CANCELLED, "It was stopped.")
        elif status == signal.SIGALRM:
            result.fail(outcome.DEADLINE_EXCEEDED, f"It ran longer than {self._spec.timeout:g} s and was ended.")
        ended = self._reap() if not result.reason else self._end()
        process.end_descendants()
        return self._judge(result, ended)

    def _wait(self, deadline: float | None) -> int:
        """Which of SIGCHLD (it ended), SIGTERM (stop) or SIGALRM (deadline) came first."""
        while True:
            left = 3600.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return signal.SIGCHLD if self._ended() else signal.SIGALRM
            if self.tend:
                self.tend()
                left = min(left, _TEND_SECONDS)
            info = signal.sigtimedwait(_WATCHED, left)
            if info is None:
                continue
            if info.si_signo in _STOP_SIGNALS:
                return signal.SIGTERM
            if self._ended():
                return signal.SIGCHLD

    def _ended(self) -> bool:
        """Whether the command itself ended; reaps adopted orphans on the way."""
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return False
            if found.si_pid == self.pid:
                return True
            os.waitpid(found.si_pid, os.WNOHANG)

    def _end(self) -> int:
        """Ask it to end, wait for the grace time, then kill."""
        process.signal_session(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._spec.grace
        while not self._ended() and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, max(0.0, min(0.1, deadline - time.monotonic())))
        process.signal_session(self.pid, signal.SIGKILL)
        return self._reap()

    def _reap(self) -> int:
        """How it ended: its exit code, or below zero the signal."""
        status = os.waitpid(self.pid, 0)[1]
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _judge(self, result: Outcome, ended: int) -> Outcome:
        result.exit_code = code = ended if ended >= 0 else 128 - ended
        killed = code == 128 + signal.SIGKILL
        if killed and not result.reason and oom.kills() > self._oom:
            result.fail(outcome.OOM_KILLED, "It used more memory than there is and was killed.")
        if ended < 0:
            result.fail(outcome.EXIT_CODE, f"It was ended by {_signal_name(-ended)}.")
        elif code:
            result.fail(outcome.EXIT_CODE, f"It ended with exit code {code}.")
        return result

    def _find(self, workdir: str) -> str:
        name, path = self.items[0], self._environment.get("PATH", os.defpath)
        if "/" in name:
            return os.path.join(workdir, name)
        found = shutil.which(name, path=path)
        if found is None:
            text = f"The program {name!r} is not in the image: none of the folders of PATH ({path}) holds it."
            raise Failure(outcome.COMMAND_NOT_FOUND, text)
        return found

    def _not_executable(self, number: int, executable: str) -> Failure:
        name = self.items[0]
        if number == errno.EACCES:
            text = f"The program {name!r} may not be executed: its executable bit is not set, or it is a folder."
        elif number == errno.ENOENT and os.path.exists(executable):
            text = f"The program {name!r} names an interpreter (its first line) that is not in the image."
        elif number == errno.ENOENT:
            text = f"The program {name!r} does not exist; a relative path counts from the working directory."
        else:
            text = f"The program {name!r} could not be executed: {os.strerror(number)}."
        return Failure(outcome.COMMAND_NOT_FOUND, text)

    def _become_command(self, workdir: str, executable: str, send: int) -> NoReturn:
        """In the child: never returns, whatever happens: the parent's stack must not run twice."""
        try:
            self._enter(workdir, executable, send)
            os.close(send)  # the number may belong to another file soon
            if self.program is not None:
                os._exit(self.program())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(_CANNOT_START)

    def _enter(self, workdir: str, executable: str, send: int) -> None:
        """In the child: become the command's file, or what its program runs in; why that fails goes to `send`."""
        try:
            os.setsid()
            os.chdir(workdir)
            _redirect(self._output)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            if self.program is None:
                os.execve(executable, self.items, self._environment)  # noqa: S606
        except OSError as error:
            os.write(send, str(error.errno or errno.EIO).encode())
            os._exit(_CANNOT_START)


def block_signals() -> None:
    """From here on stops and ends are waited for, not delivered."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)


def _redirect(output: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if null > 2:
        os.close(null)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
