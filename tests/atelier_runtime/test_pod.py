"""The three programs of a pod, as real processes that share a folder and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import atelier_runtime
from atelier_runtime import process
from tests.harness.attempt_api import AttemptApi, code_archive, digest_of

RUNTIME = str(Path(atelier_runtime.__file__).parent)
ATTEMPT = f"pod-test-{os.getpid()}"


class Pod:
    """What a kubelet does: init to its end, then sidecar and main, then SIGTERM for the sidecar."""

    def __init__(self, api: AttemptApi, folder: Path, source: str, **spec: Any) -> None:
        archive = code_archive({"main.py": source})
        self.state = api.expect(ATTEMPT, archive)
        self.root = folder / "work"
        self.spec = folder / "shim.json"
        self.env: dict[str, str] = {"PATH": os.environ["PATH"], "ATELIER_POD_UID": "pod-1", "ATELIER_NODE": "node-a"}
        document = {
            "attempt": ATTEMPT,
            "url": api.url,
            "token": f"token-{ATTEMPT}",
            "command": [sys.executable, "main.py"],
            "code": [{"digest": digest_of(archive), "path": "code"}],
            "claim": "http",
            "grace": 1,
            **spec,
        }
        self.spec.write_text(json.dumps(document))
        self.running: list[subprocess.Popen[bytes]] = []

    def program(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of the three."""
        words = [sys.executable, "-I", "-S", RUNTIME, name, "--root", str(self.root), *arguments]
        program = subprocess.Popen(words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.running.append(program)
        return program

    def init(self) -> int:
        """The init container."""
        return self.program("init", "--spec", str(self.spec)).wait(30)

    def sidecar(self) -> subprocess.Popen[bytes]:
        """The sidecar container."""
        return self.program("sidecar", "--spec", str(self.spec))

    def main(self) -> subprocess.Popen[bytes]:
        """The step's own container."""
        return self.program("main")

    def run(self) -> int:
        """All of it; the exit code of the step's container."""
        assert self.init() == 0
        sidecar, main = self.sidecar(), self.main()
        code = main.wait(30)
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(30) == 0
        return code

    def close(self) -> None:
        """End what still runs."""
        for program in self.running:
            program.kill()
            program.communicate()


@pytest.fixture
def pods() -> Any:
    """Makes pods, and ends them after the test."""
    made: list[Pod] = []

    def make(*arguments: Any, **spec: Any) -> Pod:
        made.append(Pod(*arguments, **spec))
        return made[-1]

    yield make
    for pod in made:
        pod.close()


# The step's own container, which is asked to end as soon as its command has ended.
ASKED_TO_END = """
import os, signal, sys
from atelier_runtime import pod
share = pod._share
def asked(path):
    os.kill(os.getpid(), signal.SIGTERM)
    share(path)
pod._share = asked
sys.exit(pod.main("", sys.argv[1]))
"""


def test_what_was_done_counts_when_the_pod_is_asked_to_end_right_after(
    api: AttemptApi, tmp_path: Path, pods: Any
) -> None:
    pod = pods(api, tmp_path, "print('done')")
    assert pod.init() == 0
    sidecar = pod.sidecar()
    words = [sys.executable, "-c", ASKED_TO_END, str(pod.root)]
    asked = subprocess.run(words, env=pod.env, timeout=60, check=False, stdout=subprocess.DEVNULL)
    assert asked.returncode == 128 + signal.SIGTERM
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait(30) == 0
    (report,) = pod.state.finished
    assert (report["exit_code"], report["reason"]) == (0, "")


def test_runs_stores_and_reports(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    source = """
import json, os
print("hello from", os.environ["ATELIER_REPLICA"])
open(os.environ["ATELIER_OUTPUTS"] + "/model", "w").write("weights")
json.dump({"score": 1}, open(os.environ["ATELIER_OUTPUTS"] + "/outputs.json", "w"))
"""
    pod = pods(api, tmp_path, source, outputs=[{"name": "model"}])
    assert pod.run() == 0
    (report,) = pod.state.finished
    assert (report["exit_code"], report["reason"], report["values"]) == (0, "", {"score": 1})
    assert report["outputs"] == {"model": "artifact-model"}
    assert pod.state.outputs["model"].path.read_text() == "weights"
    assert pod.state.logs["main-0"] == b"hello from main-0\n"
    assert pod.state.claims == {"main-0": "pod-1"}


def test_the_command_learns_no_token(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    source = """
import os
for folder, _, names in os.walk(".."):
    for name in names: print(open(os.path.join(folder, name), errors="replace").read())
"""
    pod = pods(api, tmp_path, source)
    assert pod.run() == 0
    assert f"token-{ATTEMPT}".encode() not in pod.state.logs["main-0"]


def test_says_what_the_command_uses(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    """The work is done by a child; neither the wrapper nor the sidecar counts."""
    source = "import os\nheld = b'x' * 100_000_000\nif os.fork() == 0:\n    while True: sum(range(1000))\nos.wait()"
    given = {"cpu_given": 0.5, "memory_given": 512 * 1024**2}
    pod = pods(api, tmp_path, source, given=given)
    assert pod.init() == 0
    sidecar, main = pod.sidecar(), pod.main()
    until = time.monotonic() + 60
    while pod.state.usage.get("main-0", {}).get("cpu", 0) < 0.1:
        assert time.monotonic() < until, pod.state.usage
        time.sleep(0.2)
    told = pod.state.usage["main-0"]
    assert 90_000_000 < told["memory"] < 200_000_000
    assert told | given == told
    main.send_signal(signal.SIGTERM)
    main.wait(30)
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait(30) == 0


def test_fails_with_the_commands_code(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    pod = pods(api, tmp_path, "raise SystemExit(3)")
    assert pod.run() == 3
    assert (pod.state.finished[0]["exit_code"], pod.state.finished[0]["reason"]) == (3, "ExitCode")


def test_a_long_log_keeps_its_beginning_and_its_end(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    source = "for number in range(1000): print(f'line {number:4} of a talkative step', flush=number % 100 == 0)"
    pod = pods(api, tmp_path, source, log_limit=10_000)
    assert pod.run() == 0
    log = pod.state.logs["main-0"]
    assert len(log) <= 10_200 and log.count(b"[Atelier: this log is longer than 9.766 KiB") == 1
    assert log.startswith(b"line    0 of a talkative") and log.endswith(b"line  999 of a talkative step\n")
    assert (pod.root / ".atelier" / "log").stat().st_size == len(log)


def test_never_succeeds_with_an_output_missing(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    pod = pods(api, tmp_path, "pass", outputs=[{"name": "model"}])
    assert pod.run() == 1
    assert (pod.state.finished[0]["exit_code"], pod.state.finished[0]["reason"]) == (0, "OutputMissing")


def test_a_failed_init_is_reported(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    pod = pods(api, tmp_path, "print('never')", inputs=[{"name": "data"}])
    assert pod.run() == 1
    assert pod.state.finished[0]["reason"] == "InputUnavailable"
    assert pod.state.logs == {}


def test_a_second_pod_of_a_replica_is_turned_away(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    pod = pods(api, tmp_path, "pass")
    pod.state.claims["main-0"] = "another-pod"
    assert pod.init() != 0
    assert pod.state.finished == []


def test_pods_of_an_indexed_job(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    gang = {"size": 3, "address": "host-0", "port": 1234, "base": 1}
    pod = pods(
        api, tmp_path, "import os; print(os.environ['RANK'], os.environ['LOCAL_RANK'])", replica="w-*", gang=gang
    )
    pod.env["JOB_COMPLETION_INDEX"] = "1"
    assert pod.run() == 0
    assert pod.state.finished[0]["replica"] == "w-1"
    assert pod.state.logs["w-1"] == b"2 0\n"


def test_sidecar_killed_while_it_works(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    source = """
import os, time
for n in range(20): print(n, flush=True); time.sleep(0.1)
open(os.environ["ATELIER_OUTPUTS"] + "/x", "w")
"""
    pod = pods(api, tmp_path, source, outputs=[{"name": "x"}])
    assert pod.init() == 0
    first, main = pod.sidecar(), pod.main()
    time.sleep(1.3)
    first.kill()
    second = pod.sidecar()
    assert main.wait(30) == 0
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    assert pod.state.logs["main-0"].split() == [str(n).encode() for n in range(20)]
    assert len(pod.state.finished) == 1


def test_wrapper_killed(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    """The kernel may kill the whole container: the sidecar reports nothing, the container's status says why."""
    pod = pods(api, tmp_path, "import time; print('here', flush=True); time.sleep(60)")
    assert pod.init() == 0
    sidecar, main = pod.sidecar(), pod.main()
    _wait(lambda: pod.state.logs.get("main-0"))
    claim = json.loads((pod.root / ".atelier" / "claim-main-0").read_text())
    main.kill()
    time.sleep(1.5)
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait(30) == 0
    assert pod.state.finished == []
    assert claim["pid"] == main.pid
    again = pod.main()
    assert again.wait(30) != 0, "the command must not be started a second time"
    assert process.kill_survivors(ATTEMPT, [], None) == []


def test_deleted_while_it_runs(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    source = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    pod = pods(api, tmp_path, source)
    assert pod.init() == 0
    sidecar, main = pod.sidecar(), pod.main()
    _wait(lambda: pod.state.logs.get("main-0"))
    main.send_signal(signal.SIGTERM)
    assert main.wait(30) == 128 + signal.SIGKILL
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait(30) == 0
    assert pod.state.finished[0]["reason"] == "Gone"
    assert pod.state.started == [{"replica": "main-0", "node": "node-a"}]


def test_the_attempt_is_over(api: AttemptApi, tmp_path: Path, pods: Any) -> None:
    """A revoked token ends the pod instead of waiting for ever."""
    pod = pods(api, tmp_path, "import time; time.sleep(60)")
    assert pod.init() == 0
    pod.state.over = True
    sidecar, main = pod.sidecar(), pod.main()
    assert main.wait(30) == 128 + signal.SIGTERM
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait(30) == 0


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
