"""`atelier demo`: a real pipeline from nothing, on real data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from atelier_cli import exits
from atelier_cli.demo_service import serve
from atelier_cli.pipeline import parse_parameters, show_results, submit
from atelier_cli.session import Session, command_options
from atelier_cli.watching import watch
from atelier_templates.demo_project import copy_demo


@click.command()
@click.option("--on", metavar="NAME", help="The back end, e.g. local or cluster; default: the project's.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the pipeline; repeatable.")
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("atelier-demo"),
    show_default=True,
    help="Where the demo is copied to; files of yours there stay as they are.",
)
@click.option("--serve/--no-serve", "served", default=True, help="Deploy the model and ask it about one digit.")
@command_options
def demo(session: Session, on: str | None, parameters: tuple[str, ...], target: Path, served: bool) -> int:
    """Run the demo: recognise handwritten digits.

    Import, split, standardize, two classifiers in parallel, an evaluation with confusion matrix and curves; then the
    better model answers at a URL.
    """
    values = parse_parameters(parameters)
    session.client.me()  # before anything is written: is there a platform?
    pipeline = copy_demo(target)
    session.out.note(f"The demo is in {target}, yours to change.")
    run = submit(session, pipeline, values, on)
    if run is None:
        return exits.USAGE
    code = watch(session, run)
    if code == exits.OK:
        show_results(session, run, only=worth_showing)
        if served:
            serve(session, run)
        session.out.text(f"\nAll tables: atelier pipeline results {run.id}")
        session.out.text(f"Open {hub_url(session.client.url)} in a browser for JupyterLab.")
    return code


def worth_showing(view: Mapping[str, Any]) -> bool:
    """What tells at a glance how good the two models are; `atelier pipeline results` has everything."""
    title = str(view.get("title", "")).lower()
    return view.get("kind") == "metrics" or (view.get("kind") == "table" and "confusion" in title) or title == "summary"


def hub_url(url: str) -> str:
    """The hub's address, from the control plane's."""
    return url.removesuffix("/services/atelier")
