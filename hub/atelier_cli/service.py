"""`atelier service`: deploy models and programs, and look after what answers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from atelier_cli import exits, usage
from atelier_cli.service_predict import predict_command
from atelier_cli.session import Session, command_options
from atelier_core.errors import Invalid
from atelier_core.model_servers import MODEL_SERVERS
from atelier_core.service import SUFFIX, parse, validate
from atelier_core.template import parse_duration
from atelier_sdk.services import Service

_TRAFFIC = ("revision", "stage", "place", "weight", "mirror", "ready", "replicas")
_STAGES = click.Choice(["debug", "test", "production"])


@click.group()
def service() -> None:
    """Models and programs that answer requests under an address of their own."""


@service.command("deploy")
@click.argument("source", metavar="FILE|MODEL|RUN|DATASET")
@click.option("--name", help="What the service is called; default: the file's, the model's or the output's name.")
@click.option("--stage", type=_STAGES, help="Default: production. Others are reached by a header only.")
@click.option("--on", metavar="NAME", help="The back end, e.g. local or cluster; default: the project's.")
@click.option("--replicas", metavar="N|MIN:MAX", help="How many; with a MIN of 0 it sleeps when nobody asks.")
@click.option("--flavor", help="What one replica may have.")
@click.option("--server", type=click.Choice(MODEL_SERVERS), help="A model server of others; on a cluster only.")
@click.option("--image", help="Another image than the one that the framework or server has.")
@click.option("--argument", "arguments", multiple=True, metavar="TEXT", help="An argument of the server; repeatable.")
@click.option("--cpu-target", type=float, metavar="PERCENT", help="More replicas when they use more CPU than this.")
@click.option("--canary", type=click.FloatRange(0, 100), metavar="PERCENT", help="Try it with a part of the traffic.")
@click.option("--public", is_flag=True, help="Anybody may call it, without a key.")
@click.option("--key/--no-key", default=None, help="Make a key for it; default: with the first deployment.")
@click.option("--wait/--no-wait", default=True, help="Wait until it answers.")
@command_options
def deploy_command(session: Session, source: str, *, key: bool | None, wait: bool, **options: Any) -> int:
    """Deploy a FILE (NAME.service.yaml), a registered MODEL (models:/digits/3, models:/digits@production) or what a RUN
    left (run:RUN/STEP or run:RUN/STEP/OUTPUT).

    Triton and vLLM (--server, on a cluster) take those too, and dataset:NAME@VERSION; vLLM also repository:OWNER/MODEL,
    which it fetches itself.
    """
    definition = _definition(source, options)
    services = session.client.services
    found = services.deploy(session.project, definition)
    name, revision = found.name, found.newest
    if wait:
        found = services.wait(session.project, name, revision, changed=lambda one: show_progress(session, one))
    made = None
    if key or (key is None and revision == 1 and not found.public):
        made = session.client.service_keys.create(session.project, f"{name} (atelier service deploy)", services=[name])
    address = services.address(found)
    secret = made.secret if made else ""
    if session.out.as_json:
        session.out.record({**found.model_dump(mode="json"), "address": address, "key": secret})
        return exits.OK
    session.out.text(f"Revision {revision} of {name} is {'ready' if wait else 'on its way'}: {address}")
    if secret:
        session.out.text(f"Key (shown this once): {secret}")
    _show_call(session, found, secret)
    return exits.OK


def _definition(source: str, options: dict[str, Any]) -> dict[str, Any]:
    """The definition in a file or made of a reference, with what the options say."""
    if source.startswith("models:/"):
        name = source.removeprefix("models:/").replace("@", "/").split("/")[0]
        raw: dict[str, Any] = {"name": _as_name(name), "model": source}
    elif source.startswith("run:"):
        raw = _of_run(source)
    elif source.startswith("dataset:"):
        raw = {"name": _as_name(source.removeprefix("dataset:").partition("@")[0]), "dataset": source}
    elif source.startswith("repository:"):
        repository = source.removeprefix("repository:")
        raw = {"name": _as_name(repository.rpartition("/")[2]), "repository": repository}
    else:
        path = Path(source)
        if not path.is_file():
            raise click.BadParameter(
                f"there is no file {source}; a model is models:/NAME/VERSION, an output run:RUN/STEP/OUTPUT.",
                param_hint="FILE|MODEL|RUN",
            )
        raw = parse(_read(path), path.name).model_dump(mode="json", exclude_unset=True)
    if options["cpu_target"] is not None:
        raw["scale"] = {**(raw.get("scale") or {}), "cpu": options["cpu_target"]}
    return validate(raw | _given(options), source if source.endswith(SUFFIX) else "").model_dump(
        mode="json", exclude_unset=True
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise click.BadParameter(
            f"{path} is not text, so it is no definition of a service. Is it a model? "
            f"Then: atelier model register NAME {path}, and deploy models:/NAME/1.",
            param_hint="FILE|MODEL|RUN",
        ) from None


def _of_run(source: str) -> dict[str, Any]:
    parts = source.removeprefix("run:").split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise click.BadParameter("write run:RUN/STEP or run:RUN/STEP/OUTPUT.", param_hint="RUN")
    output = {"run": parts[0], "step": parts[1], "output": parts[2] if len(parts) == 3 else "model"}
    return {"name": _as_name(parts[1]), "output": output}


def _as_name(text: str) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())
    return plain.strip("-0123456789")[:40].strip("-")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    named = ("name", "stage", "on", "flavor", "server", "image")
    given: dict[str, Any] = {name: options[name] for name in named if options[name]}
    if options["arguments"]:
        given["arguments"] = list(options["arguments"])
    if options["public"]:
        given["public"] = True
    if options["replicas"]:
        least, most = _range(options["replicas"])
        given["replicas"] = {"min": least, "max": most}
    if options["canary"] is not None:
        given["canary"] = {"percent": options["canary"]}
    return given


def _range(text: str) -> tuple[int, int]:
    least, _, most = text.partition(":")
    try:
        return int(least), int(most or least)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither N nor MIN:MAX.", param_hint="replicas") from None


def show_progress(session: Session, found: Service) -> None:
    """Say how a service is now."""
    if session.out.as_json:
        session.out.record({"type": "service", **found.model_dump(mode="json")})
    else:
        why = found.message or found.reason
        session.out.text(f"{found.name}: {found.state}{f' ({why})' if why else ''}")


def _show_call(session: Session, found: Service, secret: str) -> None:
    header = "" if found.public else f'-H "Authorization: Bearer {secret or "$ATELIER_KEY"}" '
    address = session.client.services.address(found, model=True)
    if not found.model_url:
        session.out.text(f"  curl {header}{address}/")
        return
    session.out.text(f"  curl {header}{address}                  # its inputs and outputs")
    body = '{"inputs": [{"name": …, "shape": […], "datatype": "FP64", "data": […]}]}'
    session.out.text(f"  curl {header}{address}/infer -d '{body}'")


@service.command("list")
@command_options
def list_command(session: Session) -> int:
    """List the project's services."""
    columns = ("name", "state", "reason", "revision", "source", "on", "url")
    session.out.rows(session.client.services.list(session.project), columns, empty="No services.")
    return exits.OK


@service.command("show")
@click.argument("name")
@command_options
def show_command(session: Session, name: str) -> int:
    """Show the service NAME: its state, its traffic, its replicas and what was deployed."""
    services, project = session.client.services, session.project
    found = services.get(project, name)
    if session.out.as_json:
        session.out.record(found)
        return exits.OK
    session.out.text(f"{found.name}  {found.state}  {found.reason}".rstrip())
    session.out.text(services.address(found))
    if found.message:
        session.out.text(found.message)
    session.out.rows(found.traffic, _TRAFFIC, empty="No traffic.")
    session.out.rows(services.replicas(project, name), ("id", "state", "ready", "reason"), empty="No replica.")
    rows = [(row.replica, row) for row in services.usage(project, name)]
    if rows:
        usage.show(session, rows, of="replica", empty="")
    columns = ("number", "state", "reason", "source", "created_at", "created_by")
    session.out.rows(services.revisions(project, name), columns, empty="Nothing was deployed.")
    _show_figures(session, services.stats(project, name))
    return exits.OK


def _show_figures(session: Session, stats: dict[str, Any]) -> None:
    if not stats["revisions"]:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("revision", "requests/s", "errors", "p50", "p90", "p99", "in the last hour"):
        table.add_column(column)
    for one in stats["revisions"]:
        minute = one["minute"]
        times = [f"≤ {minute[name]:g} s" if minute["requests"] else "" for name in ("p50", "p90", "p99")]
        row = [one["revision"], f"{minute['rate']:g}", minute["errors"], *times, one["hour"]["requests"]]
        table.add_row(*map(str, row))
    session.out.console.print(table)


@service.command("drift")
@click.argument("name")
@click.option("--revision", type=click.IntRange(min=1), help="Default: the one that serves.")
@command_options
def drift_command(session: Session, name: str, revision: int | None) -> int:
    """Show how far what NAME is asked is from what its model was trained on: PSI below 0.1 is stable, above 0.25 a
    major shift."""
    found = session.client.services.drift(session.project, name, revision=revision)
    if session.out.as_json:
        session.out.record(found)
        return exits.OK
    if found.message:
        session.out.text(found.message)
    if found.requests:
        kept = f"{found.rows} rows of {found.requests} requests"
        session.out.text(f"Revision {found.revision}: {kept} against {found.trained_rows} training rows")
    if found.inputs:
        rows = sorted(found.inputs, key=lambda one: -(one.psi or 0))
        session.out.rows(rows, ("name", "kind", "psi", "level"), empty="It has no inputs.")
    return exits.OK


@service.command("logs")
@click.argument("name")
@click.option("--replica", metavar="ID", help="Default: the newest.")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@command_options
def logs_command(session: Session, name: str, replica: str | None, *, follow: bool) -> int:
    """Print what a replica of NAME wrote."""
    services, project = session.client.services, session.project
    chosen = replica or next((one.id for one in services.replicas(project, name)), None)
    if chosen is None:
        session.out.note("It has no replica, and had none in the last hour.")
        return exits.OK
    for piece in services.logs(project, name, chosen, follow=follow):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return exits.OK


@service.command("traffic")
@click.argument("name")
@click.argument("shares", nargs=-1, metavar="[REVISION=PERCENT…]")
@command_options
def traffic_command(session: Session, name: str, shares: tuple[str, ...]) -> int:
    """Show who gets how much of the traffic of NAME, or say it: `traffic digits 2=90 3=10`, `traffic digits 3=100`."""
    services = session.client.services
    if shares:
        found = services.set_traffic(session.project, name, dict(_share(text) for text in shares))
    else:
        found = services.get(session.project, name)
    session.out.rows(found.traffic, _TRAFFIC, empty="No revision runs.")
    return exits.OK


def _share(text: str) -> tuple[int, float]:
    number, _, percent = text.partition("=")
    try:
        return int(number), float(percent.removesuffix("%"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not REVISION=PERCENT.", param_hint="shares") from None


@service.command("rollback")
@click.argument("name")
@click.option("--to", "number", type=click.IntRange(min=1), help="Default: away from a trial, or the revision before.")
@click.option("--wait/--no-wait", default=True, help="Wait until it serves.")
@command_options
def rollback_command(session: Session, name: str, number: int | None, *, wait: bool) -> int:
    """Go back to an earlier revision of NAME."""
    services = session.client.services
    found = services.roll_back(session.project, name, number)
    target = found.rolling or found.revision
    if wait:
        found = services.wait(session.project, name, target, changed=lambda one: show_progress(session, one))
    session.out.one(found, f"{name} serves revision {target}." if wait else f"{name} goes back to revision {target}.")
    return exits.OK


@service.command("scale")
@click.argument("name")
@click.argument("replicas", metavar="N|MIN:MAX")
@command_options
def scale_command(session: Session, name: str, replicas: str) -> int:
    """Change how many replicas NAME has."""
    least, most = _range(replicas)
    found = session.client.services.scale(session.project, name, least, max(1, most))
    session.out.one(found, f"{name} has {least} to {max(1, most)} replicas from now on.")
    return exits.OK


@service.command("stop")
@click.argument("name")
@command_options
def stop_command(session: Session, name: str) -> int:
    """End all replicas of NAME; `start` brings them back."""
    found = session.client.services.stop(session.project, name)
    session.out.one(found, f"{name} is {found.state}.")
    return exits.OK


@service.command("start")
@click.argument("name")
@command_options
def start_command(session: Session, name: str) -> int:
    """Run NAME again after a stop, or wake it."""
    found = session.client.services.start(session.project, name)
    session.out.one(found, f"{name} is {found.state}.")
    return exits.OK


@service.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_options
def delete_command(session: Session, name: str, *, yes: bool) -> int:
    """End and forget the service NAME."""
    if not yes:
        click.confirm(f"Delete the service {name} with all of its revisions?", abort=True, err=True)
    session.client.services.delete(session.project, name)
    session.out.one({"name": name, "deleted": True}, f"{name} is being deleted.")
    return exits.OK


service.add_command(predict_command)


@service.group("key")
def key_group() -> None:
    """Keys with which services are called."""


@key_group.command("create")
@click.argument("name")
@click.option(
    "--service", "services", multiple=True, help="Only this service; repeatable. Default: all of the project."
)
@click.option("--expires", metavar="TIME", help="For how long it is good, e.g. 30d. Default: until it is revoked.")
@command_options
def key_create_command(session: Session, name: str, services: tuple[str, ...], expires: str | None) -> int:
    """Make a key called NAME; its secret is shown this once."""
    until = None
    if expires:
        try:
            until = datetime.now(UTC) + timedelta(seconds=parse_duration(expires))
        except (ValueError, OverflowError) as error:
            raise Invalid(str(error), hint="For example 12h or 30d.") from None
    made = session.client.service_keys.create(session.project, name, services=services, expires_at=until)
    session.out.one(made, f"{made.id}  {made.secret}")
    return exits.OK


@key_group.command("list")
@command_options
def key_list_command(session: Session) -> int:
    """List the keys, without their secrets."""
    columns = ("id", "name", "services", "expires_at", "created_by")
    session.out.rows(session.client.service_keys.list(session.project), columns, empty="No keys.")
    return exits.OK


@key_group.command("revoke")
@click.argument("key")
@command_options
def key_revoke_command(session: Session, key: str) -> int:
    """Make the key with this id worthless."""
    session.client.service_keys.revoke(session.project, key)
    session.out.one({"id": key, "revoked": True}, f"The key {key} opens nothing any more.")
    return exits.OK
