"""Runs with an image's own Python: has imported the modules that it is called with and forks a process for each step,
as the local engine does. One step is one line of JSON on standard input: script, folder, environment, log; the answer
is its exit code."""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from importlib import import_module
from typing import Any


def main() -> None:
    """Load what there is, then serve until standard input ends."""
    for name in sys.argv[1:]:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(run(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run(job: dict[str, Any]) -> int:
    """The script as Python would run it."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT, 0o600)
    for target in (1, 2):
        os.dup2(log, target)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = job["command"]
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    code = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


main()
