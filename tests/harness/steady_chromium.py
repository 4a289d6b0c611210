#!/usr/bin/env python3
"""Chromium that does not see the machine's network change.

With every address that comes or goes, and pods bring some, it breaks off what it is loading, from this machine, too
(`ERR_NETWORK_CHANGED`). It hears of them by netlink, without which it takes the network for one that stays as it is.
"""

import ctypes
import os
import platform
import struct
import sys

# The number of the system call `socket` and what the kernel calls the processor.
_SOCKET = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _PROCESSOR, _FAMILY = 0, 4, 16  # places in what the kernel shows the filter
_ALLOW, _NOT_SUPPORTED = 0x7FFF0000, 0x00050000 | 97
_AF_NETLINK = 16
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def _without_netlink() -> None:
    """For this process and those that it becomes or starts."""
    number, processor = _SOCKET[platform.machine()]
    steps = [
        (_LOAD, 0, 0, _PROCESSOR),
        (_EQUAL, 0, 5, processor),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, _FAMILY),
        (_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _NOT_SUPPORTED),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "netlink cannot be taken away")


if __name__ == "__main__":
    if platform.machine() in _SOCKET:
        _without_netlink()
    program = os.environ["ATELIER_TEST_CHROMIUM"]
    os.execv(program, [program, *sys.argv[1:]])
