"""What a tree of processes has used, from the process table: needs no rights, no control group, no other program."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Used(NamedTuple):
    """`cpu` in seconds since it began, `memory` in bytes now."""

    cpu: float
    memory: int


class _Row(NamedTuple):
    pid: int
    parent: int
    own: int
    ended_children: int
    pages: int


class ProcessTable:
    """The processes of this machine (or container) as one look found them."""

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}
        self._children: defaultdict[int, list[int]] = defaultdict(list)
        for name in os.listdir("/proc"):
            row = _read(name) if name.isdigit() else None
            if row is not None:
                self._rows[row.pid] = row
                self._children[row.parent].append(row.pid)

    def used_below(self, pid: int) -> Used:
        """What all descendants of a process have used, not itself: those that ended are counted by who reaped them."""
        top = self._rows.get(pid)
        if top is None:
            return Used(0.0, 0)
        ticks, memory = top.ended_children, 0
        for row in self._below(pid):
            ticks += row.own + row.ended_children
            memory += _memory(row)
        return Used(ticks / _TICKS, memory)

    def _below(self, pid: int) -> Iterator[_Row]:
        todo, seen = list(self._children[pid]), {pid}
        while todo:
            child = todo.pop()
            if child not in seen:
                seen.add(child)
                todo += self._children[child]
                yield self._rows[child]


def _read(name: str) -> _Row | None:
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    times = [int(field) for field in fields[11:15]]
    return _Row(int(name), int(fields[1]), times[0] + times[1], times[2] + times[3], int(fields[21]))


def _memory(row: _Row) -> int:
    """Its share of what it has in memory: pages that several processes have are not counted for each of them."""
    try:
        with open(f"/proc/{row.pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # another user's, or gone
        pass
    return row.pages * _PAGE
