"""What a command finds and what it leaves: code, parameters, inputs, outputs, values, results."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from atelier_core.states import State
from atelier_core.workload import Input, Output
from tests.contract.engine import Engine


async def test_surroundings(engine: Engine) -> None:
    source = """
import json
def var(name): return os.environ["ATELIER_" + name]
print(json.dumps({
    "parameters": json.load(open(var("PARAMETERS"))), "workdir": os.getcwd() == os.path.realpath(var("CODE")),
    "attempt": var("ATTEMPT"), "replica": var("REPLICA"), "project": var("PROJECT"), "own": os.environ["OWN"],
    "secret": os.environ["SECRET"], "step": var("STEP"), "run": var("RUN"),
    "tmp": os.access(os.environ["TMPDIR"], os.W_OK),
}))
"""
    spec = engine.spec(
        source,
        parameters={"rate": 0.5, "name": "ü"},
        role={"env": {"OWN": "1"}, "secret_env": {"SECRET": "2"}},
        labels={"run": "r1", "step": "train"},
    )
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    assert json.loads(await engine.log(backend, handle)) == {
        "parameters": {"rate": 0.5, "name": "ü"},
        "workdir": True,
        "attempt": spec.id,
        "replica": "main-0",
        "project": "contract",
        "own": "1",
        "secret": "2",
        "step": "train",
        "run": "r1",
        "tmp": True,
    }


async def test_variables_in_the_command(engine: Engine) -> None:
    source = "import sys\nsys.stdout.write(repr(sys.argv[1:]))"
    spec = engine.spec(
        (*engine.python, "-c", source, "${ATELIER_REPLICA}", "a ${ATELIER_ATTEMPT} b", "$HOME", "${OTHER}")
    )
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    expected = repr(["main-0", f"a {spec.id} b", "$HOME", "${OTHER}"]).encode()
    assert await engine.log(backend, handle) == expected


async def test_inputs_and_outputs(engine: Engine, tmp_path: Path) -> None:
    data = tmp_path / "some data"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "a b.txt").write_text("inner")
    single = tmp_path / "single"
    single.write_text("one,two")
    source = """
import shutil
inputs, outputs = os.environ["ATELIER_INPUTS"], os.environ["ATELIER_OUTPUTS"]
assert open(inputs + "/single").read() == "one,two"
shutil.copytree(inputs + "/my data é?", outputs + "/folder")
open(outputs + "/file", "w").write("out")
os.makedirs("made"); open("made/here", "w").write("placed")
"""
    spec = engine.spec(
        source,
        artifacts={"single": single, "my data é?": data},
        inputs=(Input(name="single", artifact="a1"), Input(name="my data é?", artifact="a2")),
        outputs=(
            Output(name="file", type="model"),
            Output(name="folder", type="dataset"),
            Output(name="placed", path="code/made/here"),
            Output(name="optional", required=False),
        ),
    )
    assert (await engine.run(spec)).state is State.DONE
    stored = engine.api.attempts[spec.id].outputs
    assert {name: (item.kind, item.type) for name, item in stored.items()} == {
        "file": ("file", "model"),
        "folder": ("folder", "dataset"),
        "placed": ("file", "any"),
    }
    assert stored["file"].path.read_text() == "out"
    with tarfile.open(stored["folder"].path) as archive:
        assert archive.extractfile("deep/a b.txt").read() == b"inner"  # type: ignore[union-attr]


async def test_input_at_a_place_of_its_own(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("here")
    spec = engine.spec(
        "assert open('data/x.csv').read() == 'here'",
        artifacts={"x": tmp_path / "x"},
        inputs=(Input(name="x", artifact="a", path="code/data/x.csv"),),
    )
    assert (await engine.run(spec)).state is State.DONE


async def test_values(engine: Engine) -> None:
    source = """
import json
values = {"accuracy": 0.9, "best": "tree", "loss": float("nan"), "path": "a\\0\\udce9", "runs": [{"loss": 1e999}]}
json.dump(values, open(os.environ["ATELIER_OUTPUTS"] + "/outputs.json", "w"))
"""
    spec = engine.spec(source, outputs=(Output(name="accuracy", type="value"),))
    seen = await engine.run(spec)
    stored = {"accuracy": 0.9, "best": "tree", "loss": None, "path": "a\ufffd\ufffd", "runs": [{"loss": None}]}
    assert (seen.state, seen.values) == (State.DONE, stored)


async def test_results(engine: Engine) -> None:
    source = """
import json
open("curve.csv", "w").write("a,b")
open("page.html", "w").write("<p>")
items = [{"metric_type": "table", "file_path": os.path.abspath("curve.csv")},
         {"metric_type": "html", "html": "page.html"}, {"metric_type": "text", "text": "just words"}]
json.dump(items, open(os.environ["ATELIER_RESULTS"] + "/metric.json", "w"))
"""
    spec = engine.spec(source)
    assert (await engine.run(spec)).state is State.DONE
    stored = engine.api.attempts[spec.id].outputs["results"]
    with tarfile.open(stored.path) as archive:
        assert archive.getnames() == ["curve.csv", "metric.json", "page.html"]
        items = json.load(archive.extractfile("metric.json"))  # type: ignore[arg-type]
    assert [item.get("file_path") or item.get("html") or item["text"] for item in items] == [
        "curve.csv",
        "page.html",
        "just words",
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("open(path, 'w').write('[' * 100_000 + ']' * 100_000)", b"could not be read"),
        ("open(path, 'w').write('<html>')", b"could not be read"),
        ("os.symlink('/etc/hostname', path + '.link')", b"are not kept"),
        ('open(path, \'w\').write(\'[{"text": "\\\\ud83d", "loss": NaN}]\')', b""),
    ],
)
async def test_a_step_does_not_fail_because_of_its_results(engine: Engine, source: str, text: bytes) -> None:
    """Its log says what is wrong with them."""
    backend = await engine.backend()
    spec = engine.spec(f"path = os.environ['ATELIER_RESULTS'] + '/metric.json'; {source}; print('done')")
    handle = await engine.start(backend, spec)
    assert (await engine.final(backend, spec.id)).state is State.DONE
    # What pods say is sent while they run; the engine's own log of them has only what the command wrote.
    log = engine.api.attempts[spec.id].logs.get("main-0") or await engine.log(backend, handle)
    assert log.startswith(b"done\n") and text in log and (b"[Atelier: the results" in log) == bool(text)
    if not text:
        with tarfile.open(engine.api.attempts[spec.id].outputs["results"].path) as archive:
            assert json.load(archive.extractfile("metric.json")) == [{"text": "\ufffd", "loss": None}]  # type: ignore[arg-type]


async def test_big_output(engine: Engine) -> None:
    size = 200 * 1024**2
    source = f"f = open(os.environ['ATELIER_OUTPUTS'] + '/big', 'wb'); f.seek({size} - 3); f.write(b'end')"
    spec = engine.spec(source, outputs=(Output(name="big"),))
    assert (await engine.run(spec)).state is State.DONE
    stored = engine.api.attempts[spec.id].outputs["big"]
    assert stored.size == size
    with stored.path.open("rb") as file:
        file.seek(-3, io.SEEK_END)
        assert file.read() == b"end"
    stored.path.unlink()


async def test_control_plane_away_for_a_moment(engine: Engine) -> None:
    engine.api.unavailable = 3
    try:
        seen = await engine.run(engine.spec("mark(ID)"))
    finally:
        engine.api.unavailable = 0
    assert seen.state is State.DONE


async def test_a_link_out_of_the_folder_is_not_stored(engine: Engine) -> None:
    spec = engine.spec("os.symlink('/etc/hostname', os.environ['ATELIER_OUTPUTS'] + '/x')", outputs=(Output(name="x"),))
    seen = await engine.run(spec)
    assert seen.state is State.FAILED
    assert "link" in seen.message
    assert engine.api.attempts[spec.id].outputs == {}
