"""Encryption of secrets at rest, with a key file that only the service can read."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from atelier_core.errors import AtelierError, Invalid


class BadKeyFile(AtelierError):
    """The key file cannot be used."""

    code = "bad_key_file"


class Keyring:
    """Encrypts with the first key of the file, decrypts with any: add a new first line to change the key."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise BadKeyFile(f"Others may read the key file {path}.", hint=f"Run: chmod 600 {path}")
        lines = [line for line in path.read_bytes().split() if line]
        self._oldest = lines[-1] if lines else b""
        try:
            self._keys = MultiFernet([Fernet(line) for line in lines])
        except ValueError as error:
            raise BadKeyFile(
                f"The key file {path} is empty or holds something that is not a key.",
                hint="Restore it from the backup; without it the stored secrets cannot be read.",
            ) from error

    def derive(self, purpose: str) -> bytes:
        """A key of its own for `purpose`; the same as long as the oldest key stays in the file."""
        return hmac.new(self._oldest, purpose.encode(), hashlib.sha256).digest()

    def encrypt(self, value: str) -> bytes:
        """`value` as it may be stored."""
        return self._keys.encrypt(value.encode())

    def decrypt(self, stored: bytes) -> str:
        """What was encrypted; fails with a sentence when the key is not in the file any more."""
        try:
            return self._keys.decrypt(stored).decode()
        except InvalidToken as error:
            raise Invalid(
                "A stored secret cannot be read: it was encrypted with a key that is not in the key file.",
                code="secret_unreadable",
                hint="Set the secret again, or restore the key file from the backup.",
            ) from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and linked: whoever comes second finds the whole key of the first, never half a key.
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
