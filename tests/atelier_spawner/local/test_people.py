"""Whose account a step runs under, by the options of the back end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atelier_core.errors import Invalid
from atelier_core.states import State
from atelier_runtime import files
from atelier_spawner.local.people import open_to_all, passage
from atelier_spawner.notebooks.folders import Folders
from tests.contract.engine_local import LocalEngine
from tests.harness.attempt_api import AttemptApi

WHO = "import json\nprint(json.dumps([os.getuid(), os.getgid(), os.getgroups()]))"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[tuple[LocalEngine, Folders]]:
    """An engine for several people, made under the umask that the platform's processes have."""
    if os.geteuid() != 0:
        pytest.fail("These tests need root, as the platform does that serves several people.")
    top = Path(tempfile.mkdtemp(prefix="atelier-"))  # pytest's own folders are closed to other accounts
    top.chmod(0o711)
    before = os.umask(0o077)
    folders = Folders(top / "data", several=True)
    folders.make()
    api = AttemptApi(tmp_path)
    api.start()
    engine = LocalEngine(api, top / "data/workloads", top / "data/cache", VERSION)
    table = str(folders.identities.path)
    engine.options.update(folder=str(top / "data/workloads"), identities=table, people=str(top / "data"))
    yield engine, folders
    await engine.clean()
    api.stop()
    os.umask(before)
    shutil.rmtree(top)


@pytest.mark.root
@pytest.mark.parametrize("light", [False, True])
async def test_a_step_has_its_owners_number(shared: tuple[LocalEngine, Folders], light: bool) -> None:
    engine, folders = shared
    ada, vision = folders.identities.uid("ada"), folders.identities.gid("vision")
    for project, groups in (("ada", []), ("vision", [vision])):
        backend = await engine.backend()
        source = WHO + "\nopen(os.environ['ATELIER_PROJECT_DIR'] + '/made', 'w').close()"
        spec = engine.spec(source, owner="ada", light=light).model_copy(update={"project": project})
        handle = await engine.start(backend, spec)
        seen = await engine.final(backend, spec.id)
        log = await engine.log(backend, handle)
        assert seen.state is State.DONE, (seen, log)
        assert json.loads(log) == [ada, ada, groups]
    made = (folders.data_dir / "projects/vision/made").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (ada, vision, 0o660)
    assert (folders.data_dir / "users/ada/made").stat().st_uid == ada
    backend.set_aside("vision")
    assert backend._people.groups(spec) not in ((vision,), ())  # whoever takes the name works under another number
    assert not (folders.data_dir / "projects/vision").exists()
    backend.remove_aside()
    assert not any((folders.data_dir / "projects/.removed").iterdir())


@pytest.mark.root
async def test_nobodys_step_is_refused(shared: tuple[LocalEngine, Folders]) -> None:
    engine, _ = shared
    backend = await engine.backend()
    spec = engine.spec("pass", owner="")
    with pytest.raises(Invalid, match="nobody") as refused:
        await engine.start(backend, spec)
    assert refused.value.hint and await engine.left_over(spec.id) == []


@pytest.mark.root
async def test_a_forged_claim_ends_nobody_elses_process(shared: tuple[LocalEngine, Folders]) -> None:
    """The claim is its user's file: it may say anything, and root must not believe it."""
    engine, _ = shared
    victim = subprocess.Popen(["sleep", "60"])
    try:
        start_time = int(Path(f"/proc/{victim.pid}/stat").read_text().split()[21])
        source = f"""
import json
path = "../claim-main-0"
claim = json.load(open(path)) | {{"pid": {victim.pid}, "start_time": {start_time}, "session": {victim.pid}}}
open(path, "w").write(json.dumps(claim | {{"command_pid": {victim.pid}}}))
mark(ID); wait()
"""
        spec = engine.spec(source, owner="bob")
        first = await engine.backend()
        handle = await engine.start(first, spec)
        await engine.marked(spec.id)
        claim = files.claim_path(str(engine.attempt(spec.id).root("main-0")), "main-0")
        assert json.loads(Path(claim).read_text())["pid"] == victim.pid
        await engine.crash(first)  # the next one knows only what the files say
        second = await engine.backend()
        await second.stop(handle, 0.1)
        assert victim.poll() is None
        assert await engine.left_over(spec.id) == []
    finally:
        victim.kill()
        victim.wait()


def test_folders_let_others_pass_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = passage(tmp_path / "passage")
        (tmp_path / "tree/sub").mkdir(parents=True)
        program, text, link = (tmp_path / "tree/sub" / name for name in ("program", "text", "link"))
        program.touch(0o700)
        text.touch()
        link.symlink_to("nowhere")
        open_to_all(tmp_path / "tree")
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o711
    assert [path.stat().st_mode & 0o777 for path in (program.parent, program, text)] == [0o755, 0o755, 0o644]
