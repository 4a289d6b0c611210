"""Smaller promises of the runtime."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import atelier_runtime
from atelier_runtime import archive, files, outcome, process, results, store
from atelier_runtime.api import Api, ApiError, AttemptOver, OwnFault, Unreachable
from atelier_runtime.spec import ShimSpec
from tests.harness.attempt_api import AttemptApi

FOLDER = Path(atelier_runtime.__file__).parent


def test_imports_the_standard_library_only() -> None:
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 9))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.partition(".")[0] in {*sys.stdlib_module_names, "atelier_runtime"}, (path, name)


def test_the_wrapper_starts_light() -> None:
    """What runs in the step's container imports neither networking nor archives."""
    code = (
        f"import sys; sys.path.insert(0, {str(FOLDER.parent)!r}); import atelier_runtime.pod, atelier_runtime.command"
    )
    show = "; print([n for n in ('ssl', 'http.client', 'email', 'asyncio', 'subprocess') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", code + show], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_one_claim_of_many(tmp_path: Path) -> None:
    won: list[int] = []
    start = threading.Barrier(20)

    def attempt(number: int) -> None:
        start.wait()
        try:
            files.claim(str(tmp_path), "main-0")
            won.append(number)
        except files.AlreadyClaimed:
            pass

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert json.loads(Path(files.claim_path(str(tmp_path), "main-0")).read_text())["pid"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == ["claim-main-0"]


def test_untrusted_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    assert files.read_json(str(tmp_path / "secret")) == {}
    assert files.read_json(str(tmp_path / "link")) is None
    assert files.read_json(str(tmp_path / "pipe")) is None
    assert files.read_json(str(tmp_path / "missing")) is None
    (tmp_path / "hard").hardlink_to(tmp_path / "secret")
    assert files.read_json(str(tmp_path / "hard"), owner=os.geteuid() + 1) is None


def test_paths_stay_inside() -> None:
    spec = ShimSpec(attempt="a", command=("x",), root="/root")
    assert spec.path("code/a") == "/root/code/a"
    for path in ("../x", "/etc", "code/../../x", "/rootother"):
        with pytest.raises(ValueError, match="leads out"):
            spec.path(path)


def test_survivors_ignore_an_older_session() -> None:
    own = process.read(os.getpid())
    assert own is not None
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        started = process.read(child.pid)
        assert started is not None
        assert process.survivors("none", [(child.pid, started.start_time)], None) == [child.pid]
        assert process.survivors("none", [(child.pid, started.start_time + 1)], None) == []
        assert process.survivors("none", [(child.pid, 0)], os.geteuid() + 1) == []
    finally:
        child.kill()
        child.wait()


def test_retries_and_refusals(api: AttemptApi) -> None:
    api.expect("a1")
    client = Api(api.url, "a1", "token-a1", patience=10)
    api.unavailable = 2
    client.post("started", {"replica": "main-0"})
    with pytest.raises(ApiError, match="no input nothing"):
        client.get("inputs/nothing", lambda response: response.read())
    client.close()
    stranger = Api(api.url, "a1", "wrong", patience=1)
    with pytest.raises(AttemptOver):
        stranger.post("started", {})
    stranger.close()


def test_a_file_of_its_own_is_not_waited_for(api: AttemptApi, tmp_path: Path) -> None:
    """What cannot be read or written here is not taken for a control plane that does not answer."""
    api.expect("a1", inputs={"x": FOLDER / "api.py"})
    client, missing = Api(api.url, "a1", "token-a1", patience=600), tmp_path / "no folder" / "x"
    headers = {"X-Atelier-Kind": "file", "X-Atelier-Type": "any"}
    for path in (str(missing), "/proc/self/mem"):  # the second can be opened, but not read from its beginning
        with pytest.raises(OwnFault):
            client.put_file("outputs/x", path, headers)
    with pytest.raises(OwnFault, match="No such file"):
        client.put_stream("outputs/x", lambda: archive.pack(str(missing)), headers)
    with pytest.raises(OwnFault, match="No such file"):
        client.get("inputs/x", lambda answer: missing.write_bytes(answer.read()))
    assert client.get("inputs/x", lambda answer: len(answer.read())) == (FOLDER / "api.py").stat().st_size
    client.close()


def test_a_full_disk_is_waited_for_and_then_named(api: AttemptApi) -> None:
    api.expect("a1", inputs={"x": FOLDER / "api.py"})
    client = Api(api.url, "a1", "token-a1", patience=0.5)
    with pytest.raises(Unreachable, match=r"The disk of the step had no room for 0 s .*No space left"):
        client.get("inputs/x", lambda answer: Path("/dev/full").write_bytes(answer.read()))
    client.close()


def test_gives_up_in_the_end() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            Api(f"http://127.0.0.1:{held.getsockname()[1]}", "a", "t", patience=0.5).post("started", {})


def test_a_download_that_breaks_off_is_fetched_again() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfull",
    ]
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            peer = server.accept()[0]
            peer.recv(65536)
            peer.sendall(answer)
            peer.close()

    threading.Thread(target=serve, daemon=True).start()
    client = Api(f"http://127.0.0.1:{server.getsockname()[1]}", "a", "t", patience=10)
    assert client.get("inputs/x", lambda response: response.read(100)) == b"full"
    client.close()
    server.close()


def _with_values(root: Path, text: str) -> ShimSpec:
    (root / "outputs").mkdir()
    (root / "outputs" / "outputs.json").write_text(text)
    return ShimSpec(attempt="a", command=("x",), root=str(root))


@pytest.mark.parametrize("depth", [64, 100_000])
def test_values_that_are_nested_too_deep(tmp_path: Path, depth: int) -> None:
    spec = _with_values(tmp_path, '{"a":' + "[" * depth + "]" * depth + "}")
    with pytest.raises(outcome.Failure, match="more than 64 deep") as caught:
        store.read_values(spec)
    assert caught.value.reason == outcome.OUTPUT_MISSING


@pytest.mark.parametrize("text", ['{"a":' + "[" * 63 + "]" * 63 + "}", '{"a":[' + ",".join(["1e15"] * 209_713) + "]}"])
def test_values_as_deep_and_as_many_as_may_be_are_in_the_exit_file(tmp_path: Path, text: str) -> None:
    path = files.exit_path(str(tmp_path), "main-0")
    found = outcome.Outcome(values=store.read_values(_with_values(tmp_path, text)))
    files.write_json(path, found.document())
    assert (files.read_json(path) or {})["values"] == json.loads(text)


def test_results_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.csv").write_text("1")
    (tmp_path / "code" / "metric.json").write_text(
        '{"metric_type": "table", "file_path": "a.csv", "describe": "a.csv"}'
    )
    (tmp_path / "results" / "a.csv").write_text("another")
    results.gather(ShimSpec(attempt="a", command=("x",), root=str(tmp_path)), 0)
    (item,) = json.loads((tmp_path / "results" / "metric.json").read_text())
    assert item == {"metric_type": "table", "file_path": "a-2.csv", "describe": "a.csv"}
    assert (tmp_path / "results" / "a-2.csv").read_text() == "1"
