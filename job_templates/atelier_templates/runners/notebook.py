"""Runs the notebook of a notebook step: parameters go into its parameters cell, the executed notebook is an output."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path


def main(notebook: str) -> int:
    """Run one notebook; what its cells print goes to the log, and it is stored even when a cell fails."""
    scratch = Path(tempfile.mkdtemp(prefix="notebook-"))
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):  # the home folder may not be writable
        os.environ[name] = str(scratch / name.lower())
        Path(os.environ[name]).mkdir()
    try:
        import nbformat
        import papermill
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError as error:
        print(f"error: the image has no {error.name}, which notebook steps need. Choose an image with papermill and "
              "ipykernel.", file=sys.stderr)  # fmt: skip
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
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        print(f"error: cell {error.exec_count} of {notebook} failed.\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
