"""Datasets: names, references (`dataset:name@version`) and manifests, the immutable lists of a version's files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from atelier_core.errors import Invalid

DATASET_NAME = re.compile(r"[a-z][a-z0-9._-]{0,59}")
REFERENCE_PREFIX = "dataset:"
MAX_FILES = 50_000
MAX_PATH = 1000
MAX_PREVIEW_ROWS = 1000
_REFERENCE = re.compile(rf"{REFERENCE_PREFIX}({DATASET_NAME.pattern})(?:@([1-9]\d{{0,8}}))?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Kind = Literal["file", "folder", "uri"]
"""What a version is: one file, a folder of files, or an address whose content is kept by somebody else."""


class DatasetReference(NamedTuple):
    """A dataset by name; without a version the newest one at the moment of use."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return f"{REFERENCE_PREFIX}{self.name}" + (f"@{self.version}" if self.version is not None else "")


class FoundDataset(NamedTuple):
    """What a reference leads to at this moment."""

    version: int
    kind: Kind
    uri: str = ""


Resolver = Callable[[DatasetReference], FoundDataset | None]
"""Finds a dataset of the project that somebody works in."""


class ManifestFile(NamedTuple):
    """One file of a version, by its path in the dataset and its content."""

    path: str
    size: int
    digest: str


def check_name(name: str) -> str:
    """Return `name` if a dataset may be called that."""
    if not DATASET_NAME.fullmatch(name):
        raise Invalid(
            f"{name[:100]!r} is not a name for a dataset.",
            code="bad_name",
            hint="Use 1 to 60 lower-case letters, digits, dots, dashes and underscores; start with a letter.",
        )
    return name


def parse_reference(text: str) -> DatasetReference | None:
    """The dataset that a text names; None if it does not begin like a reference. `Invalid` if it is a broken one."""
    if not text.startswith(REFERENCE_PREFIX):
        return None
    found = _REFERENCE.fullmatch(text.strip())
    if found is None:
        raise Invalid(
            f"{text[:100]!r} is not a reference to a dataset.",
            code="bad_reference",
            hint="Write dataset:NAME or dataset:NAME@VERSION, for example dataset:iris@2.",
        )
    return DatasetReference(found[1], int(found[2]) if found[2] else None)


def check_manifest(files: Sequence[ManifestFile]) -> list[ManifestFile]:
    """The files in order of their paths; `Invalid` if they could not lie in one folder."""
    if not files:
        raise Invalid("A version needs at least one file.", code="bad_manifest", hint="Add files, or register a URI.")
    if len(files) > MAX_FILES:
        raise Invalid(
            f"{len(files):,} files are more than the {MAX_FILES:,} of one version.",
            code="bad_manifest",
            hint="Pack small files together: Parquet, WebDataset or tar files.",
        )
    ordered = sorted(files)
    for file in ordered:
        _check_file(file)
    _check_places([file.path for file in ordered])
    return ordered


def _check_file(file: ManifestFile) -> None:
    shown = repr(file.path[:100])
    parts = file.path.split("/")
    if not file.path or len(file.path) > MAX_PATH or any(part in {"", ".", ".."} for part in parts):
        raise _bad(f"{shown} is not a path inside a folder.", "Use relative paths with / between names.")
    if "\\" in file.path or not file.path.isprintable() or any(len(part.encode()) > 255 for part in parts):
        raise _bad(f"{shown} cannot be the name of a file everywhere.", "Rename the file.")
    if file.size < 0 or not _DIGEST.fullmatch(file.digest):
        raise _bad(f"The size or the digest of {shown} is not right.", "A digest is sha256:<64 hex digits>.")


def _check_places(paths: Iterable[str]) -> None:
    taken: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in taken:
            raise _bad(f"{path[:100]!r} comes twice.", "Name each file once.")
        taken.add(path)
        parts = path.split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    for path in sorted(taken & folders):
        raise _bad(f"{path[:100]!r} is a file and a folder.", "Rename one of them.")


def _bad(message: str, hint: str) -> Invalid:
    return Invalid(message, code="bad_manifest", hint=hint)


def kind_of(files: Sequence[ManifestFile]) -> Kind:
    """A single file at the top is the dataset itself; anything else is a folder."""
    return "file" if len(files) == 1 and "/" not in files[0].path else "folder"


def manifest_digest(files: Sequence[ManifestFile]) -> str:
    """The identity of a version: equal for equal files, whoever registers them and when."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(json.dumps(file, separators=(",", ":")).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def check_uri(uri: str) -> str:
    """Return `uri` if it is an address that carries no password."""
    try:
        parts = urlsplit(uri)
        good = bool(parts.scheme and (parts.netloc or parts.path)) and parts.scheme != "file" and uri.isprintable()
        secret = parts.password is not None
    except ValueError:
        good = secret = False
    if not good or any(mark.isspace() for mark in uri):
        raise Invalid(
            f"{uri[:100]!r} is not the address of a dataset.",
            code="bad_uri",
            hint="Write it with its scheme, for example s3://bucket/folder or https://example.org/data.csv.",
        )
    if secret:
        raise Invalid(
            "The address holds a password, which everybody in the project could read.",
            code="bad_uri",
            hint="Leave it out and keep it as a secret of the project.",
        )
    return uri
