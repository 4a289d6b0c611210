"""`atelier dataset`: data with versions that never change."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from atelier_cli import exits
from atelier_cli.session import Session, command_options
from atelier_sdk import AtelierError
from atelier_sdk.models import DatasetVersion, Preview

_ROWS = 20


@click.group()
def dataset() -> None:
    """Data with versions that never change. Steps take one by `dataset:NAME` or `dataset:NAME@VERSION`."""


@dataset.command("list")
@click.option("--search", help="Words in name, description or tags.")
@click.option("--tag", help="Only those with this tag.")
@command_options
def list_command(session: Session, search: str | None, tag: str | None) -> int:
    """List the project's datasets."""
    found = session.client.datasets.list(session.project, search=search, tag=tag)
    session.out.rows(found, ("name", "description", "changed_at", "created_by"), empty="No datasets.")
    return exits.OK


@dataset.command("add")
@click.argument("name")
@click.argument("source", metavar="PATH|URI")
@click.option("--note", default="", help="What is new in this version.")
@click.option("--description", default="", help="What it is about, where the dataset is new.")
@click.option("--tag", "tags", multiple=True, help="A tag, where the dataset is new; repeatable.")
@command_options
def add_command(session: Session, name: str, source: str, note: str, description: str, tags: tuple[str, ...]) -> int:
    """Add a version: a file, a folder, or an address such as s3://bucket/folder.

    Only what the project does not have is sent; a call that was cut short goes on where it stopped.
    """
    datasets, project = session.client.datasets, session.project
    if "://" not in source and not Path(source).exists():
        raise click.BadParameter(f"there is no file or folder {source}.", param_hint="PATH")
    try:
        datasets.get(project, name)
    except AtelierError as error:
        if error.code != "no_dataset":
            raise
        datasets.create(project, name, description=description, tags=tags)
    if "://" in source:
        made = datasets.register(project, name, source, note=note)
    else:
        made = _send(session, name, Path(source), note)
    session.out.one(
        made, f"Version {made.number} of {name}: {_about(made)}. Steps take it by dataset:{name}@{made.number}"
    )
    return exits.OK


def _send(session: Session, name: str, source: Path, note: str) -> DatasetVersion:
    datasets, project = session.client.datasets, session.project
    if not session.out.live:
        return datasets.add(project, name, source, note=note)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=session.out.console, transient=True) as bar:
        task = bar.add_task("", total=None)
        return datasets.add(
            project, name, source, note=note, progress=lambda sent, size: bar.update(task, completed=sent, total=size)
        )


@dataset.command("show")
@click.argument("name")
@command_options
def show_command(session: Session, name: str) -> int:
    """Show what NAME is about, and its versions."""
    found = session.client.datasets.get(session.project, name)
    if session.out.as_json:
        session.out.record(found)
    else:
        session.out.text(f"{found.name}  {' '.join(f'#{tag}' for tag in found.tags)}".strip())
        session.out.text(found.description)
    columns = ("number", "kind", "files", "size", "note", "created_at", "created_by")
    session.out.rows(session.client.datasets.versions(session.project, name), columns, empty="It has no version yet.")
    return exits.OK


@dataset.command("preview")
@click.argument("name")
@click.argument("path", default="")
@click.option("--version", "number", type=click.IntRange(min=1), help="Default: the newest.")
@click.option("--rows", type=click.IntRange(1, 1000), default=_ROWS, show_default=True)
@command_options
def preview_command(session: Session, name: str, path: str, number: int | None, rows: int) -> int:
    """Show the beginning of a file, PATH where there are several."""
    seen = session.client.datasets.preview(session.project, name, number, path=path, rows=rows)
    if session.out.as_json:
        session.out.record(seen)
    elif seen.kind == "table":
        session.out.console.print(_table(seen))
    else:
        session.out.text(seen.text or f"({seen.kind}; to be seen in JupyterLab)")
    if seen.problem:
        session.out.warn(seen.problem)
    return exits.OK


@dataset.command("download")
@click.argument("name")
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", "number", type=click.IntRange(min=1), help="Default: the newest.")
@command_options
def download_command(session: Session, name: str, target: Path, number: int | None) -> int:
    """Write the files of a version into the folder TARGET."""
    session.client.datasets.download(session.project, name, number, target)
    session.out.one({"name": name, "target": str(target)}, f"{name} is in {target}.")
    return exits.OK


@dataset.command("remove")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(min=1), help="Only this version.")
@click.option("--force", is_flag=True, help="Also where finished runs have used it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_options
def remove_command(session: Session, name: str, number: int | None, *, force: bool, yes: bool) -> int:
    """Remove NAME with all versions, or one version of it."""
    what = f"version {number} of {name}" if number else f"dataset {name} with all of its versions"
    if not yes:
        click.confirm(f"Remove {what}?", abort=True, err=True)
    if number:
        session.client.datasets.delete_version(session.project, name, number, force=force)
    else:
        session.client.datasets.delete(session.project, name, force=force)
    session.out.one({"name": name, "version": number, "deleted": True}, f"Removed {what}.")
    return exits.OK


def _about(version: DatasetVersion) -> str:
    if version.kind == "uri":
        return version.uri
    return f"{version.files} file{'s' * (version.files != 1)}, {version.size / 1024**2:,.1f} MB"


def _table(seen: Preview) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in seen.columns:
        table.add_column(Text(f"{column['name']}\n{column['type']}"), overflow="fold")
    for row in seen.rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return table
