"""`atelier up`, `down`, `status`, `backup`, `restore`, `doctor` and `user`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from atelier_cli import exits
from atelier_cli.output import Output, utf8
from atelier_cli.platform import archive, child, platform, runs, sign_in
from atelier_cli.platform.backends import parse_cluster_options
from atelier_cli.platform.layout import Layout, default_data, load_settings
from atelier_cli.platform.processes import SUPERVISOR
from atelier_cli.session import Session
from atelier_core.errors import Invalid
from atelier_spawner.accounts.store import Accounts
from atelier_spawner.notebooks.folders import why_one_person

F = TypeVar("F", bound=Callable[..., Any])


def platform_options(function: F) -> F:
    """Adds `--data` and `--json`, and passes the data folder and the output."""

    @click.option("--data", type=click.Path(path_type=Path), help=f"The data folder; default: {default_data()}.")
    @click.option("--json", "as_json", is_flag=True, help="Speak JSON.")
    @functools.wraps(function)
    def with_layout(*arguments: Any, data: Path | None, as_json: bool, **options: Any) -> Any:
        session = click.get_current_context().find_object(Session) or Session()
        session.choose(project=None, as_json=as_json)
        layout = Layout((data or default_data()).expanduser().absolute())
        return function(layout, session.out, *arguments, **options)

    return with_layout  # type: ignore[return-value]


@click.command()
@click.option("--ip", help="Where the platform listens; default: this machine only.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port that a browser uses; default: 8000.")
@click.option("--admin", metavar="NAME", help="The first account; default: your own user name.")
@click.option("--advertise-url", metavar="URL", help="Where pods reach the control plane.")
@click.option("--bind", metavar="HOST:PORT", help="A further address of the control plane, for pods.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="A cluster, as the back end `cluster`.")
@click.option("--registry", metavar="PREFIX", help="Where the cluster pulls Atelier's images, e.g. ghcr.io/me.")
@click.option(
    "--cluster-option",
    "cluster_options",
    metavar="KEY=VALUE",
    multiple=True,
    help="A further option of the back end `cluster`; the value is YAML. Repeatable.",
)
@click.option("--mlflow/--no-mlflow", default=None, help="Track runs and register models; default: yes.")
@click.option("--mlflow-db-url", metavar="URL", help="A PostgreSQL for MLflow; default: files in the data folder.")
@click.option("--credentials", type=click.Path(path_type=Path), hidden=True)
@click.option("--foreground", is_flag=True, help="Stay; Ctrl-C takes the platform down.")
@platform_options
def up(
    layout: Layout,
    out: Output,
    kubeconfig: Path | None,
    cluster_options: tuple[str, ...],
    credentials: Path | None,
    foreground: bool,
    **options: Any,
) -> None:
    """Start the platform on this machine: hub, proxy and control plane."""
    _check_options(options, kubeconfig)
    options["kubeconfig"] = str(kubeconfig.expanduser().absolute()) if kubeconfig else None
    options["cluster_options"] = parse_cluster_options(cluster_options) or None
    with _spinner(out) as say:
        started = platform.up(layout, options, say)
        session = click.get_current_context().find_object(Session)
        sign_in.sign_in(layout, load_settings(layout), credentials or (session.credentials if session else None))
    _show_started(out, layout, started)
    if foreground:
        _stay(layout, out)


def _check_options(options: dict[str, Any], kubeconfig: Path | None) -> None:
    if kubeconfig and not kubeconfig.expanduser().is_file():
        raise Invalid(f"There is no file {kubeconfig}.", hint="Give --kubeconfig the file that kubectl uses.")
    bind = options.get("bind")
    if bind and not (bind.rpartition(":")[0] and bind.rpartition(":")[2].isdigit()):
        raise Invalid(f"--bind {bind!r} is not HOST:PORT.", hint="For example --bind 10.0.0.5:8081.")
    url = options.get("advertise_url")
    if url and not url.startswith(("http://", "https://")):
        raise Invalid(
            f"--advertise-url {url!r} is not a URL.", hint="For example --advertise-url http://10.0.0.5:8081."
        )


def _spinner(out: Output) -> Any:
    """A context that gives `say`: what is being done now, on one line that moves when a person watches."""
    return _Spinner(out)


class _Spinner:
    def __init__(self, out: Output) -> None:
        self._out = out
        self._status = out.console.status("Looking around…") if out.live else None

    def __enter__(self) -> Callable[[str], None]:
        if self._status:
            self._status.start()
        return self._say

    def _say(self, text: str) -> None:
        if self._status:
            self._status.update(text)
        else:
            self._out.text(text)

    def __exit__(self, *error: object) -> None:
        if self._status:
            self._status.stop()


def _show_started(out: Output, layout: Layout, started: platform.Started) -> None:
    if out.as_json:
        out.record({**started.json(), "data": str(layout.data)})
        return
    mark = "✔ " if utf8() else "+ "
    state = "The platform runs already at " if started.already else "The platform runs at "
    out.console.print(Text(mark, "bold green") + Text(state) + Text(started.url, "bold cyan"))
    if started.link:
        out.text(f"  Choose the password of {started.admin!r} here (works once, for one day):")
        out.console.print(Text(f"  {started.link}", "cyan"), soft_wrap=True)
    if started.one_person:
        out.console.print(Text(f"  For one person: {started.one_person}", "dim"), soft_wrap=True)
    out.text("  Next: atelier demo")


def _stay(layout: Layout, out: Output) -> None:
    """Wait until the platform ends, or take it down when the person here is done."""
    try:
        while child.running(layout, SUPERVISOR):
            time.sleep(0.5)
    finally:
        platform.down(layout)
        out.text("The platform is down.")


@click.command()
@click.option("--stop-runs", is_flag=True, help="Cancel runs and stop services, too; else they go on.")
@platform_options
def down(layout: Layout, out: Output, stop_runs: bool) -> None:
    """Stop the platform and its notebooks. Runs and services go on; without the gateway nobody reaches a service."""
    cancelled, served = runs.end_all(layout) if stop_runs else (0, 0)
    stopped = platform.down(layout)
    text = f"Stopped: {', '.join(stopped)}." if stopped else "The platform was not running."
    if stop_runs:
        text += f" {cancelled} run(s) cancelled, {served} service(s) stopped."
    out.one({"stopped": stopped, "cancelled_runs": cancelled, "stopped_services": served}, text)


@click.command()
@platform_options
def status(layout: Layout, out: Output) -> int:
    """Say which processes run and answer. Exit code 3 when the platform does not run."""
    found = platform.status(layout)
    if out.as_json:
        out.record(found)
        return exits.OK if found["running"] else exits.UNREACHABLE
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("process", "state", "pid", "starts"):
        table.add_column(column)
    for row in found["processes"]:
        state = "running" if row.get("answers", row["running"]) else "silent" if row["running"] else "down"
        style = "green" if state == "running" else "bold red"
        if row.get("doing"):
            state, style = row["doing"], "yellow"
        table.add_row(row["name"], Text(state, style), str(row["pid"] or ""), str(row.get("starts", "")))
    out.console.print(table)
    out.text(f"{found['url']}, {found['notebooks']} notebook(s), data in {found['data']}")
    return exits.OK if found["running"] else exits.UNREACHABLE


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--no-files", is_flag=True, help="Leave out the folders of people and projects.")
@platform_options
def backup(layout: Layout, out: Output, file: Path, no_files: bool) -> None:
    """Write databases, artifacts, keys and files to FILE (a tar). The platform may run meanwhile."""
    with _spinner(out) as say:
        say(f"Writing {file}…")
        written = archive.backup(layout, file.expanduser().absolute(), files=not no_files)
    out.one(written, f"{file}: {written['entries']} files, {written['bytes'] / 1e6:.1f} MB. Keep it safe: it has keys.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@platform_options
def restore(layout: Layout, out: Output, file: Path) -> None:
    """Bring back what `atelier backup` wrote, into an empty data folder."""
    with _spinner(out) as say:
        say(f"Reading {file}…")
        read = archive.restore(layout, file.expanduser().absolute())
    note = "" if read["checked"] else " An earlier version wrote this backup, and it does not say whether it is whole."
    out.one(read, f"{read['entries']} files are back in {layout.data}.{note} Next: atelier up")


@click.command()
@click.option("--from-pod", is_flag=True, help="Start a pod that proves the way from the cluster to here.")
@click.option("--image", help="What the pod runs: any image with sh and wget, nc or python3; default: see --registry.")
@click.option("--namespace", default="default", show_default=True, help="Where the pod runs.")
@platform_options
def doctor(layout: Layout, out: Output, from_pod: bool, image: str | None, namespace: str) -> int:
    """Check everything that the platform stands on, and say what to do about the rest."""
    from atelier_cli.platform import checks  # the cluster client that it needs takes a second to import

    pod = checks.PodProbe(image, namespace) if from_pod else None
    good, bad = ("✓", "✗") if utf8() else ("ok", "!!")
    failed = 0
    for check in checks.all_checks(layout, pod):
        failed += check.state == "bad"
        if out.as_json:
            out.record(check.json())
            continue
        mark, style = {"good": (good, "green"), "bad": (bad, "bold red")}.get(check.state, ("-", "dim"))
        out.console.print(Text(f"{mark} ", style) + Text(f"{check.name}: {check.message}"), soft_wrap=True)
        if check.hint and check.state == "bad":
            out.console.print(Text(f"    {check.hint}"), soft_wrap=True)
    return exits.FAILED if failed else exits.OK


@click.group()
def user() -> None:
    """People who may sign in here."""


@user.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="May administer the platform.")
@platform_options
def user_add(layout: Layout, out: Output, name: str, admin: bool) -> None:
    """Add an account and print the link at which its owner chooses a password."""
    accounts = _accounts(layout)
    accounts.add(name, admin=admin, only_one=why_one_person(layout.data))
    if admin:
        platform.reload(layout)
    _show_link(layout, out, accounts, name)


@user.command("link")
@click.argument("name")
@platform_options
def user_link(layout: Layout, out: Output, name: str) -> None:
    """Print a new link at which NAME chooses a password, when the old one is lost."""
    _show_link(layout, out, _accounts(layout), name)


@user.command("remove")
@click.argument("name")
@platform_options
def user_remove(layout: Layout, out: Output, name: str) -> None:
    """Remove an account; its files stay."""
    _accounts(layout).remove(name)
    platform.reload(layout)
    out.one({"removed": name}, f"{name} cannot sign in any more.")


@user.command("list")
@platform_options
def user_list(layout: Layout, out: Output) -> None:
    """Who may sign in."""
    for account in _accounts(layout).all():
        record = {"name": account.name, "admin": account.admin, "has_password": account.ready}
        words = [word for word, true in (("admin", account.admin), ("no password yet", not account.ready)) if true]
        out.one(record, f"{account.name}{' (' + ', '.join(words) + ')' if words else ''}")


def _accounts(layout: Layout) -> Accounts:
    if not layout.accounts.exists():
        raise Invalid(f"There is no platform in {layout.data}.", hint="Run `atelier up` first, or give --data.")
    return Accounts(layout.accounts)


def _show_link(layout: Layout, out: Output, accounts: Accounts, name: str) -> None:
    link = platform.setup_link(load_settings(layout), accounts.new_link(name))
    out.one({"name": name, "link": link}, f"{name} chooses a password here (works once, for one day):\n{link}")
