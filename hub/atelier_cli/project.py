"""`atelier project` and `atelier secret`."""

from __future__ import annotations

import sys

import click

from atelier_cli import exits
from atelier_cli.session import Session, command_options
from atelier_core.errors import Invalid

ROLES = click.Choice(["owner", "maintainer", "member", "viewer"])


@click.group()
def project() -> None:
    """Projects and who is in them."""


@project.command("list")
@command_options
def list_command(session: Session) -> int:
    """List the projects that you may see."""
    session.out.rows(
        session.client.projects.list(), ("name", "description", "default_backend", "created_by"), empty="No projects."
    )
    return exits.OK


@project.command("create")
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@command_options
def create_command(session: Session, name: str, description: str) -> int:
    """Make a project; you become its owner."""
    made = session.client.projects.create(name, description=description)
    session.out.one(made, f"Project {made.name} is made.")
    return exits.OK


@project.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_options
def delete_command(session: Session, name: str, yes: bool) -> int:
    """Remove a project with all of its runs, artifacts and files."""
    if not yes:
        click.confirm(f"Remove project {name} with all of its runs, artifacts and files?", abort=True, err=True)
    session.client.projects.delete(name)
    session.out.one({"name": name, "deleted": True}, f"Project {name} is removed.")
    return exits.OK


@project.command("members")
@command_options
def members_command(session: Session) -> int:
    """List who may do what."""
    members = session.client.members.list(session.project)
    session.out.rows(members, ("kind", "name", "role"), empty="No members.")
    return exits.OK


@project.command("add")
@click.argument("name")
@click.argument("role", type=ROLES)
@click.option("--group", is_flag=True, help="NAME is a hub group.")
@command_options
def add_command(session: Session, name: str, role: str, group: bool) -> int:
    """Give a user or a group a role."""
    session.client.members.set(session.project, name, role, kind="group" if group else "user")
    session.out.one({"name": name, "role": role}, f"{name} is {role} of {session.project}.")
    return exits.OK


@project.command("remove")
@click.argument("name")
@click.option("--group", is_flag=True, help="NAME is a hub group.")
@command_options
def remove_command(session: Session, name: str, group: bool) -> int:
    """Take a user's or a group's role away."""
    session.client.members.remove(session.project, name, kind="group" if group else "user")
    session.out.one({"name": name, "role": None}, f"{name} has left {session.project}.")
    return exits.OK


@click.group()
def secret() -> None:
    """Values that steps get and nobody can read back."""


@secret.command("list")
@command_options
def list_secrets(session: Session) -> int:
    """List the names."""
    session.out.rows(
        session.client.secrets.list(session.project), ("name", "changed_at", "changed_by"), empty="No secrets."
    )
    return exits.OK


@secret.command("set")
@click.argument("name")
@command_options
def set_secret(session: Session, name: str) -> int:
    """Set a secret; its value is asked for, or read from standard input."""
    if sys.stdin.isatty():
        value = str(click.prompt(name, hide_input=True, err=True))
    else:
        value = _read_text().removesuffix("\n")
    session.client.secrets.set(session.project, name, value)
    session.out.one({"name": name}, f"Secret {name} of project {session.project} is set.")
    return exits.OK


def _read_text() -> str:
    try:
        text = sys.stdin.read()
        text.encode()  # some terminals give bytes that are no text as half characters
    except UnicodeError:
        raise Invalid(
            "The value is not text.", code="not_text", hint="Encode it first, for example: base64 FILE | atelier …"
        ) from None
    return text


@secret.command("delete")
@click.argument("name")
@command_options
def delete_secret(session: Session, name: str) -> int:
    """Remove a secret."""
    session.client.secrets.delete(session.project, name)
    session.out.one({"name": name, "deleted": True}, f"Secret {name} of project {session.project} is removed.")
    return exits.OK
