"""What the driver asks of those who want attempts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from atelier_core.states import State
from atelier_core.workload import Observation, WorkloadSpec
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.engine.store import Attempt


@dataclass(frozen=True)
class Ready:
    """An attempt that is saved as starting, and what it runs."""

    attempt: Attempt
    spec: WorkloadSpec


@dataclass(frozen=True)
class Touched:
    """What followed from an event: attempts to look at now, and those that need no second look before they start."""

    attempts: Sequence[str] = ()
    ready: Sequence[Ready] = ()


class Staged(Protocol):
    """What a shim puts into the inputs folder: the bytes of a file, or a tar of a folder."""

    @property
    def kind(self) -> str:
        """`file` or `folder`."""

    @property
    def size(self) -> int:
        """How many bytes `read` gives."""

    def read(self, store: ArtifactStore) -> Iterator[bytes]:
        """Them."""


class Owner(Protocol):
    """Who wants attempts of one kind. All methods run inside a transaction."""

    def spec(self, session: Session, attempt: Attempt) -> WorkloadSpec:
        """What the attempt runs; raises `AtelierError` if it never can."""

    def recall(self, session: Session, attempt: Attempt) -> None:
        """Called before the transaction in which `ended` comes: read what takes long, while nobody waits."""

    def lock(self, session: Session, attempt: Attempt) -> None:
        """Called first in every transaction that changes the attempt."""

    def moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        """The attempt is in `state` now."""

    def ended(self, session: Session, attempt: Attempt, seen: Observation, ahead: int) -> Touched:
        """The attempt is over and nothing of it survives; up to `ahead` attempts on its back end may start at once."""

    def code(self, session: Session, attempt: Attempt, digest: str) -> str:
        """The digest in the store of a code archive that the attempt's workload names."""

    def input(self, session: Session, attempt: Attempt, name: str) -> Staged:
        """What is behind an input of the attempt's workload."""
