"""The entry of the `atelier` command: options for all, and errors as sentences."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from atelier_cli import exits
from atelier_cli.lazy import LazyGroup
from atelier_cli.session import Session
from atelier_core.errors import Invalid
from atelier_sdk import AtelierError, SnapshotError, Unreachable
from atelier_sdk.errors import NotSignedIn

PLATFORM = "atelier_cli.platform.commands"
COMMANDS = {
    "up": (f"{PLATFORM}:up", "Start the platform on this machine."),
    "demo": ("atelier_cli.demo:demo", "Run a real pipeline on real data: handwritten digits."),
    "pipeline": ("atelier_cli.pipeline:pipeline", "Run pipelines and look after their runs."),
    "dataset": ("atelier_cli.dataset:dataset", "Data with versions that never change."),
    "service": ("atelier_cli.service:service", "Deploy models and programs, and look after what answers."),
    "model": ("atelier_cli.model:model", "Trained models with versions."),
    "template": ("atelier_cli.template:template", "Kinds of steps that anyone can use."),
    "project": ("atelier_cli.project:project", "Projects and who is in them."),
    "secret": ("atelier_cli.project:secret", "Values that steps get and nobody can read back."),
    "login": ("atelier_cli.login:login", "Sign in to a platform elsewhere."),
    "status": (f"{PLATFORM}:status", "Say which processes run and answer."),
    "doctor": (f"{PLATFORM}:doctor", "Check what the platform stands on; say what to do."),
    "down": (f"{PLATFORM}:down", "Stop the platform; what it knows stays."),
    "backup": (f"{PLATFORM}:backup", "Write databases, artifacts, keys and files to one file."),
    "restore": (f"{PLATFORM}:restore", "Bring a backup back."),
    "user": (f"{PLATFORM}:user", "People who may sign in to this platform."),
}

_WRONG_INPUT = frozenset({"bad_name", "bad_url", "credentials_exposed", "not_a_pipeline", "not_json"})


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.HELP)
@click.option("--url", envvar="ATELIER_URL", help="The platform, instead of the one signed in to; needs a token.")
@click.option("--token", envvar="ATELIER_TOKEN", help="A token for --url; better given as ATELIER_TOKEN.")
@click.option(
    "--credentials",
    envvar="ATELIER_CREDENTIALS",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that keeps who is signed in where; default: ~/.config/atelier/credentials.json.",
)
@click.option("--project", envvar="ATELIER_PROJECT", help="The project; default: your own.")
@click.option("--json", "as_json", is_flag=True, help="Speak JSON, one object per line.")
@click.version_option(package_name="atelier-workspace", prog_name="atelier")
@click.pass_context
def cli(
    ctx: click.Context,
    url: str | None,
    token: str | None,
    credentials: Path | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Atelier: machine-learning pipelines on a laptop and on Kubernetes, one definition for both."""
    if bool(url) != bool(token):
        raise click.UsageError("--url and --token (or ATELIER_URL and ATELIER_TOKEN) belong together.")
    session = ctx.ensure_object(Session)
    session.credentials = credentials
    if url and token:
        session.connect_to(url, token)
    session.choose(project=project, as_json=as_json)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with one of the documented codes."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    session = Session()
    try:
        result = cli.main(arguments, prog_name="atelier", standalone_mode=False, obj=session)
        return result if isinstance(result, int) else exits.OK
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        session.out.error("Interrupted.", code="interrupted")
        return exits.INTERRUPTED
    except click.ClickException as error:
        if session.out.as_json:
            session.out.error(error.format_message(), code="usage")
        else:
            error.show()
        return exits.USAGE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        session.out.error(f"{place}{error.strerror or error}.", code="os_error")
        return exits.FAILED
    except Exception as error:
        message = getattr(error, "message", None)
        if message is None:
            raise  # a bug: its trace is worth more than a sentence
        return _explain(session, error)
    finally:
        session.close()


def _explain(session: Session, error: Exception) -> int:
    """Errors of SDK and core carry message, code and hint; those about a pipeline all of its problems."""
    problems = getattr(error, "details", None) or {}
    problems = problems.get("problems") if isinstance(problems, dict) else None
    for problem in problems or []:
        session.out.error(str(problem.get("message")), code="invalid", hint=str(problem.get("hint") or ""))
    code, hint, trace = (str(getattr(error, name, "")) for name in ("code", "hint", "trace"))
    if not problems:
        session.out.error(str(getattr(error, "message", error)), code=code or "error", hint=hint, trace=trace)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """Which of the documented codes says it."""
    if isinstance(error, Unreachable):
        return exits.UNREACHABLE
    if isinstance(error, Invalid | SnapshotError | NotSignedIn):
        return exits.USAGE
    wrong_input = isinstance(error, AtelierError) and (error.status in (400, 422) or error.code in _WRONG_INPUT)
    return exits.USAGE if wrong_input else exits.FAILED
