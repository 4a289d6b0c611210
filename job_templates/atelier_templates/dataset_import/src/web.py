"""Files from web addresses."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import step

SCHEMES = ("http://", "https://")
TOKEN = "URL_TOKEN"  # noqa: S105 - the name of a variable
WAIT = 60


def fetch(address: str) -> Path:
    """Load what lies at an address into a file; a token comes from the step's secret, never from the address."""
    parts = urlsplit(address)
    if parts.username or parts.password:
        step.fail("The address holds a password, which all who see the pipeline could read. Keep a token as a secret "
                  f"of the project and give it to this step as the variable {TOKEN}, under Advanced.")  # fmt: skip
    request = Request(address, headers={"User-Agent": "atelier"})  # noqa: S310 - http and https only
    if token := os.environ.get(TOKEN):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    name = PurePosixPath(unquote(parts.path)).name or "data.csv"
    file = Path(tempfile.mkdtemp(), name)
    try:
        with urlopen(request, timeout=WAIT) as answer, file.open("wb") as stream:  # noqa: S310
            shutil.copyfileobj(answer, stream)
            kind = answer.headers.get_content_type()
    except HTTPError as error:
        more = f" If it needs a token, give it to this step as {TOKEN}." if error.code in (401, 403) else ""
        step.fail(f"{parts.netloc} answered {error.code} ({error.reason}) to {address}.{more}")
    except (URLError, OSError, ValueError) as error:
        step.fail(f"{address} cannot be read: {getattr(error, 'reason', error)}. Check the address, and that this "
                  "machine may reach it.")  # fmt: skip
    if kind == "text/html":
        step.fail(f"{address} is a web page and not a CSV file. Use the address of the file itself.")
    print(f"{file.stat().st_size} bytes from {parts.netloc}.", flush=True)
    return file
