"""Where the client finds the platform and its token: one file that only its owner can read."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

from pydantic import BaseModel, ValidationError

from atelier_sdk.errors import AtelierError, NotSignedIn

SIGN_IN = "Run `atelier up` on this machine, or `atelier login URL` for a platform elsewhere."


class Credentials(BaseModel):
    """The platform's address and a token for it."""

    url: str
    token: str


def default_path() -> Path:
    """`~/.config/atelier/credentials.json`."""
    return Path.home() / ".config" / "atelier" / "credentials.json"


def load(path: Path | None = None) -> Credentials:
    """Read the file; refuse one that others on the machine can read."""
    path = path or default_path()
    try:
        with path.open(encoding="utf-8") as file:
            _check_private(path, os.fstat(file.fileno()))
            return Credentials.model_validate_json(file.read())
    except FileNotFoundError:
        raise NotSignedIn("You are not signed in to a platform.", code="no_credentials", hint=SIGN_IN) from None
    except (ValidationError, UnicodeDecodeError):
        raise NotSignedIn(f"{path} is damaged.", code="bad_credentials", hint=SIGN_IN) from None
    except OSError as error:
        raise NotSignedIn(f"{path} cannot be read: {error.strerror}.", code="bad_credentials", hint=SIGN_IN) from None


def _check_private(path: Path, status: os.stat_result) -> None:
    if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AtelierError(
            f"{path} can be read by other people of this machine, so its token is not used.",
            code="credentials_exposed",
            hint=f"Run `chmod 600 {path}`; if others had time to read it, sign in again for a new token.",
        )


def save(credentials: Credentials, path: Path | None = None) -> Path:
    """Write the file with mode 0600, all or nothing."""
    path = path or default_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(credentials.model_dump(), file, indent=2)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
