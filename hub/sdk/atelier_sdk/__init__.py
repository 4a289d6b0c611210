"""The Python client of the Atelier platform."""

from atelier_sdk.client import Client
from atelier_sdk.credentials import Credentials
from atelier_sdk.errors import AtelierError, NotSignedIn, SnapshotError, Unreachable
from atelier_sdk.snapshot import Snapshot, pack

__all__ = ["AtelierError", "Client", "Credentials", "NotSignedIn", "Snapshot", "SnapshotError", "Unreachable", "pack"]
