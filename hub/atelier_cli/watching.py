"""Follows a run: the event feed says when to look, the steps themselves say what is."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice, repeat

from rich.live import Live

from atelier_cli import exits
from atelier_cli.progress import Progress, glyph, lines
from atelier_cli.session import Session
from atelier_cli.usage import Gauge
from atelier_sdk import AtelierError, Client
from atelier_sdk.models import Event, Run, Step

# Seconds until the next look without an event: short at first, since the feed is only being opened; should an event be
# missed later, the picture is wrong for no longer than the last.
_LOOK_ANYWAY = (0.3, 0.7, 2.0, 5.0)
_ANSWER_SOON = 2.0
_TAIL = 20


class Bell:
    """Rings when an event of the run arrives."""

    def __init__(self, client: Client, project: str, run: str) -> None:
        self._client = client
        self._project = project
        self._run = run
        self._rung = threading.Event()
        threading.Thread(target=self._listen, daemon=True, name="events").start()

    def _listen(self) -> None:
        try:
            for event in self._client.events.follow(project=self._project):
                if concerns(event, self._run):
                    self._rung.set()
        except (AtelierError, RuntimeError):
            return  # looking anyway goes on; a closed client raises RuntimeError

    def wait(self, timeout: float) -> None:
        """Until it rings, at most `timeout` seconds."""
        self._rung.wait(timeout)
        self._rung.clear()


def concerns(event: Event, run: str) -> bool:
    """Whether an event is about this run or a step of it."""
    return event.subject == run or event.subject.startswith(f"{run}/") or event.data.get("run") == run


def follow(client: Client, project: str, run: str) -> Iterator[tuple[Run, list[Step]]]:
    """The run and its steps, again whenever something changed; the last one is final."""
    bell = Bell(client, project, run)
    for pause in chain(_LOOK_ANYWAY, repeat(_LOOK_ANYWAY[-1])):
        state = client.runs.get(project, run)  # before the steps: a final run's steps are final
        yield state, list(client.steps.list(project, run))
        if state.final:
            return
        bell.wait(pause)


def watch(session: Session, run: Run) -> int:
    """Show a run until it ends; returns the exit code that tells how it ended."""
    progress = Progress(run)
    try:
        if session.out.live:
            _watch_live(session, progress)
        else:
            _watch_lines(session, progress)
    except KeyboardInterrupt:
        return _interrupted(session, run)
    return _conclude(session, progress)


def _watch_live(session: Session, progress: Progress) -> None:
    gauge = Gauge(session.client, session.project, progress.run.id)
    progress.usage = gauge.of
    with closing(gauge), Live(progress, console=session.out.console, refresh_per_second=8, transient=False):
        updates = follow(session.client, session.project, progress.run.id)
        while True:
            # Set while an answer is awaited for long; the screen is drawn by a thread of its own.
            timer = threading.Timer(_LOOK_ANYWAY[-1] + _ANSWER_SOON, setattr, (progress, "silent", True))
            timer.daemon = True
            timer.start()
            try:
                run, steps = next(updates)
            except StopIteration:
                return
            finally:
                timer.cancel()
                progress.silent = False
            progress.update(run, steps)


def _watch_lines(session: Session, progress: Progress) -> None:
    for run, steps in follow(session.client, session.project, progress.run.id):
        changed, run_changed = progress.update(run, steps)
        if session.out.as_json:
            for step in changed:
                session.out.record({"type": "step", **step.model_dump(mode="json")})
            if run_changed:
                session.out.record({"type": "run", **run.model_dump(mode="json")})
        else:
            for line in lines(changed):
                session.out.text(line)


def _interrupted(session: Session, run: Run) -> int:
    session.out.error(
        f"Run {run.id} goes on.",
        code="interrupted",
        hint=f"Watch it again: atelier pipeline watch {run.id} --project {session.project}\n"
        f"  End it:         atelier pipeline cancel {run.id} --project {session.project}",
    )
    return exits.INTERRUPTED


def _conclude(session: Session, progress: Progress) -> int:
    run = progress.run
    if run.state == "done":
        session.out.text(f"{glyph('done')} Run {run.id} is done.")
        return exits.OK
    for step in progress.steps:
        if step.state == "failed":
            _show_end_of_log(session, run, step)
    session.out.error(f"Run {run.id} {_ended(run)}", code=f"run_{run.state}", hint=_next(session, run, progress.steps))
    return exits.FAILED


def _ended(run: Run) -> str:
    why = run.message or run.reason
    return f"{'failed' if run.state == 'failed' else 'was stopped'}: {why}" if why else f"is {run.state}."


def _next(session: Session, run: Run, steps: list[Step]) -> str:
    failed = next((step.name for step in steps if step.state == "failed"), None)
    return f"All of its log: atelier pipeline logs {run.id} {failed} --project {session.project}" if failed else ""


def _show_end_of_log(session: Session, run: Run, step: Step) -> None:
    """The last lines of a failed step, so that nobody has to ask for them."""
    if session.out.as_json:
        return
    session.out.note(f"\n[bold]{glyph('failed')} {_escaped(step.label or step.name)}[/]")
    if step.message:
        session.out.text(f"  {step.message}")
    try:
        tail = log_tail(session.client, session.project, run.id, step.name)
    except AtelierError as error:
        session.out.text(f"  (its log cannot be read: {error.message})")
        return
    for line in tail:
        session.out.text(f"  {glyph('waiting')} {line}")


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def log_tail(client: Client, project: str, run: str, step: str, count: int = _TAIL) -> list[str]:
    """The last lines of a step's log."""
    end: deque[bytes] = deque(maxlen=count + 1)
    rest = b""
    for block in client.steps.logs(project, run, step):
        *whole, rest = (rest + block).split(b"\n")
        end.extend(whole)
    if rest:
        end.append(rest)
    kept = [line.decode(errors="replace") for line in end]
    return list(islice(kept, max(0, len(kept) - count), None))
