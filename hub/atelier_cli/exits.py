"""Exit codes, the same for every command (also in `atelier --help`)."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130

HELP = """\b
Exit codes:
  0    it worked
  1    the run failed, or the platform refused
  2    the command or its input is not right
  3    the platform cannot be reached
  130  interrupted (a run that was watched goes on)
"""
