"""Tables for people and the same as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.benchmarks.statistics import summarise

_HEAD = ("", "n", "median", "95 % confidence", "p99", "aim", "")


@dataclass(frozen=True)
class Aim:
    """What one statistic should not exceed."""

    statistic: Literal["median", "p99"]
    limit: float


@dataclass(frozen=True)
class Row:
    """One series of measurements; seconds unless `unit` says otherwise (`x` is a ratio, `/s` a rate)."""

    what: str
    samples: Sequence[float]
    aims: tuple[Aim, ...] = ()
    unit: Literal["s", "ms", "µs", "x", "/s", "MiB"] = "s"

    @property
    def met(self) -> bool | None:
        """Whether all aims are met; None without aims."""
        summary = asdict(summarise(self.samples))
        return all(summary[aim.statistic] <= aim.limit for aim in self.aims) if self.aims else None

    def cells(self) -> tuple[str, ...]:
        """As a person reads it."""
        one = summarise(self.samples)
        interval = "n too small" if one.low is None else f"{self._text(one.low)} … {self._text(one.high or 0)}"
        aims = ", ".join(f"{aim.statistic} ≤ {self._text(aim.limit)}" for aim in self.aims)
        verdict = {True: "met", False: "MISSED", None: ""}[self.met]
        return self.what, str(one.n), self._text(one.median), interval, self._text(one.p99), aims, verdict

    def document(self) -> dict[str, Any]:
        """All of it, with every sample."""
        aims = [asdict(aim) for aim in self.aims]
        return asdict(summarise(self.samples)) | {
            "what": self.what,
            "unit": self.unit,
            "aims": aims,
            "met": self.met,
            "samples": list(self.samples),
        }

    def _text(self, value: float) -> str:
        if self.unit in ("ms", "µs"):
            return f"{value * (1e3 if self.unit == 'ms' else 1e6):.1f} {self.unit}"
        return f"{value:,.0f} {self.unit}" if self.unit in ("/s", "MiB") else f"{value:.2f} {self.unit}"


@dataclass(frozen=True)
class Table:
    """The rows of one benchmark. `notes` say what was measured, from where to where."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: Sequence[str] = ()

    def text(self) -> str:
        """For a terminal."""
        return "\n".join([self.title, *(f"  {note}" for note in self.notes), *self._lines()])

    def _lines(self) -> Iterator[str]:
        lines = [_HEAD, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
        for line in lines:
            first = f"  {line[0]:<{widths[0]}}"
            yield "  ".join([first, *(f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))])

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {"title": self.title, "notes": list(self.notes), "rows": [row.document() for row in self.rows]}
