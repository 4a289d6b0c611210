"""Folders as tar streams: equal content is equal, and nothing gets out of a folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from atelier_runtime import archive


def _unpack(data: bytes, target: Path) -> None:
    target.mkdir()
    archive.unpack(io.BytesIO(data), str(target))


def _made(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 3 if kind == tarfile.REGTYPE else 0
    return info


def test_round_trip(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a b" / "empty").mkdir(parents=True)
    (source / "a b" / "ü.txt").write_text("text")
    (source / ("n" * 150)).write_bytes(b"\0" * 3000)
    (source / "run").write_text("#!")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("a b/ü.txt")
    (source / "absolute").symlink_to(source / "run")
    os.mkfifo(source / "pipe")
    _unpack(b"".join(archive.pack(str(source))), tmp_path / "target")
    target = tmp_path / "target"
    assert (target / "a b" / "ü.txt").read_text() == (target / "link").read_text() == "text"
    assert (target / "absolute").read_text() == "#!"
    assert not os.path.isabs(os.readlink(target / "absolute"))
    assert (target / ("n" * 150)).stat().st_size == 3000
    assert (target / "run").stat().st_mode & 0o100 and not (target / "link").stat().st_mode & 0o100
    assert (target / "a b" / "empty").is_dir()
    assert not (target / "pipe").exists()


def test_equal_content_is_equal(tmp_path: Path) -> None:
    for name, order in (("one", "ab"), ("two", "ba")):
        (tmp_path / name).mkdir()
        for letter in order:
            (tmp_path / name / letter).write_text(letter)
        os.utime(tmp_path / name / "a", (len(order), ord(name[0])))
    one, two = (b"".join(archive.pack(str(tmp_path / name))) for name in ("one", "two"))
    assert one == two


def test_a_link_out_of_the_folder_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "out").symlink_to("/etc/hostname")
    with pytest.raises(archive.BadArchive):
        list(archive.pack(str(tmp_path / "folder")))


@pytest.mark.parametrize(
    "members",
    [
        [_member("../out")],
        [_member("/tmp/out")],
        [_member("a/../../out")],
        [_member("link", tarfile.SYMTYPE, "/tmp")],
        [_member("link", tarfile.SYMTYPE, "..")],
        [_member("hard", tarfile.LNKTYPE, "../secret")],
        [_member("device", tarfile.CHRTYPE)],
        [_member("fifo", tarfile.FIFOTYPE)],
        [_member("x", tarfile.SYMTYPE, "y/../secret"), _member("y", tarfile.SYMTYPE, ".")],
        [_member("a/b/x", tarfile.SYMTYPE, "../../y"), _member("hard", tarfile.LNKTYPE, "a/b/x")],
        [_member("x", tarfile.SYMTYPE, "y/z"), _member("y", tarfile.SYMTYPE, ".."), _member("x/out")],
    ],
)
def test_refused(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    with pytest.raises(archive.BadArchive):
        _unpack(_made(*members), tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "target"]
    assert all(archive.inside(str(tmp_path / "target"), str(path)) for path in (tmp_path / "target").rglob("*"))


def test_a_file_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    _unpack(_made(_member("a"), _member("b", tarfile.SYMTYPE, "a"), _member("b")), tmp_path / "target")
    assert not (tmp_path / "target" / "b").is_symlink()


def test_damaged(tmp_path: Path) -> None:
    with pytest.raises(archive.BadArchive):
        _unpack(_made(_member("a"))[:700], tmp_path / "target")
