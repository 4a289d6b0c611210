"""A look into a file of a dataset. Somebody else made the file: it is read by a process of its own, with limits."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any, Literal

from pydantic import BaseModel

from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.features.datasets.contents import media_type
from atelier_hub.features.datasets.service import DatasetFile

log = logging.getLogger(__name__)
SECONDS = 30
_MAX_ANSWER = 16 * 1024**2


class Column(BaseModel):
    """A column of a table, with its type in the words of Apache Arrow."""

    name: str
    type: str


class Preview(BaseModel):
    """What is in a file.

    By `kind`: table has `columns` and `rows` (and `total`, where that is known without reading all), text has `text`;
    of image, audio, video and binary the content itself says more. `more` means that the file goes on after what is
    shown. `problem` says why something cannot be shown.
    """

    kind: Literal["table", "text", "image", "audio", "video", "binary"]
    media_type: str
    size: int
    columns: list[Column] = []
    rows: list[list[Any]] = []
    total: int | None = None
    text: str = ""
    more: bool = False
    problem: str = ""


def look(store: ArtifactStore, file: DatasetFile, rows: int) -> Preview:
    """Look into a file; one that cannot be read is a preview that says so."""
    media = media_type(file.path)
    medium = media.partition("/")[0]
    if medium in {"image", "audio", "video"}:
        return Preview(kind=medium, media_type=media, size=file.size)  # type: ignore[arg-type]
    found = _read(store, file, rows)
    return Preview(media_type=media, size=file.size, **found)


def _read(store: ArtifactStore, file: DatasetFile, rows: int) -> dict[str, Any]:
    place = store.path(file.digest)
    task = {
        "url": "" if store.local else store.fs.unstrip_protocol(place),
        "path": place,
        "name": file.path,
        "rows": rows,
    }
    command = [sys.executable, "-m", "atelier_hub.features.datasets.reader"]
    try:
        done = subprocess.run(
            command, input=json.dumps(task).encode(), capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return _unreadable("looking into it takes too long")
    if done.returncode or len(done.stdout) > _MAX_ANSWER:
        log.info("no preview of %s: %s", file.digest, done.stderr[-500:].decode(errors="replace"))
        return _unreadable("it is damaged, or its parts are too large to be shown")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _unreadable(why: str) -> dict[str, Any]:
    return {"kind": "binary", "problem": f"There is no preview: {why}."}
