"""What a command says: tables and lines for people, JSON for programs (one object per line in streams)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "waiting": "dim",
    "queued": "cyan",
    "starting": "cyan",
    "running": "bold blue",
    "stopping": "yellow",
    "done": "green",
    "failed": "bold red",
    "stopped": "yellow",
    "skipped": "dim",
}


class Output:
    """Writes results to stdout, and everything else (notes, progress) to stderr when stdout is for programs."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def live(self) -> bool:
        """Whether a person watches and the screen may be redrawn."""
        return not self.as_json and self.console.is_terminal

    def note(self, text: str) -> None:
        """A remark for a person; programs never see it."""
        if not self.as_json:
            self.console.print(Text.from_markup(text))

    def text(self, text: str) -> None:
        """Words that did not come from us, so no markup is read into them."""
        if not self.as_json:
            self.console.print(Text(text))

    def warn(self, text: str) -> None:
        """Something to look at, though the command goes on."""
        self.errors.print(Text("! ", "yellow") + Text(text))

    def one(self, thing: BaseModel | Mapping[str, Any], text: str) -> None:
        """A single result."""
        if self.as_json:
            self.record(thing)
        else:
            self.text(text)

    def record(self, thing: BaseModel | Mapping[str, Any]) -> None:
        """One line of JSON, at once."""
        print(json.dumps(plain(thing), ensure_ascii=False), flush=True)

    def rows(self, things: Iterable[BaseModel], columns: Sequence[str], *, empty: str) -> None:
        """A list: a table of `columns`, or one JSON object per line."""
        if self.as_json:
            for thing in things:
                self.record(thing)
            return
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for thing in things:
            table.add_row(*(_cell(getattr(thing, column, None), column) for column in columns))
        if table.row_count:
            self.console.print(table)
        else:
            self.note(empty)

    def error(self, message: str, *, code: str, hint: str = "", trace: str = "") -> None:
        """What went wrong and what to do next."""
        if self.as_json:
            found = {"message": message, "code": code, "hint": hint, "trace": trace}
            print(json.dumps({"error": found}, ensure_ascii=False), file=sys.stderr, flush=True)
            return
        self.errors.print(Text("✘ " if utf8() else "x ", "bold red") + Text(message))
        if hint:
            self.errors.print(Text(f"  {hint}"))
        if trace:
            self.errors.print(Text(f"  (trace {trace})", "dim"))


def plain(thing: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """As JSON knows it."""
    return thing.model_dump(mode="json") if isinstance(thing, BaseModel) else dict(thing)


def utf8() -> bool:
    """Whether the terminal can show more than ASCII."""
    screen = sys.__stdout__  # a live display puts itself in the place of sys.stdout
    return ((screen and screen.encoding) or "").lower().replace("-", "") == "utf8"


def _cell(value: Any, column: str) -> Text:
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    text = "" if value is None else str(value)
    return Text(text, STYLES.get(text, "") if column == "state" else "")


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """How long it took, or takes so far."""
    if start is None:
        return None
    return max(0.0, (_aware(end or datetime.now(UTC)) - _aware(start)).total_seconds())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration(value: float | None) -> str:
    """`3.2 s`, `2:05` or `1:02:05`."""
    if value is None:
        return ""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
