"""The artifact store and logs: on a disk, and on an fsspec file system that is none."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier_core.errors import Invalid, NotFound, StorageFull, TooLarge
from atelier_hub.artifacts.logs import LogOffset, LogStore
from atelier_hub.artifacts.store import CHUNK, ArtifactStore


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    url = f"file://{tmp_path}/store" if request.param == "file" else f"memory://{tmp_path.name}"
    store = ArtifactStore(url)
    yield store
    if request.param == "memory" and store.fs.exists(store.root):
        store.fs.rm(store.root, recursive=True)


def _names(store: ArtifactStore, folder: str) -> list[str]:
    path = f"{store.root}/{folder}"
    return store.fs.find(path) if store.fs.exists(path) else []


def test_put_and_read(store: ArtifactStore) -> None:
    data = os.urandom(3 * CHUNK + 17)
    stored = store.put_sync([data[:5], data[5:]])
    assert stored == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    assert b"".join(store.read(stored.digest)) == data
    assert b"".join(store.read(stored.digest, CHUNK - 3, 2 * CHUNK + 9)) == data[CHUNK - 3 : 2 * CHUNK + 9]
    assert b"".join(store.read(stored.digest, len(data) + 5)) == b""
    assert store.size(stored.digest) == len(data)
    assert store.exists(stored.digest)


async def test_put_from_a_request_body(store: ArtifactStore) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 40_000

    stored = await store.put(body())
    assert (stored.size, store.size(stored.digest)) == (4_000_000, 4_000_000)


def test_the_same_content_is_kept_once(store: ArtifactStore) -> None:
    assert store.put_sync([b"abc"]) == store.put_sync([b"a", b"bc"])
    assert len(_names(store, "sha256")) == 1
    assert _names(store, "tmp") == []


def test_delete_twice(store: ArtifactStore) -> None:
    digest = store.put_sync([b"abc"]).digest
    store.delete(digest)
    store.delete(digest)
    assert not store.exists(digest)
    for call in (store.size, store.read):
        with pytest.raises(NotFound):
            call(digest)


@pytest.mark.parametrize("digest", ["", "abc", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "sha256:" + "a" * 65])
def test_only_digests_are_paths(store: ArtifactStore, digest: str) -> None:
    with pytest.raises(Invalid):
        store.read(digest)


async def test_what_breaks_off_leaves_nothing(store: ArtifactStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (2 * CHUNK)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put(broken())
    with pytest.raises(TooLarge):
        store.put_sync([b"x" * 11], limit=10)
    assert _names(store, "tmp") == _names(store, "sha256") == []


class FullStore(ArtifactStore):
    """The real store on a disk on which the last write fails."""

    def place(self, temporary: str, path: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    store = FullStore(f"file://{tmp_path}/store")
    with pytest.raises(StorageFull) as told:
        store.put_sync([b"abc"])
    assert told.value.hint
    with pytest.raises(StorageFull):
        LogStore(store).append("run-step-1", "main-0", 0, b"line\n")
    assert _names(store, "tmp") == []


def test_a_really_full_disk(tmp_path: Path) -> None:
    """The system's own limit on file sizes refuses a write in the middle of a stream."""
    program = """
import resource, signal, sys
from atelier_hub.artifacts.store import ArtifactStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
store = ArtifactStore("file://" + sys.argv[1])
try:
    store.put_sync(b"x" * 1_000_000 for _ in range(10))
except OSError as error:
    print("refused", error.errno, store.fs.find(store.root))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"refused {errno.EFBIG} []"


def test_a_gigabyte_takes_no_memory(tmp_path: Path) -> None:
    store = ArtifactStore(f"file://{tmp_path}/store")
    piece = bytes(CHUNK)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stored = store.put_sync(piece for _ in range(1024))
    read = sum(len(data) for data in store.read(stored.digest))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    store.delete(stored.digest)
    assert (stored.size, read) == (1024**3, 1024**3)
    assert grown < 64 * 1024, f"{grown} KiB more"


LOG: tuple[Any, Any] = ("run-step-1", "main-0")


def test_logs_grow_piece_by_piece(store: ArtifactStore) -> None:
    logs = LogStore(store)
    assert logs.append(*LOG, 0, b"one\n") == 4
    assert logs.append(*LOG, 4, b"two\n") == 8
    assert b"".join(logs.read(*LOG)) == b"one\ntwo\n"
    assert b"".join(logs.read(*LOG, 2)) == b"e\ntwo\n"
    assert b"".join(logs.read(*LOG, 8)) == b""
    assert logs.replicas("run-step-1") == ["main-0"]


@pytest.mark.parametrize("offset", [0, 2, 5, 100])
def test_a_piece_at_the_wrong_place_says_where_to_go_on(store: ArtifactStore, offset: int) -> None:
    logs = LogStore(store)
    logs.append(*LOG, 0, b"one\n")
    with pytest.raises(LogOffset) as told:
        logs.append(*LOG, offset, b"x")
    assert told.value.offset == 4


def test_another_replica_of_the_control_plane_goes_on(store: ArtifactStore) -> None:
    one, two = LogStore(store), LogStore(store)
    one.append(*LOG, 0, b"abc")
    assert two.append(*LOG, 3, b"def") == 6
    # The first does not know the second's piece; the shim repeats itself from where the first believes it is.
    one.append(*LOG, 3, b"defghi")
    assert b"".join(one.read(*LOG)) == b"".join(two.read(*LOG)) == b"abcdefghi"
    assert LogStore(store).end(*LOG) == 9


def test_compaction_keeps_every_byte_even_when_cut_short(store: ArtifactStore) -> None:
    logs = LogStore(store)
    text = b"".join(b"line %d\n" % n for n in range(300))
    for offset in range(0, len(text), 100):
        logs.append(*LOG, offset, text[offset : offset + 100])
    whole = f"{store.root}/logs/run-step-1/main-0/{0:015d}-{len(text)}"
    logs._write(whole, [text])  # as if the process had died before the small pieces were removed
    assert b"".join(logs.read(*LOG, 7)) == text[7:]
    logs.compact(*LOG)
    logs.compact(*LOG)
    assert len(_names(store, "logs")) == 1
    assert b"".join(logs.read(*LOG)) == text
    assert logs.append(*LOG, len(text), b"more") == len(text) + 4


def test_what_is_read_while_many_pieces_become_one_is_whole(store: ArtifactStore) -> None:
    logs = LogStore(store)
    for at, data in enumerate([b"one ", b"two ", b"six "]):
        logs.append(*LOG, 4 * at, data)
    reading = logs.read(*LOG)
    first = next(reading)
    logs.compact(*LOG)
    assert first + b"".join(reading) == b"one two six "
    reading = logs.read(*LOG, 4)
    assert next(reading) == b"two six "
    logs.append(*LOG, 12, b"ten ")
    logs.append(*LOG, 16, b"end ")
    reading = logs.read(*LOG)
    assert next(reading) == b"one two six "
    logs.delete(LOG[0])
    with pytest.raises(FileNotFoundError):
        next(reading)


def test_logs_are_deleted_and_names_checked(store: ArtifactStore) -> None:
    logs = LogStore(store)
    logs.append(*LOG, 0, b"x")
    logs.delete("run-step-1")
    logs.delete("run-step-1")
    assert logs.end(*LOG) == 0
    for bad in ("..", "a/b", "", ".x"):
        with pytest.raises(Invalid):
            logs.end(bad, "main-0")


def _text(logs: LogStore, replica: str = "main-0", start: int = 0) -> bytes:
    return b"".join(logs.read("a-1", replica, start))


def test_logs_of_an_attempt_end_at_the_limit_with_a_line(store: ArtifactStore) -> None:
    logs = LogStore(store, limit=100)
    assert logs.append("a-1", "main-0", 0, b"x" * 60) == 60
    assert logs.append("a-1", "main-1", 0, b"y" * 30) == 30
    assert logs.append("a-1", "main-0", 60, b"z" * 20) == 80  # taken, though only half of it is kept
    assert logs.append("a-1", "main-0", 80, b"z" * 20) == 100  # and so is whatever follows
    assert logs.append("a-1", "main-1", 30, b"y") == 31
    for again in (logs, LogStore(store, limit=100)):  # also for a process that was started later
        text = _text(again)
        kept, line = text[:70], text[70:]
        assert kept == b"x" * 60 + b"z" * 10 and b"have reached 100 bytes" in line and line.endswith(b"]\n")
        assert [_text(again, start=at) for at in (65, 75, len(text))] == [text[65:], text[75:], b""]
        assert _text(again, "main-1").startswith(b"y" * 30 + b"\n[Atelier")
        assert again.append("a-1", "main-0", 500, b"more") == 504
        assert again.append("a-2", "main-0", 0, b"another attempt") == 15
        again.delete("a-2")
        again.compact("a-1", "main-0")
        assert _text(again) == text and len(_names(store, "logs/a-1/main-0")) == 2
    logs.delete("a-1")
    assert _text(logs) == b"" and logs.append("a-1", "main-0", 0, b"new") == 3


def test_a_log_of_exactly_the_limit_has_no_line(store: ArtifactStore) -> None:
    logs = LogStore(store, limit=10)
    logs.append("a-1", "main-0", 0, b"0123456789")
    assert _text(logs) == b"0123456789"
