"""Command line of the runtime. Each command imports only what it needs."""

from __future__ import annotations

import argparse


def main(arguments: list[str]) -> int:
    """Carry out one command and return the exit code of the process."""
    options = _parser().parse_args(arguments)
    if options.command == "shim":
        from atelier_runtime import shim

        return shim.main(options.spec)
    if options.command == "zygote":
        from atelier_runtime import warm

        return warm.main(options.socket, options.preload)
    from atelier_runtime import pod

    if options.command == "init":
        return pod.init(options.spec, options.root, options.runtime)
    if options.command == "main":
        return pod.main(options.spec, options.root)
    return pod.sidecar(options.spec, options.root)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="atelier_runtime", description="Carries one replica of one attempt.")
    commands = parser.add_subparsers(dest="command", required=True)
    shim = commands.add_parser("shim", help="carry an attempt on this machine")
    shim.add_argument("--spec", required=True, help="path of shim.json")
    zygote = commands.add_parser("zygote", help="fork shims for the local engine")
    zygote.add_argument("--socket", type=int, required=True, help="file descriptor of the socket to the engine")
    zygote.add_argument("--preload", action="append", default=[], help="module to import before forking")
    for name, text in (
        ("init", "copy the runtime, claim, fetch code and inputs (init container)"),
        ("main", "run the command (the step's own container)"),
        ("sidecar", "ship logs, store outputs, report (native sidecar)"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--spec", default="", help="path of shim.json; `main` reads what `init` left by default")
        sub.add_argument("--root", required=True, help="the attempt's folder on the shared volume")
        if name == "init":
            sub.add_argument("--runtime", default="", help="folder to copy to ROOT/.atelier/runtime")
    return parser
