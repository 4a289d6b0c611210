"""A sample of the requests, as lines of JSON: bounded files for each service, none of it older than `KEPT_SECONDS`."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

log = logging.getLogger(__name__)
MOST_BYTES = 4 * 1024**2
MOST_BODY = 64 * 1024
MOST_OPEN = 64
FORGET_SECONDS = 24 * 3600
KEPT_SECONDS = 7 * 24 * 3600
_PIECE = 256 * 1024
_ENDING = ".jsonl"


class RequestLog:
    """Writes and reads them below `folder`. Two files of `most_bytes` are kept for each service."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most = most_bytes
        self._files: dict[str, BinaryIO] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, service: str, entry: dict[str, Any]) -> None:
        """Add a line. It is on the disk after `flush`; a full disk costs log lines, never a request."""
        try:
            file = self._files.get(service) or self._open(service)
            file.write(json.dumps(entry, ensure_ascii=False).encode(errors="replace") + b"\n")
            if file.tell() > self._most:
                self._rotate(service)
        except OSError as error:
            self._give_up(service, error)

    def flush(self) -> None:
        """Hand what was written to the system."""
        for service, file in list(self._files.items()):
            try:
                file.flush()
            except OSError as error:
                self._give_up(service, error)

    def read(self, service: str, limit: int) -> list[dict[str, Any]]:
        """The newest lines first."""
        found: list[dict[str, Any]] = []
        for path in (self._path(service), self._old(service)):
            if len(found) >= limit or not path.exists():
                continue
            for line in reversed(path.read_bytes().splitlines()):
                entry = _parse(line)
                if entry is not None:
                    found.append(entry)
                if len(found) >= limit:
                    break
        return found

    def pieces(self, service: str) -> Iterator[bytes]:
        """All lines as they are on the disk, the oldest first: reading them is left to whoever asked."""
        for path in (self._old(service), self._path(service)):
            try:
                with path.open("rb") as file:
                    while piece := file.read(_PIECE):
                        yield piece
            except FileNotFoundError:
                continue

    def age(self, now: float) -> None:
        """Begin new files and remove old ones, so that what people sent is gone after `KEPT_SECONDS`."""
        for service in [unquote(path.name.removesuffix(_ENDING)) for path in self._folder.glob(f"*{_ENDING}")]:
            if _begun(self._path(service)) < now - KEPT_SECONDS / 2:
                self._rotate(service)
        for path in self._folder.glob(f"*{_ENDING}.1"):
            if path.stat().st_mtime < now - KEPT_SECONDS / 2:
                path.unlink(missing_ok=True)

    def keep(self, services: Collection[str]) -> None:
        """Remove the logs of services that have been gone for a day."""
        names = {self._path(service).stem for service in services}
        oldest = time.time() - FORGET_SECONDS
        for path in self._folder.iterdir():
            if path.name.partition(_ENDING)[0] not in names and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Flush and let go of the files."""
        self.flush()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _open(self, service: str) -> BinaryIO:
        if len(self._files) >= MOST_OPEN:
            self.close()
        self._files[service] = self._path(service).open("ab")
        return self._files[service]

    def _rotate(self, service: str) -> None:
        file = self._files.pop(service, None)
        if file is not None:
            file.close()
        self._path(service).replace(self._old(service))

    def _give_up(self, service: str, error: OSError) -> None:
        log.warning("the request log of %s cannot be written: %s", service, error)
        file = self._files.pop(service, None)
        if file is not None:
            try:
                file.close()
            except OSError:
                log.debug("what was not written yet is lost")

    def _path(self, service: str) -> Path:
        return self._folder / f"{quote(service, safe='')}{_ENDING}"

    def _old(self, service: str) -> Path:
        return self._path(service).with_suffix(f"{_ENDING}.1")


def _begun(path: Path) -> float:
    """When its first line was written."""
    with path.open("rb") as file:
        entry = _parse(file.readline())
    moment = entry.get("time") if entry else None
    return moment if isinstance(moment, float | int) else path.stat().st_mtime


def _parse(line: bytes) -> dict[str, Any] | None:
    """A whole line; none for one that a killed gateway left half-written."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def shown(body: bytes) -> dict[str, Any]:
    """A body in a log line: as text if it is text, cut where it is long."""
    cut = body[:MOST_BODY]
    found: dict[str, Any] = {"bytes": len(body)}
    try:
        found["text"] = cut.decode()
    except UnicodeDecodeError:
        found["base64"] = base64.b64encode(cut).decode()
    return found
