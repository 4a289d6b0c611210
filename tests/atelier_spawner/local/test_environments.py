"""Lock files realised as environments."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from atelier_core.errors import AtelierError, Invalid
from atelier_core.image import Image
from atelier_runtime import process
from atelier_spawner.local import interpreters
from atelier_spawner.local.environments import Environments

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def _environments(folder: Path, lock: str | None, python: str = VERSION, **more: Any) -> Environments:
    path = folder / "lock.txt"
    if lock is not None:
        path.write_text(lock)
    image = Image(
        name="small", reference="registry/small", python=python, lock=path if lock is not None else None, **more
    )
    return Environments(folder / "envs", {"small": image})


async def test_built_once_by_whoever_asks(tmp_path: Path) -> None:
    several = [_environments(tmp_path, "# nothing\n") for _ in range(3)]
    found = await asyncio.gather(*(each.ready("small") for each in several), several[0].ready("registry/small"))
    assert len(set(found)) == 1
    assert not [path for path in (tmp_path / "envs").iterdir() if path.name.startswith(".")]
    code = "import sys; print(sys.prefix, '%d.%d' % sys.version_info[:2])"
    seen = subprocess.run([found[0] / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == [str(found[0]), VERSION]


async def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    environments = _environments(tmp_path, "# one\n")
    one = await environments.ready("small")
    (tmp_path / "lock.txt").write_text("# another\n")
    assert await environments.ready("small") != one


async def test_what_was_cut_short_is_built_again(tmp_path: Path) -> None:
    path = await _environments(tmp_path, "# nothing\n").ready("small")
    (path / ".complete").unlink()
    (path / "bin" / "python").unlink()
    assert await _environments(tmp_path, "# nothing\n").ready("small") == path
    assert (path / "bin" / "python").exists()


async def test_a_build_that_is_given_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither uv, which waits for an index that does not answer, nor its folder."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.setblocking(False)
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{index.getsockname()[1]}/simple")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        environments = _environments(tmp_path, f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
        build = asyncio.create_task(environments.ready("small"))
        connection, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(index), 30)
        assert _mentioning(tmp_path)
        build.cancel()
        await asyncio.gather(build, return_exceptions=True)
        connection.close()
    assert _mentioning(tmp_path) == []
    assert [path.name for path in (tmp_path / "envs").iterdir() if path.is_dir()] == []


def _mentioning(folder: Path) -> list[str]:
    """The commands that run and name something below `folder`."""
    commands = [_command(pid) for pid in process.all_pids()]
    return [command for command in commands if str(folder) in command]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


async def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    """But not what somebody builds now."""
    path = await _environments(tmp_path, "# nothing\n").ready("small")
    (path / ".complete").unlink()
    names = [f".{path.name}-left", f".{'0' * 24}-left", f".{'1' * 24}-busy"]
    for name in names:
        (path.parent / name / "env").mkdir(parents=True)
    with (path.parent / f"{'1' * 24}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await _environments(tmp_path, "# nothing\n").ready("small")
    assert [(path.parent / name).exists() for name in names] == [False, False, True]


async def test_a_lock_without_hashes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        await _environments(tmp_path, "six==1.17.0\n").ready("small")
    assert "hash" in caught.value.message.lower()
    assert [path.name for path in (tmp_path / "envs").iterdir() if path.is_dir()] == []


async def test_cluster_only(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        await _environments(tmp_path, None).ready("small")
    assert caught.value.code == "cluster_only"


async def test_a_lock_that_fits_several_pythons_takes_the_one_that_is_there(tmp_path: Path) -> None:
    environments = _environments(tmp_path, "# nothing\n", python="3.2", other_pythons=("3.3", VERSION))
    path = await environments.ready("small")
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    seen = subprocess.run([path / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == VERSION
    assert path == await _environments(tmp_path, "# nothing\n").ready("small")  # named by what it really is


async def test_a_python_that_is_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(AtelierError) as caught:
        await _environments(tmp_path, "# nothing\n", python="3.2").ready("small")
    assert caught.value.code == "no_python" and "Python 3.2" in caught.value.message and caught.value.hint
    assert "3.2" in caught.value.message.partition("fetched.")[2]  # and why it could not be fetched


def test_readable_by_all(tmp_path: Path) -> None:
    assert interpreters.readable_by_all(Path("/bin/sh"))
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "python").write_text("")
    assert not interpreters.readable_by_all(secret / "python")
