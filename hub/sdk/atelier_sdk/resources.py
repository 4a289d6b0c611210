"""What a client can do with each kind of thing, one class per kind, one method per route."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

from atelier_sdk.errors import AtelierError
from atelier_sdk.models import (
    Answer,
    Artifact,
    Attempt,
    BackendInfo,
    Event,
    Image,
    Member,
    Page,
    Problem,
    Project,
    Revision,
    Run,
    Secret,
    Step,
    StepUsage,
    Template,
)
from atelier_sdk.snapshot import Snapshot
from atelier_sdk.streams import follow_events, read_text
from atelier_sdk.transport import Transport

_LOOK_SECONDS = 0.5
T = TypeVar("T", bound=Answer)
MemberKind = Literal["user", "group"]
Items = list[dict[str, Any]]


def path_of(*parts: str) -> str:
    """A path below the API, each part as it is."""
    return "/".join(_quoted(part) for part in parts)


def _quoted(part: str) -> str:
    try:
        if part not in ("", ".", ".."):  # these would lead elsewhere
            return quote(part, safe=":")
    except UnicodeError:
        pass
    raise AtelierError(f"{part!r} is no name.", code="bad_name", hint="Give the name of what you mean.")


class Resource:
    """One kind of thing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _one(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        return kind.model_validate(self._transport.request(method, path, **options).json())

    def _page(self, kind: type[T], path: str, **params: Any) -> Page[T]:
        query = {key: value for key, value in params.items() if value is not None}
        body = self._transport.request("GET", path, params=query).json()
        return Page[kind].model_validate(body)  # type: ignore[valid-type]

    def _all(self, kind: type[T], path: str, **params: Any) -> Iterator[T]:
        """Every item of every page."""
        cursor: str | None = None
        while True:
            page = self._page(kind, path, cursor=cursor, **params)
            yield from page.items
            cursor = page.next
            if not cursor:
                return

    def _edit(self, method: str, path: str, version: int | None, body: dict[str, Any] | None = None) -> Any:
        """Change version `version`: refused when somebody else changed it meanwhile. None means any version."""
        seen = "*" if version is None else f'"{version}"'
        return self._transport.request(method, path, headers={"If-Match": seen}, json=body, idempotent=False)

    def _set(self, method: str, path: str, body: dict[str, Any], make: tuple[str, dict[str, Any]]) -> None:
        """Change it, or make it where it is not there yet."""
        try:
            self._edit(method, path, None, body)
        except AtelierError as error:
            if error.status != 404:
                raise
            self._transport.request("POST", make[0], json=make[1])


class Projects(Resource):
    """Places for runs, data and people."""

    def list(self) -> Iterator[Project]:
        """All projects that the caller may see."""
        return self._all(Project, "projects")

    def get(self, name: str) -> Project:
        """One project."""
        return self._one(Project, "GET", path_of("projects", name))

    def create(self, name: str, **fields: Any) -> Project:
        """Make a project; the caller becomes its owner."""
        return self._one(Project, "POST", "projects", json={"name": name, **fields})

    def update(self, name: str, *, version: int | None = None, **fields: Any) -> Project:
        """Change some fields; with the `version` that was read, only if nobody changed it since."""
        return Project.model_validate(self._edit("PATCH", path_of("projects", name), version, fields).json())

    def delete(self, name: str, *, version: int | None = None) -> None:
        """Remove a project and what is in it."""
        self._edit("DELETE", path_of("projects", name), version)


class Members(Resource):
    """Who may do what in a project."""

    def list(self, project: str) -> Iterator[Member]:
        """All members of a project."""
        return self._all(Member, path_of("projects", project, "members"))

    def set(self, project: str, name: str, role: str, *, kind: MemberKind = "user") -> None:
        """Give a user or a hub group a role."""
        members = path_of("projects", project, "members")
        new = {"kind": kind, "name": name, "role": role}
        self._set("PATCH", _member(project, kind, name), {"role": role}, (members, new))

    def remove(self, project: str, name: str, *, kind: MemberKind = "user") -> None:
        """Take the role away."""
        self._edit("DELETE", _member(project, kind, name), None)


def _member(project: str, kind: MemberKind, name: str) -> str:
    return f"{path_of('projects', project, 'members')}?{urlencode({'kind': kind, 'name': name})}"


class Secrets(Resource):
    """Values that steps get as environment variables and nobody can read back."""

    def list(self, project: str) -> Iterator[Secret]:
        """The names."""
        return self._all(Secret, path_of("projects", project, "secrets"))

    def set(self, project: str, name: str, value: str) -> None:
        """Make or replace a secret."""
        secrets = path_of("projects", project, "secrets")
        self._set(
            "PUT",
            path_of("projects", project, "secrets", name),
            {"value": value},
            (secrets, {"name": name, "value": value}),
        )

    def delete(self, project: str, name: str) -> None:
        """Remove a secret."""
        self._edit("DELETE", path_of("projects", project, "secrets", name), None)


class Snapshots(Resource):
    """Packed code, found by its content."""

    def exists(self, project: str, digest: str) -> bool:
        """Whether the platform has it already."""
        try:
            self._transport.request("HEAD", path_of("projects", project, "snapshots", digest))
        except AtelierError as error:
            if error.status == 404:
                return False
            raise
        return True

    def upload(self, project: str, snapshot: Snapshot) -> bool:
        """Send a snapshot unless it is there; tells whether it was sent."""
        if self.exists(project, snapshot.digest):
            return False
        self._transport.request(
            "PUT",
            path_of("projects", project, "snapshots", snapshot.digest),
            content=_Blocks(snapshot),
            headers={"Content-Type": "application/gzip", "Content-Length": str(snapshot.size)},
        )
        return True


class _Blocks:
    """The body of an upload, from the beginning at every try."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __iter__(self) -> Iterator[bytes]:
        stream = self._snapshot.open()
        while block := stream.read(256 * 1024):
            yield block


class Pipelines(Resource):
    """Documents before they are stored."""

    def check(self, project: str, *, document: Any, path: str, files: list[str]) -> list[Problem]:
        """What is wrong in a document; an empty list when it can run. `files` are the paths in its folder."""
        body = {"document": document, "path": path, "files": files}
        answer = self._transport.request(
            "POST", path_of("projects", project, "pipelines", "check"), json=body, idempotent=True
        )
        return [Problem.model_validate(problem) for problem in answer.json()["problems"]]


class Revisions(Resource):
    """Stored pipelines; they never change."""

    def create(self, project: str, *, path: str, document: Any, snapshot: str | None) -> Revision:
        """Store a document with the snapshot of its folder."""
        body = {"path": path, "document": document, "snapshot": snapshot}
        return self._one(Revision, "POST", path_of("projects", project, "revisions"), json=body)

    def get(self, project: str, revision: str) -> Revision:
        """One revision."""
        return self._one(Revision, "GET", path_of("projects", project, "revisions", revision))

    def list(self, project: str) -> Iterator[Revision]:
        """All revisions, newest first."""
        return self._all(Revision, path_of("projects", project, "revisions"))


class Runs(Resource):
    """Executions of revisions."""

    def create(
        self,
        project: str,
        *,
        revision: str,
        parameters: dict[str, Any] | None = None,
        on: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Start a run. With its key the call may arrive twice and still starts one run."""
        body = {
            "revision": revision,
            "parameters": parameters or {},
            "on": on,
            "idempotency_key": idempotency_key or uuid.uuid4().hex,
        }
        body = {key: value for key, value in body.items() if value is not None}
        return self._one(Run, "POST", path_of("projects", project, "runs"), json=body, idempotent=True)

    def get(self, project: str, run: str) -> Run:
        """One run."""
        return self._one(Run, "GET", path_of("projects", project, "runs", run))

    def page(
        self, project: str, *, state: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[Run]:
        """One page of runs, newest first."""
        return self._page(Run, path_of("projects", project, "runs"), state=state, limit=limit, cursor=cursor)

    def list(self, project: str, *, state: str | None = None) -> Iterator[Run]:
        """All runs, newest first."""
        return self._all(Run, path_of("projects", project, "runs"), state=state)

    def wait(
        self, project: str, run: str, *, seconds: float = 3600, changed: Callable[[Run], None] = lambda _: None
    ) -> Run:
        """Until the run has ended, however it did. `changed` sees it in each new state."""
        until, last = time.monotonic() + seconds, ""
        while True:
            found = self.get(project, run)
            if found.state != last:
                changed(found)
            last = found.state
            if found.final:
                return found
            if time.monotonic() > until:
                hint = "It goes on; look at it in the panel Runs, or wait longer."
                raise AtelierError(f"Run {run} has not ended within {seconds:g} s.", code="not_ended", hint=hint)
            time.sleep(_LOOK_SECONDS)

    def cancel(self, project: str, run: str) -> Run:
        """Ask a run to end; no error when it has ended already."""
        return self._one(Run, "POST", path_of("projects", project, "runs", run, "cancel"), idempotent=True)

    def usage(self, project: str, run: str) -> Iterator[StepUsage]:
        """What its running steps use now."""
        return self._all(StepUsage, path_of("projects", project, "runs", run, "usage"))

    def artifacts(self, project: str, run: str) -> Iterator[Artifact]:
        """What its steps have stored."""
        return self._all(Artifact, path_of("projects", project, "runs", run, "artifacts"))


class Steps(Resource):
    """The steps of a run."""

    def list(self, project: str, run: str) -> Iterator[Step]:
        """All steps in document order, as they stand."""
        return self._all(Step, path_of("projects", project, "runs", run, "steps"))

    def attempts(self, project: str, run: str, step: str) -> Iterator[Attempt]:
        """All tries of a step."""
        return self._all(Attempt, path_of("projects", project, "runs", run, "steps", step, "attempts"))

    def logs(
        self,
        project: str,
        run: str,
        step: str,
        *,
        attempt: int | None = None,
        replica: str | None = None,
        follow: bool = False,
        offset: int = 0,
        patience: float = 300,
    ) -> Iterator[bytes]:
        """What the step wrote, from byte `offset`; with `follow` until it ends, across lost connections."""
        wanted = {"attempt": attempt, "replica": replica, "offset": offset}
        params = {key: value for key, value in wanted.items() if value is not None}
        path = path_of("projects", project, "runs", run, "steps", step, "logs")
        return read_text(self._transport, path, params, follow=follow, patience=patience)

    def results(self, project: str, run: str, step: str) -> Items:
        """The views that the step left: tables, images, texts, charts, metrics."""
        body = self._transport.request(
            "GET", path_of("projects", project, "runs", run, "steps", step, "results")
        ).json()
        return list(body["items"])


class Artifacts(Resource):
    """Stored outputs."""

    def download(self, project: str, artifact: str, target: Path) -> Path:
        """Write the content to a file (a folder comes as a tar)."""
        path = path_of("projects", project, "artifacts", artifact, "content")
        self._transport.download(path, target)
        return target


class Events(Resource):
    """What happens, as it happens."""

    def follow(
        self, *, project: str | None = None, after: str | int | None = None, patience: float = 300
    ) -> Iterator[Event]:
        """Events after `after` without end; a lost connection goes on where it stopped."""
        wanted = {"project": project, "after": after}
        params = {key: value for key, value in wanted.items() if value is not None}
        return follow_events(self._transport, params, patience)


class Templates(Resource):
    """Kinds of steps that anyone can use."""

    def list(self) -> Iterator[Template]:
        """All of them."""
        return self._all(Template, "templates")

    def get(self, name: str) -> Template:
        """One, with its parameters' schema."""
        return self._one(Template, "GET", path_of("templates", name))


class Images(Resource):
    """What steps run in."""

    def list(self) -> Iterator[Image]:
        """All of them."""
        return self._all(Image, "images")


class Backends(Resource):
    """Where runs can be sent to."""

    def list(self) -> Iterator[BackendInfo]:
        """All of them."""
        return self._all(BackendInfo, "backends")
