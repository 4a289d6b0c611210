"""Layers of container images: reproducible tar files in a content-addressed store."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .settings import IMAGES

BLOBS = IMAGES / "blobs"
RECIPES = IMAGES / "recipes"


@dataclass(frozen=True)
class Layer:
    """One uncompressed tar, known by its content (so digest and diff id are the same)."""

    digest: str
    size: int

    @property
    def path(self) -> Path:
        return BLOBS / self.digest.replace(":", "-")


def made_once(recipe: object, make: Callable[[Path], None]) -> Layer:
    """The layer of a recipe: from the store, or made now by `make(tar_path)`; who else wants it meanwhile waits."""
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    note = RECIPES / f"{key}.json"
    RECIPES.mkdir(parents=True, exist_ok=True)
    with note.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if note.exists():
            layer = Layer(**json.loads(note.read_text()))
            if layer.path.exists():
                return layer
        with tempfile.TemporaryDirectory(dir=IMAGES) as work:
            tar = Path(work) / "layer.tar"
            make(tar)
            layer = store(tar)
        note.write_text(json.dumps(asdict(layer)))
        return layer


def store(tar: Path) -> Layer:
    """Move a tar file into the store."""
    BLOBS.mkdir(parents=True, exist_ok=True)
    with tar.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    layer = Layer(f"sha256:{digest}", tar.stat().st_size)
    tar.chmod(0o644)
    tar.replace(layer.path)
    return layer


def pack_tree(root: Path, tar: Path, inside: str = "") -> None:
    """Pack a folder: sorted, owned by root, without times, so that equal content is an equal layer."""
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as archive:
        for parent in list(Path(inside).parents)[::-1][1:] + ([Path(inside)] if inside else []):
            archive.addfile(_folder(str(parent)))
        for folder, names, files in os.walk(root):
            names.sort()
            links = [name for name in names if (Path(folder) / name).is_symlink()]
            for name in sorted(files + [name for name in names if name not in links] + links):
                path = Path(folder) / name
                archive.add(path, str(Path(inside) / path.relative_to(root)), recursive=False, filter=_plain)


def pack_files(files: Mapping[str, bytes | Path], tar: Path) -> None:
    """Pack single files, given as `path in the image → content or file`; modes of files are kept."""
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as archive:
        seen: set[str] = set()
        for target in sorted(files):
            name = target.strip("/")
            for parent in list(Path(name).parents)[::-1][1:]:
                if str(parent) not in seen:
                    archive.addfile(_folder(str(parent)))
                    seen.add(str(parent))
            source = files[target]
            data = source.read_bytes() if isinstance(source, Path) else source
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = source.stat().st_mode & 0o777 if isinstance(source, Path) else 0o644
            archive.addfile(member, io.BytesIO(data))


def fingerprint(root: Path) -> str:
    """A hash over names, modes and contents of a folder: the recipe of a packed tree."""
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        total.update(f"{path.relative_to(root)} {path.lstat().st_mode:o}\n".encode())
        if path.is_symlink():
            total.update(os.readlink(path).encode())
        elif path.is_file():
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    return member


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
