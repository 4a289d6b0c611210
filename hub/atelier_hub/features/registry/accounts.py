"""Workspaces and accounts at MLflow: one workspace for each project, one account for each level in it.

They are made when somebody first needs them. Passwords are derived, so that none is stored and each replica knows them.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from contextlib import suppress
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from atelier_core.errors import BackendUnavailable
from atelier_core.registry import workspace_name
from atelier_hub.clients.mlflow import Account, MlflowClient
from atelier_hub.db import Database
from atelier_hub.features.registry.store import WorkspaceRow

VIEWER, MEMBER = "viewer", "member"
_KINDS = ("experiment", "registered_model", "prompt")
GRANTS = {
    VIEWER: [(kind, "READ") for kind in _KINDS],
    MEMBER: [("workspace", "USE"), *((kind, "EDIT") for kind in _KINDS)],
}
_BELIEVED = 300.0  # seconds until MLflow is asked again whether it knows an account


class Accounts:
    """Makes sure that accounts are there; safe to share between threads."""

    def __init__(self, client: MlflowClient, db: Database, key: bytes) -> None:
        self._client = client
        self._db = db
        self._key = key
        self._lock = threading.Lock()
        self._seen: dict[Account, float] = {}

    def ready(self, project: str, level: str) -> Account:
        """The account of a project's members or viewers, which is there now. Blocking: may ask MLflow."""
        workspace = workspace_name(project)
        account = self._account(workspace, level, self._nonce(workspace))
        with self._lock:
            seen = self._seen.get(account)
        if seen is not None and time.monotonic() - seen < _BELIEVED:
            return account
        if seen is None or not self._client.is_known(account):
            self._client.make_workspace(workspace)
            self._client.make_account(account, GRANTS[level])
        with self._lock:
            self._seen[account] = time.monotonic()
        return account

    def _account(self, workspace: str, level: str, nonce: str) -> Account:
        name = f"{level}@{workspace}"
        password = hmac.new(self._key, f"{name} {nonce}".encode(), sha256).hexdigest()
        return Account(name, password, workspace)

    def _nonce(self, workspace: str) -> str:
        with self._db.read() as session:
            row = session.get(WorkspaceRow, workspace)
        if row is None:
            with suppress(IntegrityError), self._db.write() as session:  # another may be quicker
                session.add(WorkspaceRow(name=workspace, nonce=secrets.token_hex(16)))
            with self._db.read() as session:
                row = session.get(WorkspaceRow, workspace)
        if row is None or row.removed:
            raise BackendUnavailable(
                "What an earlier project of this name had at MLflow is still being removed.",
                code="workspace_removed",
                hint="Try again in a minute.",
            )
        return row.nonce

    def remove_left(self) -> int:
        """Remove at MLflow what deleted projects left there; how many. Blocking."""
        with self._db.read() as session:
            left = list(session.scalars(select(WorkspaceRow.name).where(WorkspaceRow.removed.is_(True))))
        for workspace in left:
            for level in GRANTS:
                self._client.remove_account(f"{level}@{workspace}")
            self._client.remove_workspace(workspace)
            with self._db.write() as session:
                row = session.get(WorkspaceRow, workspace, with_for_update=True)
                if row is not None:
                    session.delete(row)
        return len(left)


def mark_removed(session: Session, project: str) -> None:
    """The project is being deleted: nobody gets into its workspace from now on, and then it is removed."""
    row = session.get(WorkspaceRow, workspace_name(project), with_for_update=True)
    if row is not None:
        row.removed = True
