"""Datasets of a project: made from a file, a folder or an address, sent in pieces, and read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atelier_sdk.detect import secret_in_name
from atelier_sdk.errors import AtelierError
from atelier_sdk.models import Dataset, DatasetFile, DatasetVersion, Preview
from atelier_sdk.resources import Resource, path_of

PIECE = 8 * 1024**2
_BATCH = 1000
_STORING = 3600.0  # seconds that a large file may take to be checked and stored after its last byte
_BLOCK = 1024**2
Progress = Callable[[int, int], None]
"""(bytes that are done, bytes in all)."""


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine, and its place in the dataset."""

    file: Path
    path: str
    size: int
    digest: str


class Datasets(Resource):
    """Data with versions that never change."""

    def list(self, project: str, *, search: str | None = None, tag: str | None = None) -> Iterator[Dataset]:
        """All datasets of a project, by name."""
        return self._all(Dataset, path_of("projects", project, "datasets"), search=search, tag=tag)

    def get(self, project: str, name: str) -> Dataset:
        """One dataset with its newest version."""
        return self._one(Dataset, "GET", path_of("projects", project, "datasets", name))

    def create(self, project: str, name: str, *, description: str = "", tags: Sequence[str] = ()) -> Dataset:
        """A dataset without a version."""
        body = {"name": name, "description": description, "tags": [*tags]}
        return self._one(Dataset, "POST", path_of("projects", project, "datasets"), json=body)

    def update(self, project: str, name: str, *, version: int | None = None, **fields: object) -> Dataset:
        """Change `description` or `tags`; with the `version` that was read, only if nobody changed it since."""
        answer = self._edit("PATCH", path_of("projects", project, "datasets", name), version, fields)
        return Dataset.model_validate(answer.json())

    def delete(self, project: str, name: str, *, force: bool = False) -> None:
        """Remove a dataset; with `force` also one that finished runs have used."""
        path = path_of("projects", project, "datasets", name)
        self._edit("DELETE", f"{path}?force={str(force).lower()}", None)

    def versions(self, project: str, name: str) -> Iterator[DatasetVersion]:
        """All versions, newest first."""
        return self._all(DatasetVersion, path_of("projects", project, "datasets", name, "versions"))

    def version(self, project: str, name: str, number: int | None = None) -> DatasetVersion:
        """One version; the newest by default."""
        return self._one(DatasetVersion, "GET", self._version(project, name, number))

    def delete_version(self, project: str, name: str, number: int, *, force: bool = False) -> None:
        """Remove one version."""
        params = {"force": str(force).lower()}
        self._transport.request("DELETE", self._version(project, name, number), params=params)

    def files(self, project: str, name: str, number: int | None = None) -> Iterator[DatasetFile]:
        """The files of a version."""
        return self._all(DatasetFile, f"{self._version(project, name, number)}/files")

    def preview(
        self, project: str, name: str, number: int | None = None, *, path: str = "", rows: int = 100
    ) -> Preview:
        """What is in a file of a version."""
        place = f"{self._version(project, name, number)}/preview"
        return self._one(Preview, "GET", place, params={"path": path, "rows": rows})

    def register(self, project: str, name: str, uri: str, *, note: str = "") -> DatasetVersion:
        """A version whose content is kept elsewhere."""
        return self._add(project, name, {"uri": uri, "note": note})

    def add(
        self, project: str, name: str, source: str | Path, *, note: str = "", progress: Progress | None = None
    ) -> DatasetVersion:
        """A version of a file or folder of this machine; the newest one again if nothing changed.

        Only contents that the project does not have are sent, each from where an earlier try stopped.
        """
        files = local_files(Path(source))
        self.send(project, files, progress or (lambda done, total: None))
        manifest = [{"path": one.path, "size": one.size, "digest": one.digest} for one in files]
        return self._add(project, name, {"files": manifest, "note": note})

    def download(self, project: str, name: str, number: int | None, target: Path) -> Path:
        """Write the files of a version below a folder."""
        place = self._version(project, name, number)
        for one in self.files(project, name, number):
            file = target / one.path
            if not file.resolve().is_relative_to(target.resolve()):
                raise AtelierError(
                    f"{one.path} leads out of {target}.", code="link_outside", hint="Use an empty folder."
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            self._transport.download(f"{place}/content", file, params={"path": one.path})
        return target

    @staticmethod
    def _version(project: str, name: str, number: int | None) -> str:
        return path_of("projects", project, "datasets", name, "versions", "latest" if number is None else str(number))

    def _add(self, project: str, name: str, body: dict[str, object]) -> DatasetVersion:
        path = path_of("projects", project, "datasets", name, "versions")
        return self._one(DatasetVersion, "POST", path, json=body, idempotent=True)  # the same twice is one version

    def send(self, project: str, files: Sequence[LocalFile], progress: Progress) -> None:
        """Send the contents that the project does not have, each from where an earlier try stopped."""
        contents = {one.digest: one for one in files}  # each content once, however many files hold it
        total = sum(one.size for one in contents.values())
        before = 0
        for one, upload in self._begin(project, contents):
            if not upload["done"]:
                place = path_of("projects", project, "uploads", upload["id"])
                for received in self._send_file(place, one, upload["received"]):
                    progress(before + received, total)
            before += one.size
            progress(before, total)

    def _begin(self, project: str, contents: Mapping[str, LocalFile]) -> Iterator[tuple[LocalFile, dict[str, Any]]]:
        """Each content with how far its upload is."""
        place = path_of("projects", project, "uploads")
        waiting = [{"digest": one.digest, "size": one.size} for one in contents.values()]
        for start in range(0, len(waiting), _BATCH):
            body = {"files": waiting[start : start + _BATCH]}
            for upload in self._transport.request("POST", place, json=body, idempotent=True).json()["items"]:
                yield contents[upload["digest"]], upload

    def _send_file(self, place: str, one: LocalFile, offset: int) -> Iterator[int]:
        """Send a file from `offset` on; yields how far it is after each piece."""
        done = False
        with one.file.open("rb") as content:
            while not done:
                content.seek(offset)
                wanted = min(PIECE, one.size - offset)
                piece = content.read(wanted)
                if len(piece) < wanted:
                    raise _changed(one.path)
                offset, done = self._send_piece(place, offset, piece, last=offset + wanted == one.size)
                yield offset

    def _send_piece(self, place: str, offset: int, piece: bytes, *, last: bool) -> tuple[int, bool]:
        """Where to go on, and whether it is all done."""
        timeout = _STORING if last else None
        try:
            answer = self._transport.request("PUT", place, params={"offset": offset}, content=piece, timeout=timeout)
        except AtelierError as error:
            if error.code != "upload_offset":
                raise
            return int(error.details["offset"]), False  # a try of before came further than its answer
        body = answer.json()
        return int(body["received"]), bool(body["done"])


def local_files(source: Path) -> list[LocalFile]:
    """What a dataset made from `source` holds; hidden files and those that look like secrets stay here."""
    if source.is_file():
        return [_local(source, source.name)]
    if not source.is_dir():
        raise AtelierError(f"There is no file or folder {source}.", code="no_file", hint="Correct the path.")
    root = source.resolve()
    found = [_local(root / path, path) for path in sorted(_walk(root))]
    if not found:
        raise AtelierError(f"{source} has no files.", code="no_file", hint="Choose a folder with data in it.")
    return found


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            path = file.relative_to(root).as_posix()
            if name.startswith(".") or secret_in_name(path) or not file.is_file():
                continue
            if not file.resolve().is_relative_to(root):
                raise AtelierError(
                    f"{path} is a link to {file.resolve()}, which is outside the folder.",
                    code="link_outside",
                    hint="Copy the file into the folder, or remove the link.",
                )
            yield path


def _local(file: Path, path: str) -> LocalFile:
    digest = hashlib.sha256()
    size = 0
    try:
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        hint = "Change its permissions, or leave it out."
        raise AtelierError(f"{path} cannot be read: {error.strerror}.", code="unreadable", hint=hint) from None
    return LocalFile(file, path, size, f"sha256:{digest.hexdigest()}")


def _changed(path: str) -> AtelierError:
    return AtelierError(
        f"{path} became shorter while it was sent.",
        code="changed_meanwhile",
        hint="Try again when nothing writes to it.",
    )
