"""Files of datasets on their way to a reader: whole or in part, and never as a page that a browser would trust."""

from __future__ import annotations

import mimetypes
import re

from fastapi.responses import StreamingResponse

from atelier_core.errors import Invalid
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.features.datasets.service import DatasetFile

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# What a browser may know of a file: media and plain text. Everything else is just bytes.
_SHOWN = re.compile(r"(image|audio|video)/[a-z0-9.+-]+|text/plain|application/pdf")


def media_type(path: str) -> str:
    """What kind of file it is, by its name."""
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def answer(store: ArtifactStore, file: DatasetFile, asked: str) -> StreamingResponse:
    """The file, or the one part of it that is asked for; several parts at once are not given."""
    kind = media_type(file.path)
    name = file.path.rsplit("/", 1)[-1].encode("ascii", "replace").decode().replace('"', "").replace("\\", "")
    headers = {
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Accept-Ranges": "bytes",
        # A content never changes, but who may see it does.
        "Cache-Control": "private, no-cache",
        "ETag": f'"{file.digest}"',
    }
    start, end, status = 0, file.size, 200
    found = _RANGE.fullmatch(asked.strip())
    if found and (found[1] or found[2]):
        start, end = _bounds(found[1], found[2], file.size)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        status = 206
    headers["Content-Length"] = str(end - start)
    media = kind if _SHOWN.fullmatch(kind) else "application/octet-stream"
    return StreamingResponse(store.read(file.digest, start, end), status, headers=headers, media_type=media)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise Invalid(f"The file has {size} bytes.", code="range_not_satisfiable", hint="Ask for a part that is there.")
    return start, end
