"""A folder packs to the same bytes everywhere, and what must not leave the machine does not."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from atelier_sdk import Snapshot, SnapshotError
from atelier_sdk import pack as pack_folder

Pack = Callable[..., Snapshot]


@pytest.fixture
def pack() -> Iterator[Pack]:
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(pack_folder(*arguments, **options))


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def test_same_content_gives_same_bytes_whenever_and_wherever_it_was_written(tmp_path: Path, pack: Pack) -> None:
    first = _write(tmp_path / "one", {"b.py": "print(2)", "a/c.py": "print(3)", "a.py": "print(1)"})
    second = _write(tmp_path / "two", {"a.py": "print(1)", "a/c.py": "print(3)", "b.py": "print(2)"})
    for file in second.rglob("*"):
        os.utime(file, (1, 1))
    second.joinpath("b.py").chmod(0o600)

    one, two = pack(first), pack(second)

    assert one.digest == two.digest
    assert one.digest == "sha256:" + hashlib.sha256(one.open().read()).hexdigest()
    assert one.size == len(one.open().read())
    with tarfile.open(fileobj=one.open()) as archive:
        assert archive.getnames() == ["a.py", "a/c.py", "b.py"]
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in archive} == {(0, 0, 0, "")}


def test_execute_bit_counts(tmp_path: Path, pack: Pack) -> None:
    _write(tmp_path, {"run.sh": "true"})
    plain = pack(tmp_path).digest
    (tmp_path / "run.sh").chmod(0o755)
    assert pack(tmp_path).digest != plain


def test_ignore_files_work_as_in_git(tmp_path: Path, pack: Pack) -> None:
    _write(
        tmp_path,
        {
            ".gitignore": "*.csv\n!keep.csv\n/only-root.txt\nbuild/\n",
            "sub/.gitignore": "!again.csv\n",
            ".atelierignore": "notes.md\n",
            "data.csv": "",
            "keep.csv": "",
            "only-root.txt": "",
            "sub/only-root.txt": "",
            "sub/again.csv": "",
            "sub/other.csv": "",
            "build/keep.csv": "",
            "notes.md": "",
            "__pycache__/a.pyc": "",
            ".git/config": "",
            "main.py": "",
        },
    )
    assert pack(tmp_path).files == [
        ".atelierignore",
        ".gitignore",
        "keep.csv",
        "main.py",
        "sub/.gitignore",
        "sub/again.csv",
        "sub/only-root.txt",
    ]


GITHUB = "ghp_" + "a1B2" * 9
AWS = "AKIA" + "ABCDEFGH12345678"
KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nabc"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "A=1"),
        ("conf/.env.production", "A=1"),
        ("id_rsa", "x"),
        ("certs/server.pem", "x"),
        (".ssh/config", "x"),
        ("innocent.txt", KEY),
        ("train.py", f'TOKEN = "{GITHUB}"'),
        ("settings.ini", f"key={AWS}"),
    ],
)
def test_secrets_stay_and_are_named(tmp_path: Path, name: str, text: str, pack: Pack) -> None:
    _write(tmp_path, {name: text, "main.py": "print(1)", ".env.example": "A="})
    snapshot = pack(tmp_path)
    assert list(snapshot.secrets) == [name]
    assert snapshot.files == [".env.example", "main.py"]
    unpacked = gzip.decompress(snapshot.open().read())
    assert text.encode() not in unpacked or len(text) < 5


def test_a_link_cannot_smuggle_a_secret_under_another_name(tmp_path: Path, pack: Pack) -> None:
    _write(tmp_path, {".env": "PASSWORD=hush", "main.py": ""})
    (tmp_path / "config.txt").symlink_to(".env")
    snapshot = pack(tmp_path)
    assert sorted(snapshot.secrets) == [".env", "config.txt"]
    assert b"hush" not in gzip.decompress(snapshot.open().read())


def test_links_inside_are_packed_as_files(tmp_path: Path, pack: Pack) -> None:
    _write(tmp_path, {"data/a.txt": "hello"})
    (tmp_path / "b.txt").symlink_to("data/a.txt")
    with tarfile.open(fileobj=pack(tmp_path).open()) as archive:
        member = archive.extractfile("b.txt")
        assert member is not None
        assert member.read() == b"hello"


@pytest.mark.parametrize(
    ("target", "code"),
    [("../outside.txt", "link_outside"), ("..", "link_outside"), ("nowhere", "broken_link"), ("sub", "link_to_folder")],
)
def test_other_links_are_refused_with_a_way_out(tmp_path: Path, target: str, code: str, pack: Pack) -> None:
    (tmp_path / "outside.txt").write_text("private")
    folder = _write(tmp_path / "pipeline", {"main.py": "", "sub/x": ""})
    (folder / "link").symlink_to(target)
    with pytest.raises(SnapshotError) as caught:
        pack(folder)
    assert caught.value.code == code
    assert ".atelierignore" in caught.value.hint

    (folder / ".atelierignore").write_text("/link\n")
    assert "link" not in pack(folder).files


def test_a_loop_of_links_ends(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(SnapshotError, match="link to nothing"):
        pack(tmp_path)


def test_too_much_names_the_biggest(tmp_path: Path, pack: Pack) -> None:
    _write(tmp_path, {"main.py": "print(1)", "small.bin": "x" * 10, "big.bin": "x" * 5000})
    with pytest.raises(SnapshotError, match=r"The biggest: big\.bin") as caught:
        pack(tmp_path, limit=1000)
    assert caught.value.code == "too_large"
    (tmp_path / ".atelierignore").write_text("big.bin\n")
    assert "big.bin" not in pack(tmp_path, limit=1000).files


def test_odd_names_survive(tmp_path: Path, pack: Pack) -> None:
    names = ["with space.py", "ünïcode.py", "x" * 200 + ".py", "line\nbreak.py", "-dash.py"]
    _write(tmp_path, dict.fromkeys(names, "x"))
    with tarfile.open(fileobj=pack(tmp_path).open()) as archive:
        assert sorted(archive.getnames()) == sorted(names)


def test_what_is_no_file_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack) -> None:
    _write(tmp_path, {"main.py": ""})
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert pack(tmp_path).files == ["main.py"]


def test_no_folder(tmp_path: Path, pack: Pack) -> None:
    with pytest.raises(SnapshotError, match="not a folder"):
        pack(tmp_path / "nothing")
