"""What a revision's replicas run: worked out once, when it is deployed, and never again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from atelier_core.workload import Code, Input, Port, Resources, Role, WorkloadSpec
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.tars import Member, StoredFolder
from atelier_hub.engine.owner import Staged

MODEL = "model"
PORT = "http"
SERVER_FOLDER = "serve"


class Content(BaseModel):
    """A stored model: one content (a file, or a folder as tar), or a folder of `files` (path, size, digest)."""

    model_config = ConfigDict(frozen=True)

    kind: str = "folder"
    digest: str = ""
    size: int = 0
    files: tuple[tuple[str, int, str], ...] = ()
    file: str = ""

    def staged(self) -> Staged:
        """As an attempt's input."""
        if self.files:
            return StoredFolder([Member(*one) for one in self.files])
        return _Blob(self.kind, self.size, self.digest)


@dataclass(frozen=True)
class _Blob:
    kind: str
    size: int
    digest: str

    def read(self, store: ArtifactStore) -> Iterator[bytes]:
        return store.read(self.digest)


class ServingPlan(BaseModel):
    """`code` is the digest of the model server's archive, if it is what runs; `health` empty: any answer will do.

    `ports` are those of a server of others, all of them; its `port` is the first.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    command: tuple[str, ...]
    port: int = 0
    ports: tuple[Port, ...] = ()
    health: str = ""
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    resources: Resources
    grace: float
    code: str = ""
    content: Content | None = None


@dataclass(frozen=True)
class AttemptContext:
    """What a plan cannot know: the attempt, whose it is, and how the shim reaches the control plane."""

    attempt: str
    project: str
    service: str
    revision: int
    owner: str
    url: str
    token: str
    secrets: Mapping[str, str] = field(default_factory=dict)


def model_place(content: Content) -> str:
    """Where the model lies below the attempt's folder; a bare file keeps the ending that says what it is."""
    return f"inputs/{content.file}" if content.file else f"inputs/{MODEL}"


def build_spec(plan: ServingPlan, context: AttemptContext) -> WorkloadSpec:
    """The workload of one replica."""
    identity = {
        "ATELIER_PROJECT": context.project,
        "ATELIER_SERVICE": context.service,
        "ATELIER_REVISION": str(context.revision),
    }
    role = Role(
        image=plan.image,
        command=plan.command,
        env=plan.env | identity,
        secret_env={name: context.secrets[secret] for name, secret in plan.secrets.items()},
        resources=plan.resources,
        ports=plan.ports or (Port(name=PORT, port=plan.port),),
        health=plan.health if plan.ports else "",
    )
    content = plan.content
    return WorkloadSpec(
        id=context.attempt,
        kind="service",
        project=context.project,
        owner=context.owner,
        roles=(role,),
        code=(Code(digest=plan.code, path=SERVER_FOLDER),) if plan.code else (),
        inputs=(Input(name=MODEL, artifact=MODEL, path=model_place(content)),) if content else (),
        workdir=SERVER_FOLDER if plan.code else "code",
        grace=plan.grace,
        labels={"service": context.service, "revision": str(context.revision)},
        url=context.url,
        token=context.token,
    )
