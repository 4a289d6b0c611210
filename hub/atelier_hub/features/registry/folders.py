"""Model folders: from an artifact or an uploaded folder to contents by digest, and what they say of themselves."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from atelier_core import json_values
from atelier_core.dataset import ManifestFile, check_manifest, manifest_digest
from atelier_core.errors import Invalid
from atelier_hub.artifacts.store import CHUNK, ArtifactStore
from atelier_hub.artifacts.tars import Member, open_tar

DESCRIPTION, OWN = "MLmodel", "model.json"
_LARGEST_TEXT = 4 * 1024**2
_SUFFIXES = {
    ".onnx": "onnx",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".ubj": "xgboost",
    ".pt": "pytorch",
    ".txt": "lightgbm",
}
_FRAMEWORK = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_FRAMEWORKS = ("sklearn", "xgboost", "lightgbm", "onnx", "pytorch", "tensorflow", "keras", "transformers", "spark")


@dataclass(frozen=True)
class Folder:
    """A model folder whose contents are stored."""

    files: tuple[Member, ...]
    manifest: str
    framework: str = ""
    flavors: tuple[str, ...] = ()
    signature: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def unpack(store: ArtifactStore, digest: str, kind: str, name: str) -> list[Member]:
    """The files of a stored artifact as stored contents; a bare file keeps its `name`."""
    if kind != "folder":
        return [Member(name, store.size(digest), digest)]
    files = []
    try:
        with open_tar(store.read(digest), "r|") as tar:
            for member in tar:
                if member.isfile():
                    stored = store.put_sync(_pieces(tar, member))
                    files.append(Member(member.name.removeprefix("./"), stored.size, stored.digest))
                elif not member.isdir():
                    raise _bad(f"{member.name[:100]!r} is neither a file nor a folder.")
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
    except (tarfile.TarError, EOFError) as error:
        raise _bad(f"The stored folder cannot be read: {error}.") from error
    return files


def _pieces(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    content = tar.extractfile(member)
    while content is not None and (piece := content.read(CHUNK)):
        yield piece


def describe(store: ArtifactStore, files: Sequence[Member]) -> Folder:
    """What a folder is, by its description, or by the name of its only file. `Invalid` if it is no model."""
    ordered = check_manifest([ManifestFile(*file) for file in files])
    members, manifest = tuple(Member(*file) for file in ordered), manifest_digest(ordered)
    by_path = {file.path: file for file in members}
    if DESCRIPTION in by_path:
        text = _text(store, by_path[DESCRIPTION])
        flavors, signature = _read_description(text)
        framework = _own_framework(store, by_path) or next((one for one in _FRAMEWORKS if one in flavors), "")
        return Folder(members, manifest, framework, tuple(flavors), signature)
    framework = _by_name(members)
    if not framework:
        raise _bad("It has no file MLmodel, and no file whose name says what it is (model.onnx, model.joblib, …).")
    return Folder(members, manifest, framework, (framework,))


def _by_name(files: Sequence[Member]) -> str:
    if any(file.path.rsplit("/", 1)[-1] == "saved_model.pb" for file in files):
        return "tensorflow"
    at_the_top = [file.path for file in files if "/" not in file.path]
    found = {kind for path in at_the_top for suffix, kind in _SUFFIXES.items() if path.endswith(suffix)}
    known = [kind for kind in _SUFFIXES.values() if kind in found and not (kind == "lightgbm" and len(found) > 1)]
    return known[0] if known else ""


def _read_description(text: str) -> tuple[list[str], dict[str, Any]]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _bad(f"MLmodel is not YAML: {str(error)[:200]}") from error
    if not isinstance(found, dict) or not isinstance(found.get("flavors"), dict):
        raise _bad("MLmodel names no flavors.")
    flavors = sorted(flavor for flavor in found["flavors"] if isinstance(flavor, str) and _FRAMEWORK.fullmatch(flavor))
    given = found.get("signature")
    signature = {}
    if isinstance(given, dict):
        for side in ("inputs", "outputs", "params"):
            signature[side] = _columns(given.get(side))
    return flavors, signature


def _columns(given: Any) -> Any:
    """A side of a signature, which MLflow writes as a JSON text; anything else may be larger than it looks."""
    try:
        found = json_values.storable(json.loads(given)) if isinstance(given, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _own_framework(store: ArtifactStore, by_path: Mapping[str, Member]) -> str:
    if OWN not in by_path:
        return ""
    try:
        found = json.loads(_text(store, by_path[OWN]))
    except (ValueError, RecursionError):
        raise _bad("model.json is not JSON.") from None
    framework = found.get("framework") if isinstance(found, dict) else None
    return framework if isinstance(framework, str) and _FRAMEWORK.fullmatch(framework) else ""


def _text(store: ArtifactStore, file: Member) -> str:
    if file.size > _LARGEST_TEXT:
        raise _bad(f"{file.path} has {file.size / 1024**2:,.0f} MB, more than a description needs.")
    return b"".join(store.read(file.digest)).decode("utf-8", "replace")


def _bad(why: str) -> Invalid:
    return Invalid(
        f"This is not a model that can be registered. {why}",
        code="not_a_model",
        hint="Register the model output of a trainer, a folder that mlflow.*.save_model wrote, or one model file.",
    )
