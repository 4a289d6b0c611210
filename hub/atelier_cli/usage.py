"""What runs use now, for people at a terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from atelier_cli.session import Session
from atelier_sdk import AtelierError, Client
from atelier_sdk.models import StepUsage, Usage

_EVERY = 3.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(amount: float) -> str:
    """`312 MB`; thousands, as file browsers count."""
    unit = 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 100 else f"{amount:.1f} {_UNITS[unit]}"


def cpu_text(usage: Usage) -> str:
    """`0.93 of 2`, in cores."""
    return _of(f"{usage.cpu:.2f}", f"{usage.cpu_given:g}" if usage.cpu_given else "") if usage.cpu is not None else ""


def memory_text(usage: Usage) -> str:
    """`312 MB of 4.3 GB`."""
    given = size(usage.memory_given) if usage.memory_given else ""
    return _of(size(usage.memory), given) if usage.memory is not None else ""


def gpu_text(usage: Usage) -> str:
    """`87 %, 12.1 GB`; empty where it has none, or nothing is known of it."""
    busy = "" if usage.gpu is None else f"{usage.gpu:.0f} %"
    return ", ".join(part for part in (busy, "" if usage.gpu_memory is None else size(usage.gpu_memory)) if part)


def short(usage: Usage) -> str:
    """All of it in some words."""
    cpu = "" if usage.cpu is None else f"{usage.cpu:.2f} CPU"
    memory = "" if usage.memory is None else size(usage.memory)
    gpu = gpu_text(usage)
    return "  ".join(part for part in (cpu, memory, f"GPU {gpu}" if gpu else "") if part)


def show(session: Session, rows: Iterable[tuple[str, Usage]], *, of: str, empty: str) -> None:
    """A table of names and what each uses."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (of, "cpu", "memory", "gpu", ""):
        table.add_column(column)
    for name, usage in rows:
        table.add_row(*map(Text, (name, cpu_text(usage), memory_text(usage), gpu_text(usage), usage.message)))
    if table.row_count:
        session.out.console.print(table)
    else:
        session.out.note(empty)


def _of(used: str, given: str) -> str:
    return f"{used} of {given}" if given else used


@dataclass
class Gauge:
    """Looks now and then, in a thread of its own, what the steps of a run use."""

    client: Client
    project: str
    run: str

    def __post_init__(self) -> None:
        self._rows: Mapping[str, StepUsage] = {}
        self._over = threading.Event()
        threading.Thread(target=self._look, daemon=True, name="usage").start()

    def of(self, step: str) -> StepUsage | None:
        """What was seen of a step last."""
        return self._rows.get(step)

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            try:
                self._rows = {one.step: one for one in self.client.runs.usage(self.project, self.run)}
            except AtelierError:
                self._rows = {}  # an older platform, or one that is away: the run is watched all the same
            except RuntimeError:
                return  # the client is closed
