"""`python -m tests.harness.cluster VERB`: up, down, build [PROGRAM…], images, publish, status, load FILE."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from . import cluster, images
from .programs import PROGRAMS
from .settings import HOME, KUBECONFIG, CannotRun


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.harness.cluster", description=f"state: {HOME}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start what does not run; compiles and installs what is missing")
    up.add_argument("--clean", action="store_true", help="remove what tests that were broken off have left")
    down = verbs.add_parser("down", help="stop everything")
    down.add_argument("--purge", action="store_true", help="forget the state; keep programs and images")
    build = verbs.add_parser("build", help="compile programs")
    build.add_argument("programs", nargs="*", choices=[[], *PROGRAMS], metavar="PROGRAM", help=", ".join(PROGRAMS))
    verbs.add_parser("images", help="make the base images and push them to the registry")
    verbs.add_parser("status", help="what runs")
    verbs.add_parser("publish", help="push Atelier's images to the registry and say how `atelier up` uses them")
    load = verbs.add_parser("load", help="import docker-archives into the node")
    load.add_argument("archives", nargs="+", type=Path)
    options = parser.parse_args()
    try:
        _do(options)
    except CannotRun as reason:
        sys.exit(f"cluster rig: {reason}")


def _do(options: argparse.Namespace) -> None:
    match options.verb:
        case "up":
            seconds = cluster.up()
            if options.clean:
                cluster.clean()
            print(f"cluster ready in {seconds:.1f} s; export KUBECONFIG={KUBECONFIG}")
        case "down":
            cluster.down(options.purge)
        case "build":
            cluster.build(options.programs or None)
        case "images":
            print("\n".join(cluster.default_images()))
        case "publish":
            _publish()
        case "load":
            for archive in options.archives:
                images.load(archive)
        case "status":
            print(cluster.status())


def _publish() -> None:
    from . import platform, runtime  # these import Atelier, which the other verbs do without
    from .fixtures import rig_cluster

    there = rig_cluster()
    for reference in (runtime.publish_runtime(there, "latest"), *platform.publish_images(there)):
        print(reference)
    print("atelier up", shlex.join(platform.up_options(there)))


if __name__ == "__main__":
    main()
