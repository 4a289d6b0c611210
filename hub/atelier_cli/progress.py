"""How a run looks while it goes on. No network here: it draws what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from atelier_cli.output import STYLES, duration, seconds, utf8
from atelier_cli.usage import short
from atelier_sdk.models import Run, Step, Usage

GLYPHS = {
    "waiting": "·",
    "queued": "○",
    "starting": "◔",
    "running": "●",
    "stopping": "◑",
    "done": "✔",
    "failed": "✘",
    "stopped": "■",
    "skipped": "↷",
}
_ASCII = {
    "waiting": ".",
    "queued": "o",
    "starting": "o",
    "running": "*",
    "stopping": "/",
    "done": "+",
    "failed": "x",
    "stopped": "#",
    "skipped": "-",
}
_ACTIVE = ("queued", "starting", "running", "stopping")


def glyph(state: str) -> str:
    """One character for a state."""
    return (GLYPHS if utf8() else _ASCII).get(state, "?")


@dataclass
class Progress:
    """A run and its steps as last heard of. `silent` is set while the platform does not answer."""

    run: Run
    steps: list[Step] = field(default_factory=list)
    silent: bool = False
    usage: Callable[[str], Usage | None] = lambda _: None
    """What a step uses now, as far as it is known."""

    def update(self, run: Run, steps: list[Step]) -> tuple[list[Step], bool]:
        """Take in what was heard; returns the steps that changed, and whether the run did."""
        before = {step.name: step for step in self.steps}
        changed = [step for step in steps if before.get(step.name) != step]
        run_changed = run != self.run or not self.steps
        self.run, self.steps = run, steps
        return changed, run_changed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(3, (options.height or console.height) - 4)
        yield Group(self._header(), self._table(room))

    def _header(self) -> Text:
        run, done = self.run, sum(step.state == "done" for step in self.steps)
        style = STYLES.get(run.state, "")
        took = duration(seconds(run.started_at, run.ended_at))
        text = Text.assemble(
            (f"{glyph(run.state)} ", style),
            (f"{run.name or 'run'} ", "bold"),
            (f"{run.id}  ", "dim"),
            (run.state, style),
            f"  {done} of {len(self.steps)} steps  {took}",
            (f"  on {run.on}" if run.on else "", "dim"),
        )
        if self.silent:
            text.append("  the platform does not answer, waiting; the run goes on", "yellow")
        return text

    def _table(self, room: int) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        table.add_column(width=2, justify="right")
        table.add_column(ratio=2, overflow="ellipsis", no_wrap=True, min_width=16)
        table.add_column(justify="right", min_width=7)
        table.add_column(ratio=3, overflow="ellipsis", no_wrap=True)
        shown = self._shown(room)
        for step in shown:
            table.add_row(
                Text(glyph(step.state), STYLES.get(step.state, "")),
                step.label or step.name,
                duration(seconds(step.started_at, step.ended_at)),
                Text(self._remark(step), "red" if step.state == "failed" else "dim"),
            )
        if len(shown) < len(self.steps):
            table.add_row("", Text(self._rest(shown), "dim"), "", "")
        return table

    def _remark(self, step: Step) -> str:
        usage = self.usage(step.name) if step.state == "running" else None
        return " · ".join(part for part in (short(usage) if usage else "", remark(step)) if part)

    def _shown(self, room: int) -> list[Step]:
        """All steps when they fit; else what failed, what goes on, and then what comes next."""
        if len(self.steps) <= room:
            return self.steps
        weight = {"failed": 0} | dict.fromkeys(_ACTIVE, 1) | {"waiting": 2}
        order = sorted(range(len(self.steps)), key=lambda index: weight.get(self.steps[index].state, 3))
        return [self.steps[index] for index in sorted(order[: room - 1])]

    def _rest(self, shown: list[Step]) -> str:
        names = {step.name for step in shown}
        counts = Counter(step.state for step in self.steps if step.name not in names)
        return "… and " + ", ".join(f"{count} {state}" for state, count in counts.most_common())


def remark(step: Step) -> str:
    """What is worth knowing about a step besides its state and time."""
    parts = [step.reason] if step.reason else []
    if step.message and step.state != "done":
        parts.append(step.message.splitlines()[0])
    if (step.attempt or 1) > 1:
        parts.append(f"attempt {step.attempt}")
    return " · ".join(parts)


def lines(changed: list[Step]) -> Iterator[str]:
    """The same for a terminal that cannot be redrawn, or a log: one line per change that matters."""
    for step in changed:
        if step.state == "waiting":
            continue
        took = duration(seconds(step.started_at, step.ended_at)) if step.final else ""
        parts = [glyph(step.state), step.state.ljust(8), step.label or step.name, took, remark(step)]
        yield "  ".join(part for part in parts if part)
