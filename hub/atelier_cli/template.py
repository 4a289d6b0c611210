"""`atelier template`: what there is, and whether it does what it says."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from atelier_cli import exits
from atelier_cli.pipeline import submit
from atelier_cli.session import Session, command_options
from atelier_cli.watching import watch
from atelier_core.errors import AtelierError, Invalid, NotFound
from atelier_core.template import Catalog, Template
from atelier_runtime.archive import BadArchive, unpack
from atelier_sdk import Client
from atelier_sdk.models import Artifact
from atelier_templates import demos
from atelier_templates.loader import Library, load


@click.group()
def template() -> None:
    """Templates: kinds of steps that anyone can use."""


@template.command("list")
@command_options
def list_command(session: Session) -> int:
    """List the templates that the platform offers."""
    columns = ("name", "version", "stage", "category", "image", "description")
    session.out.rows(session.client.templates.list(), columns, empty="No templates.")
    return exits.OK


@template.command("check")
@click.argument("name")
@click.option("--on", metavar="NAME", help="The back end, e.g. local or cluster; default: the project's.")
@command_options
def check_command(session: Session, name: str, on: str | None) -> int:
    """Run the demo of template NAME (or of the template in folder NAME) for real, and its verify.py on what it left."""
    found, folder, catalog = find_template(name)
    check_offered(session.client, found)
    with TemporaryDirectory(prefix="atelier-check-") as place:
        file = Path(place, "pipeline", f"{found.name}.pipeline")
        file.parent.mkdir()
        file.write_text(json.dumps(demos.demo_pipeline(found, catalog), indent=1))
        run = submit(session, file, {}, on)
        if run is None:
            return exits.USAGE
        code = watch(session, run)
        if code != exits.OK:
            return code
        outputs, results = fetch(session.client, session.project, run.id, found.name, Path(place, "left"))
        return verify(session, folder, found, outputs, results)


def find_template(name: str) -> tuple[Template, Path, Catalog]:
    """The template of that name or in that folder, with what its demo may use."""
    folder = Path(name)
    if folder.joinpath("template.yaml").is_file():
        found = load(folder)
        library = Library()
        known = [one for one in library.catalog if one.key != found.key]
        return found, folder, Catalog([*known, found])
    library = Library()
    template = library.catalog.find(name)
    if template is None:
        meant = library.catalog.similar(name)
        hint = f"Did you mean {meant}?" if meant else "`atelier template list` shows what there is."
        raise NotFound(f"There is no template {name!r}, and no folder {name!r} with a template.yaml.", hint=hint)
    return template, library.folder(template), library.catalog


def check_offered(client: Client, template: Template) -> None:
    """The platform must have the template that is being looked at, not another of its name."""
    offered = next((one for one in client.templates.list() if one.name == template.name), None)
    if offered is None or offered.version != template.version:
        there = f"offers version {offered.version}" if offered else "does not offer it"
        raise Invalid(
            f"This is {template.name} {template.version}; the platform {there}.",
            hint="Put the folder beside the other templates and restart the platform: atelier down, atelier up.",
        )


def fetch(client: Client, project: str, run: str, step: str, place: Path) -> tuple[Path, Path]:
    """What the step left, laid out as it lay in the step: outputs/<name> and results/."""
    outputs, results = place / "outputs", place / "results"
    for folder in (outputs, results):
        folder.mkdir(parents=True)
    for artifact in client.runs.artifacts(project, run):
        if artifact.step == step:
            download(client, project, artifact, results if artifact.name == "results" else outputs / artifact.name)
    attempts = list(client.steps.attempts(project, run, step))
    if attempts and attempts[-1].values:
        outputs.joinpath("outputs.json").write_text(json.dumps(attempts[-1].values))
    return outputs, results


def download(client: Client, project: str, artifact: Artifact, target: Path) -> None:
    """A file as it is; a folder unpacked."""
    if artifact.kind != "folder":
        client.artifacts.download(project, artifact.id, target)
        return
    packed = target.with_name(f".{target.name}.tar")
    client.artifacts.download(project, artifact.id, packed)
    target.mkdir(parents=True, exist_ok=True)
    try:
        with packed.open("rb") as stream:
            unpack(stream, str(target))
    except BadArchive as error:
        message = f"Output {artifact.name!r} of step {artifact.step!r} cannot be unpacked. {error}"
        raise Invalid(message, code="bad_archive", hint="Run the step again.") from error
    packed.unlink()


def verify(session: Session, folder: Path, template: Template, outputs: Path, results: Path) -> int:
    """Whether verify.py agrees."""
    try:
        demos.verify(folder, outputs, results)
    except AtelierError:
        raise
    except Exception as error:
        # verify.py is the author's code: whatever it raises is its verdict.
        session.out.error(
            f"{template.name} ran, but what it left is not right: {error or type(error).__name__}",
            code="not_verified",
            hint=f"See {folder / 'verify.py'}.",
        )
        return exits.FAILED
    checked = {"type": "template", "name": template.name, "version": template.version, "verified": True}
    session.out.one(checked, f"Template {template.name} {template.version} does what it says.")
    return exits.OK
