"""Tokens of attempts: each is good for one attempt alone and dead with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from atelier_hub.auth import ATTEMPT_PREFIX


@dataclass(frozen=True)
class AttemptTokens:
    """Makes the token of an attempt from a key and the attempt's own random nonce.

    So a start that is tried again after a crash hands out the same token, although only its hash is stored.
    """

    key: bytes

    def token(self, attempt: str, nonce: str) -> str:
        """The token; show it to nobody but the attempt's shim."""
        mac = hmac.new(self.key, f"{attempt}.{nonce}".encode(), hashlib.sha256).digest()
        return ATTEMPT_PREFIX + base64.urlsafe_b64encode(mac).decode().rstrip("=")
