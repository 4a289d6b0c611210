"""Runs the Python code of the form."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from pathlib import Path

import step

NAME = "code of the form"


def main() -> None:
    """Run it with the folders as names; of a traceback only what is the person's own is shown."""
    code = step.parameters()["code"]
    names: dict[str, object] = {"__name__": "__main__"}
    names |= {one: Path(os.environ[f"ATELIER_{one.upper()}"]) for one in ("inputs", "outputs", "results")}
    sys.path.insert(0, os.environ["ATELIER_CODE"])
    # So that a traceback shows the lines.
    linecache.cache[NAME] = (len(code), None, code.splitlines(keepends=True), NAME)
    try:
        exec(compile(code, NAME, "exec"), names)  # noqa: S102 - that is what the step is for
    except Exception as error:
        own = error.__traceback__.tb_next if error.__traceback__ else None
        print("".join(traceback.format_exception(type(error), error, own)), file=sys.stderr)
        step.fail(f"The code of the form ended with {type(error).__name__}: {error}")


main()
