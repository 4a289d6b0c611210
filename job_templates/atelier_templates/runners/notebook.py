"""Runs the notebook of a notebook step: parameters go into its parameters cell, the executed notebook is an output."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path


def main(notebook: str) -> int:
    """Run one notebook; what its cells print goes to the log, and it is stored even when a cell fails."""
    # The home folder may not be writable; a socket's path may have about a hundred characters, so it lies in /tmp.
    place = "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108 - the folder in it is made for this user only
    with tempfile.TemporaryDirectory(prefix="nb-", dir=place) as scratch:
        for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
            os.environ[name] = str(Path(scratch, name[:2].lower()))
            Path(os.environ[name]).mkdir()
        return _run(notebook, "ipc" if len(scratch) < 40 else "tcp")


def _run(notebook: str, transport: str) -> int:
    try:
        import nbformat
        import papermill
        from jupyter_client.kernelspec import KernelSpecManager
        from traitlets.config import Config
    except ImportError as error:
        print(
            f"error: the image has no {error.name}, which notebook steps need. Choose an image with papermill and "
            "ipykernel.",
            file=sys.stderr,
        )
        return 1
    output = Path(os.environ["ATELIER_OUTPUTS"], "notebook.ipynb")
    output.parent.mkdir(parents=True, exist_ok=True)
    parameters = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text("utf-8"))
    try:
        asked = nbformat.read(notebook, as_version=4).metadata.get("kernelspec", {}).get("name", "")
    except Exception as error:
        print(f"error: {notebook} is not a notebook: {error}", file=sys.stderr)
        return 1
    # Notebooks remember the kernel of the machine that they were written on; here there is the image's own.
    kernel = asked if asked in KernelSpecManager().find_kernel_specs() else "python3"
    try:
        papermill.execute_notebook(
            notebook, str(output), parameters=parameters, kernel_name=kernel, log_output=True, progress_bar=False,
            stdout_file=sys.stdout, stderr_file=sys.stderr, cwd=os.getcwd(),
            config=Config({"KernelManager": {"transport": transport}}),
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        print(f"error: cell {error.exec_count} of {notebook} failed.\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
