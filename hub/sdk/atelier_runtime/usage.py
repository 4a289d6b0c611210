"""What a tree of processes has used, from the process table: needs no rights, no control group, no other program."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from atelier_runtime import process

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
        for pid in process.all_pids():
            row = _read(pid)
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


def _read(pid: int) -> _Row | None:
    fields = process.stat(pid)
    if fields is None:
        return None
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return _Row(pid, int(fields[1]), own, ended, int(fields[21]))


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
