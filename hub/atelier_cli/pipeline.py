"""`atelier pipeline`: check and run `.pipeline` files, and look after the runs."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atelier_cli import exits, usage
from atelier_cli.output import Output
from atelier_cli.session import Session, command_options
from atelier_cli.views import show_views
from atelier_cli.watching import watch
from atelier_sdk import AtelierError, Client, Snapshot, pack
from atelier_sdk.models import Problem, Run
from atelier_sdk.submitting import read_document

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def pipeline() -> None:
    """Run pipelines and look after their runs. RUN is a run's id, or `last`."""


@pipeline.command("run")
@click.argument("file", type=FILE)
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the pipeline; repeatable.")
@click.option("--on", metavar="NAME", help="The back end, e.g. local or cluster; default: the project's.")
@click.option("--watch/--no-watch", "watched", default=True, help="Stay until the run ends (default).")
@command_options
def run_command(session: Session, file: Path, parameters: tuple[str, ...], on: str | None, watched: bool) -> int:
    """Check FILE, store it with the code beside it, and run it."""
    run = submit(session, file, parse_parameters(parameters), on)
    if run is None:
        return exits.USAGE
    if not watched:
        session.out.one(run, run.id)
        return exits.OK
    return watch(session, run)


def submit(session: Session, file: Path, parameters: dict[str, str], on: str | None) -> Run | None:
    """Start a run of `file`; none when the check found problems, which are shown."""
    document = read_document(file)
    client, project = session.client, session.project
    with pack(file.parent) as snapshot:
        tell_secrets(session.out, snapshot)
        problems = client.pipelines.check(project, document=document, path=file.name, files=snapshot.files)
        if problems:
            show_problems(session.out, file, problems)
            return None
        client.snapshots.upload(project, snapshot)
    revision = client.revisions.create(project, path=file.name, document=document, snapshot=snapshot.digest)
    run = client.runs.create(
        project, revision=revision.id, parameters=parameters, on=on, idempotency_key=uuid.uuid4().hex
    )
    session.out.note(f"Run [bold]{run.id}[/] of {file.name} in project {project}")
    return run


def parse_parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    """By name, as text: the platform reads numbers and lists where the pipeline wants them."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="-p")
        found[name] = value
    return found


def tell_secrets(out: Output, snapshot: Snapshot) -> None:
    """Nobody should wonder where a file went."""
    for path, why in snapshot.secrets.items():
        out.warn(f"{path} looks like {why} and was left out. Use `atelier secret set` for values that steps need.")


def show_problems(out: Output, file: Path, problems: list[Problem]) -> None:
    """All problems at once, each with its place."""
    if out.as_json:
        for problem in problems:
            out.record(problem)
    else:
        for problem in problems:  # the message names the step and the field
            out.error(problem.message, code="invalid", hint=problem.hint)
    count = len(problems)
    out.error(f"{file} cannot run: {count} problem{'s' * (count != 1)}.", code="invalid_pipeline")


@pipeline.command("check")
@click.argument("file", type=FILE)
@command_options
def check_command(session: Session, file: Path) -> int:
    """Say what is wrong in FILE without running it."""
    with pack(file.parent) as snapshot:
        tell_secrets(session.out, snapshot)
        files = snapshot.files
    problems = session.client.pipelines.check(
        session.project, document=read_document(file), path=file.name, files=files
    )
    if problems:
        show_problems(session.out, file, problems)
        return exits.USAGE
    session.out.note(f"{file} can run.")
    return exits.OK


@pipeline.command("watch")
@click.argument("run")
@command_options
def watch_command(session: Session, run: str) -> int:
    """Watch RUN until it ends."""
    return watch(session, find_run(session.client, session.project, run))


@pipeline.command("logs")
@click.argument("run")
@click.argument("step")
@click.option("-f", "--follow", is_flag=True, help="Go on until the step ends.")
@click.option("--attempt", type=int, help="Which try; default: the last.")
@click.option("--replica", help="Which replica of a distributed step, e.g. worker-1.")
@command_options
def logs_command(
    session: Session, run: str, step: str, *, follow: bool, attempt: int | None, replica: str | None
) -> int:
    """Print what STEP of RUN wrote."""
    run_id = find_run(session.client, session.project, run).id
    blocks = session.client.steps.logs(session.project, run_id, step, attempt=attempt, replica=replica, follow=follow)
    if not session.out.as_json:
        for block in blocks:
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
        return exits.OK
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            session.out.record({"line": line.decode(errors="replace")})
    if rest:
        session.out.record({"line": rest.decode(errors="replace")})
    return exits.OK


@pipeline.command("results")
@click.argument("run")
@command_options
def results_command(session: Session, run: str) -> int:
    """Show what the steps of RUN have to show: tables, metrics, texts."""
    show_results(session, find_run(session.client, session.project, run))
    return exits.OK


def show_results(session: Session, run: Run, only: Callable[[dict[str, Any]], bool] = lambda _: True) -> None:
    """The result views of every step that has some."""
    client, project = session.client, session.project
    for step in client.steps.list(project, run.id):
        try:
            views = client.steps.results(project, run.id, step.name)
        except AtelierError as error:
            session.out.warn(f"The results of {step.name} cannot be read: {error.message}")
            continue
        show_views(session.out, step.label or step.name, [view for view in views if only(view)])


@pipeline.command("usage")
@click.argument("run")
@command_options
def usage_command(session: Session, run: str) -> int:
    """Show what the running steps of RUN use now."""
    found = find_run(session.client, session.project, run)
    rows = session.client.runs.usage(session.project, found.id)
    if session.out.as_json:
        for row in rows:
            session.out.record(row)
        return exits.OK
    usage.show(session, ((row.step, row) for row in rows), of="step", empty="No step runs now.")
    return exits.OK


@pipeline.command("cancel")
@click.argument("run")
@command_options
def cancel_command(session: Session, run: str) -> int:
    """End RUN; what its steps stored stays."""
    found = find_run(session.client, session.project, run)
    found = session.client.runs.cancel(session.project, found.id)
    session.out.one(found, f"Run {found.id} is {found.state}.")
    return exits.OK


@pipeline.command("list")
@click.option("--state", help="Only runs in this state, e.g. running or failed.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@command_options
def list_command(session: Session, state: str | None, limit: int) -> int:
    """List the newest runs."""
    page = session.client.runs.page(session.project, state=state, limit=limit)
    columns = ("id", "name", "state", "reason", "on", "created_at", "ended_at", "created_by")
    session.out.rows(page.items, columns, empty=f"No runs in project {session.project}.")
    return exits.OK


def find_run(client: Client, project: str, run: str) -> Run:
    """By id; `last` is the newest."""
    if run != "last":
        return client.runs.get(project, run)
    newest = client.runs.page(project, limit=1).items
    if not newest:
        raise click.ClickException(f"There are no runs in project {project}.")
    return newest[0]
