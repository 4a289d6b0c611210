"""`atelier model`: registered models, their versions, aliases and approvals."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from atelier_cli import exits
from atelier_cli.session import Session, command_options
from atelier_sdk.registry import Model, ModelVersion

_SHOWN_METRICS = 4


@click.group()
def model() -> None:
    """Trained models with versions. Serve one as models:/NAME/3 or models:/NAME@production."""


@model.command("list")
@click.option("--search", help="Words in name or description.")
@command_options
def list_command(session: Session, search: str | None) -> int:
    """List the project's registered models."""
    found = list(session.client.models.list(session.project, search=search))
    if session.out.as_json or not found:
        columns = ("name", "description", "changed_at", "created_by")
        session.out.rows(found, columns, empty="No models. Register one: atelier model register NAME FOLDER.")
        return exits.OK
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "newest", "framework", "aliases", "metrics"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(*(Text(cell) for cell in _row(one)))
    session.out.console.print(table)
    return exits.OK


def _row(one: Model) -> tuple[str, ...]:
    newest = one.newest
    aliases = " ".join(f"{alias}={number}" for alias, number in sorted(one.aliases.items()))
    if newest is None:
        return one.name, "", "", aliases, ""
    return one.name, str(newest.number), newest.framework, aliases, _metrics(newest)


def _metrics(version: ModelVersion) -> str:
    shown = [f"{name}={value:.4g}" for name, value in sorted(version.metrics.items())]
    return " ".join(shown[:_SHOWN_METRICS]) + (" …" if len(shown) > _SHOWN_METRICS else "")


@model.command("versions")
@click.argument("name")
@command_options
def versions_command(session: Session, name: str) -> int:
    """List the versions of NAME, newest first."""
    found = session.client.models.versions(session.project, name)
    columns = ("number", "state", "framework", "aliases", "approved", "size", "note", "created_at", "created_by")
    session.out.rows(found, columns, empty="It has no version yet.")
    return exits.OK


@model.command("show")
@click.argument("name")
@click.argument("which", metavar="[VERSION|@ALIAS]", default="latest")
@command_options
def show_command(session: Session, name: str, which: str) -> int:
    """Show one version of NAME: metrics, signature, and where it comes from."""
    found = session.client.models.version(session.project, name, which)
    if session.out.as_json:
        session.out.record(found)
        return exits.OK
    session.out.text(
        f"{found.reference}  {found.framework}  {' '.join(f'@{alias}' for alias in found.aliases)}".strip()
    )
    session.out.text(found.note)
    approval = found.approval
    session.out.text(f"approved by {approval['approved_by']}: {approval['note']}" if approval else "not approved")
    for name_of, value in sorted(found.metrics.items()):
        session.out.text(f"  {name_of} = {value:.6g}")
    for side in ("inputs", "outputs"):
        columns = found.signature.get(side) or []
        shown = ", ".join(f"{one.get('name', 'tensor')}: {one.get('type', '')}" for one in columns[:20])
        session.out.text(f"{side}: {shown or 'not known'}" + (" …" if len(columns) > 20 else ""))
    for word, value in found.lineage.items():
        if value:
            session.out.text(f"{word}: {' '.join(value) if isinstance(value, list) else value}")
    return exits.OK


@model.command("register")
@click.argument("name")
@click.argument("source", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--run", help="Instead of a folder: what a step of this run left.")
@click.option("--step", help="The step of --run.")
@click.option("--output", default="model", show_default=True, help="The output of --step.")
@click.option("--note", default="", help="What is new in this version.")
@command_options
def register_command(
    session: Session, name: str, source: Path | None, run: str | None, step: str | None, output: str, note: str
) -> int:
    """Register a model folder or file, or a step's output, as a version of NAME. The same twice is one version."""
    models, project = session.client.models, session.project
    if bool(source) == bool(run) or bool(run) != bool(step):
        raise click.UsageError("Give a folder, or --run and --step.")
    if source is not None:
        made = models.register(project, name, source, note=note)
    else:
        made = models.register_run(project, name, run=run or "", step=step or "", output=output, note=note)
    session.out.one(made, f"Version {made.number} of {name}: {made.reference}")
    return exits.OK


@model.command("alias")
@click.argument("name")
@click.argument("alias")
@click.argument("number", metavar="[VERSION]", type=click.IntRange(min=1), required=False)
@click.option("--remove", is_flag=True, help="Let the alias mean nothing any more.")
@command_options
def alias_command(session: Session, name: str, alias: str, number: int | None, *, remove: bool) -> int:
    """Let ALIAS mean VERSION of NAME. Only an approved version can be called production."""
    if remove == (number is not None):
        raise click.UsageError("Give a version, or --remove.")
    if number is None:
        session.client.models.remove_alias(session.project, name, alias)
        session.out.one({"name": name, "alias": alias, "version": None}, f"{alias!r} means no version of {name} now.")
        return exits.OK
    session.client.models.set_alias(session.project, name, alias, number)
    session.out.one(
        {"name": name, "alias": alias, "version": number}, f"models:/{name}@{alias} is version {number} now."
    )
    return exits.OK


@model.command("approve")
@click.argument("name")
@click.argument("number", metavar="VERSION", type=click.IntRange(min=1))
@click.option("--note", default="", help="Why it is good enough.")
@click.option("--revoke", is_flag=True, help="Take the approval back.")
@command_options
def approve_command(session: Session, name: str, number: int, note: str, *, revoke: bool) -> int:
    """Say that VERSION of NAME is good enough for production. Maintainers may."""
    if revoke:
        made = session.client.models.revoke(session.project, name, number)
        session.out.one(made, f"Version {number} of {name} is not approved any more.")
        return exits.OK
    made = session.client.models.approve(session.project, name, number, note=note)
    session.out.one(
        made, f"Version {number} of {name} is approved. Next: atelier model alias {name} production {number}"
    )
    return exits.OK


@model.command("compare")
@click.argument("name")
@click.argument("numbers", metavar="VERSION…", type=click.IntRange(min=1), nargs=-1, required=True)
@command_options
def compare_command(session: Session, name: str, numbers: tuple[int, ...]) -> int:
    """Show metrics and parameters of several versions of NAME side by side."""
    found = session.client.models.compare(session.project, name, numbers)
    if session.out.as_json:
        session.out.record(found)
        return exits.OK
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for one in found.versions:
        table.add_column(f"version {one['number']}", overflow="fold")
    for kind, names in (("metrics", found.metrics), ("parameters", found.parameters)):
        for row in names:
            table.add_row(Text(row), *(Text(str(one[kind].get(row, ""))) for one in found.versions))
    session.out.console.print(table)
    return exits.OK


@model.command("download")
@click.argument("name")
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", "which", metavar="VERSION|@ALIAS", default="latest", show_default=True)
@command_options
def download_command(session: Session, name: str, target: Path, which: str) -> int:
    """Write the model folder of a version into the folder TARGET."""
    session.client.models.download(session.project, name, which, target)
    session.out.one({"name": name, "target": str(target)}, f"{name} is in {target}.")
    return exits.OK


@model.command("delete")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(min=1), help="Only this version.")
@click.option("--force", is_flag=True, help="Also where aliases or stopped services mean it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_options
def delete_command(session: Session, name: str, number: int | None, *, force: bool, yes: bool) -> int:
    """Remove NAME with all versions, or one version of it; refused while something serves it."""
    what = f"version {number} of {name}" if number else f"model {name} with all of its versions"
    if not yes:
        click.confirm(f"Remove {what}?", abort=True, err=True)
    if number:
        session.client.models.delete_version(session.project, name, number, force=force)
    else:
        session.client.models.delete(session.project, name, force=force)
    session.out.one({"name": name, "version": number, "deleted": True}, f"Removed {what}.")
    return exits.OK
