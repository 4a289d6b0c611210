"""Passwords as scrypt hashes that name their own cost, so that it can be raised without locking anyone out."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets

from atelier_core.errors import Invalid

SHORTEST = 10
LONGEST = 1024  # a longer one only costs time
_COST, _BLOCK, _LANES = 2**15, 8, 1
_MEMORY = 128 * 1024 * 1024


def check_password(password: str) -> str:
    """Return `password` if it may be used as one."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            f"The password has {len(password)} characters.",
            code="bad_password",
            hint=f"Use at least {SHORTEST} characters; a few unrelated words are fine.",
        )
    return password


def hash_password(password: str) -> str:
    """`scrypt$cost$block$lanes$salt$key`, the last two in base64."""
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, _COST, _BLOCK, _LANES)
    return "$".join(["scrypt", str(_COST), str(_BLOCK), str(_LANES), _text(salt), _text(key)])


def matches(password: str, hashed: str) -> bool:
    """Whether `password` is the one that `hashed` was made of; takes as long for a wrong one as for the right one."""
    _, cost, block, lanes, salt, key = hashed.split("$")
    derived = _derive(password[:LONGEST], _bytes(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(derived, _bytes(key))


@functools.cache
def nobody() -> str:
    """What to compare with when an account does not exist or has no password: the answer must not come sooner."""
    return hash_password(secrets.token_urlsafe(32))


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=_MEMORY, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
