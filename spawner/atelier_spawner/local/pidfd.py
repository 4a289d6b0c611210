"""Descriptors of processes: by Python's own functions, or by the kernel's calls where a Python lacks them.

Those that uv installs do: they are built against the headers of an old Linux (astral-sh/uv#9374).
"""

from __future__ import annotations

import ctypes
import os
import signal

_SEND_SIGNAL, _OPEN = 424, 434  # of x86-64, arm64 and every newer architecture


def pidfd_open(pid: int) -> int:
    """A descriptor that can be read once the process has ended. OSError where there is none."""
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(pid)
    return _call(_OPEN, pid, 0)


def pidfd_send_signal(descriptor: int, number: int) -> None:
    """Send a signal. ProcessLookupError if the process has ended."""
    if hasattr(signal, "pidfd_send_signal"):
        signal.pidfd_send_signal(descriptor, number)
    else:
        _call(_SEND_SIGNAL, descriptor, number, 0, 0)


def _call(number: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(*map(ctypes.c_long, (number, *arguments))))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
