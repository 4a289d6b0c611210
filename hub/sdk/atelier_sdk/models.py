"""What the platform answers. Fields that a newer platform adds are kept, not refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

FINAL_STATES = frozenset({"done", "failed", "stopped", "skipped"})


class Answer(BaseModel):
    """Base of everything that the platform answers."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


T = TypeVar("T")


class Page(Answer, Generic[T]):
    """One page of a list; `next` is the cursor of the following page."""

    items: list[T] = Field(default_factory=list)
    next: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def each(self) -> Iterator[T]:
        """The items of this page."""
        yield from self.items


class Me(Answer):
    """Who the token belongs to; `projects` has the role in each."""

    name: str
    admin: bool = False
    projects: dict[str, str] = Field(default_factory=dict)


class Project(Answer):
    """A place for runs, data and people."""

    name: str
    description: str = ""
    personal: bool = False
    default_backend: str = ""
    created_by: str = ""
    version: int = 0


class Member(Answer):
    """A user or a hub group, and its role in a project."""

    kind: str = "user"
    name: str
    role: str


class Secret(Answer):
    """The name of a secret; its value never comes back."""

    name: str
    changed_at: datetime | None = None
    changed_by: str = ""


class Problem(Answer):
    """What is wrong in a pipeline document, and where."""

    node: str | None = None
    field: str | None = None
    message: str
    hint: str = ""


class Revision(Answer):
    """An immutable pipeline: a document and the snapshot of its folder."""

    id: str
    name: str = ""
    path: str = ""
    snapshot: str | None = None
    created_at: datetime | None = None
    created_by: str = ""


class _Driven(Answer):
    state: str
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def final(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.state in FINAL_STATES


class Run(_Driven):
    """One execution of a revision."""

    id: str
    project: str = ""
    revision: str = ""
    name: str = ""
    on: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    created_by: str = ""
    steps: dict[str, int] = Field(default_factory=dict)


class Step(_Driven):
    """One step of a run, as it stands."""

    name: str
    label: str = ""
    node: str = ""
    attempt: int | None = None
    exit_code: int | None = None
    needs: list[str] = Field(default_factory=list)


class Attempt(_Driven):
    """One try of a step."""

    id: str = ""
    number: int | None = None
    exit_code: int | None = None
    values: dict[str, Any] = Field(default_factory=dict)


class Usage(Answer):
    """What processes use now: `cpu` in cores, `memory` in bytes, beside what they were given; `gpu` in percent.

    None is what is not known; `message` says why.
    """

    at: datetime | None = None
    replicas: int = 0
    cpu: float | None = None
    memory: int | None = None
    cpu_given: float | None = None
    memory_given: int | None = None
    gpu: float | None = None
    gpu_memory: int | None = None
    message: str = ""


class StepUsage(Usage):
    """What a running step uses now, all replicas of its attempt together."""

    step: str
    attempt: int = 1


class Artifact(Answer):
    """A stored output of a step."""

    id: str
    name: str = ""
    step: str = ""
    type: str = "any"
    kind: str = "file"
    size: int = 0
    digest: str = ""


class DatasetVersion(Answer):
    """An immutable version of a dataset: files by their contents, or an address (`uri`)."""

    number: int
    kind: str = "file"
    uri: str = ""
    files: int = 0
    size: int = 0
    note: str = ""
    created_at: datetime | None = None
    created_by: str = ""


class Dataset(Answer):
    """Data with versions; `newest` is the newest of them."""

    name: str
    project: str = ""
    description: str = ""
    tags: list[str] = Field(default_factory=list)
    newest: DatasetVersion | None = None
    version: int = 0


class DatasetFile(Answer):
    """One file of a version."""

    path: str
    size: int = 0
    digest: str = ""


class Preview(Answer):
    """What is in a file: `columns` and `rows` of a table, the beginning of a `text`, or what kind of medium it is."""

    kind: str
    columns: list[dict[str, str]] = Field(default_factory=list)
    rows: list[list[Any]] = Field(default_factory=list)
    total: int | None = None
    text: str = ""
    more: bool = False
    problem: str = ""


class Event(Answer):
    """Something that happened, in the order in which it happened."""

    id: int | str
    at: datetime | None = None
    project: str | None = None
    kind: str
    subject_kind: str = ""
    subject: str = ""
    actor: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class Template(Answer):
    """A kind of step that anyone can use."""

    name: str
    version: str = ""
    stage: str = ""
    category: str = ""
    description: str = ""


class Image(Answer):
    """What a step runs in."""

    name: str
    reference: str = ""
    python: str = ""
    description: str = ""


class BackendInfo(Answer):
    """An engine that runs can be sent to by `on`; `kind` says what it is: `local`, `kubernetes`."""

    name: str
    kind: str = ""
    default: bool = False
    reachable: bool = True
    capabilities: list[str] = Field(default_factory=list)
