"""`atelier login`: remember a platform and a token for it."""

from __future__ import annotations

import json
import sys

import click
import httpx

from atelier_cli import exits
from atelier_cli.session import Session, command_options
from atelier_sdk import Client, Credentials, Unreachable, credentials

SERVICE = "/services/atelier"


@click.command()
@click.argument("url")
@click.option("--token", help="The token; without it you are asked. `-` reads it from standard input.")
@command_options
def login(session: Session, url: str, token: str | None) -> int:
    """Sign in to the platform at URL (the hub's address)."""
    platform = find_platform(url)
    hub = platform.removesuffix(SERVICE)
    if token == "-":  # noqa: S105
        token = sys.stdin.readline().strip()
    if not token:
        click.echo(f"Make a token at {hub}/hub/token (the default permissions are enough).", err=True)
        token = click.prompt("Token", hide_input=True, err=True)
    with Client(platform, str(token), patience=5) as client:
        me = client.me()
    path = credentials.save(Credentials(url=platform, token=str(token)), session.credentials)
    session.out.one({"name": me.name, "url": platform, "file": str(path)}, f"Signed in to {platform} as {me.name}.")
    return exits.OK


def find_platform(url: str) -> str:
    """The control plane's address, whether the hub's or its own was given."""
    url = url.rstrip("/").removesuffix("/hub").removesuffix("/api")
    if "://" not in url:
        url = f"http://{url}" if url.startswith(("localhost", "127.")) else f"https://{url}"
    candidates = [url] if url.endswith(SERVICE) else [url + SERVICE, url]
    problem: object = "it does not answer as an Atelier platform does"
    for candidate in candidates:
        try:
            answer = httpx.get(f"{candidate}/api/health", timeout=10, follow_redirects=False)
            if answer.is_success and isinstance(json.loads(answer.content), dict):
                return candidate
        except httpx.HTTPError as error:
            problem = error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise click.BadParameter(f"{url} is not an address: {error}.", param_hint="URL") from None
        except (ValueError, RecursionError):
            continue
    raise Unreachable(
        f"There is no Atelier platform at {url}: {problem}.",
        code="unreachable",
        hint="Give the address that you open in the browser, up to and without /hub.",
    )
