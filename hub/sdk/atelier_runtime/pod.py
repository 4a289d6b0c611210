"""The shim on a cluster: `init` and `sidecar` in our own containers, `main` around the command in the step's image."""

from __future__ import annotations


def init(spec_path: str, root: str, runtime: str = "") -> int:
    """Copy the runtime to `ROOT/.atelier/runtime`, claim, fetch code and inputs."""
    raise NotImplementedError


def main(spec_path: str, root: str) -> int:
    """Run the command, write `exit.json`, wait for `stored.json`, and return the command's exit code."""
    raise NotImplementedError


def sidecar(spec_path: str, root: str) -> int:
    """Ship logs while the command runs, then store outputs and report."""
    raise NotImplementedError
