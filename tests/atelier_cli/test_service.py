"""Services from the command line, on a real platform without a gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

from atelier_cli import exits
from atelier_cli.demo_service import service_name
from tests.atelier_cli.conftest import Shell
from tests.harness.control_plane import ControlPlane

NewShell = Callable[[], Shell]
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
print("it listens", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["ATELIER_PORT_HTTP"])), Handler).serve_forever()
"""


def write(shell: Shell, name: str = "hello", **fields: Any) -> Path:
    """A definition as a file."""
    file = shell.home / f"{name}.service.yaml"
    definition = {"image": "python", "command": ["python", "-u", "-c", SERVER], "grace": 1, **fields}
    file.write_text(yaml.safe_dump(definition))
    return file


def until(what: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_from_a_file_to_an_address_and_a_key_and_away_again(shell: NewShell, platform: ControlPlane) -> None:
    anna = shell()
    done = anna.run("service", "deploy", str(write(anna)))
    assert done.returncode == exits.OK, done.stderr
    address = f"{platform.url.removesuffix('/services/atelier')}/services/atelier-gateway/s/{anna.name}/hello"
    assert f"Revision 1 of hello is ready: {address}" in done.stdout
    assert "atk_" in done.stdout
    assert 'curl -H "Authorization: Bearer atk_' in done.stdout
    shown = anna.run("service", "show", "hello").stdout
    assert "running" in shown
    assert "current" in shown
    assert "it listens" in anna.run("service", "logs", "hello").stdout
    assert "serves an image" in anna.run("service", "drift", "hello").stdout
    assert json.loads(anna.run("service", "drift", "hello", "--json").stdout)["state"] == "no_model"
    again = anna.run("service", "deploy", str(write(anna, replicas=2)), "--json")
    told = [json.loads(line) for line in again.stdout.splitlines()]
    assert told[-1]["revision"] == 2
    assert told[-1]["key"] == ""
    back = anna.run("service", "rollback", "hello")
    assert back.returncode == exits.OK, back.stderr
    assert "hello serves revision 1." in back.stdout
    assert anna.run("service", "scale", "hello", "1:2").returncode == exits.OK
    assert "100" in anna.run("service", "traffic", "hello").stdout
    assert "stopping" in anna.run("service", "stop", "hello").stdout
    until(lambda: anna.client.services.get(anna.name, "hello").state == "stopped")
    assert anna.run("service", "start", "hello").returncode == exits.OK
    until(lambda: anna.client.services.get(anna.name, "hello").state == "running")
    assert anna.run("service", "delete", "hello", "--yes").returncode == exits.OK
    until(lambda: "No services" in anna.run("service", "list").stdout)


def test_a_canary_by_option_and_its_promotion(shell: NewShell) -> None:
    anna = shell()
    file = write(anna)
    assert anna.run("service", "deploy", str(file), "--no-key").returncode == exits.OK
    told = anna.run("service", "deploy", str(file), "--canary", "10", "--cpu-target", "70")
    assert told.returncode == exits.OK, told.stderr
    newest = next(iter(anna.client.services.revisions(anna.name, "hello")))
    assert newest.definition["scale"]["cpu"] == 70
    assert "of 0." in anna.run("service", "show", "hello").stdout  # cores in use, of those given
    shares = [json.loads(line) for line in anna.run("service", "traffic", "hello", "--json").stdout.splitlines()]
    assert {one["revision"]: one["weight"] for one in shares} == {1: 90, 2: 10}
    assert anna.run("service", "traffic", "hello", "2=100").returncode == exits.OK
    assert anna.client.services.get(anna.name, "hello").revision == 2
    anna.run("service", "delete", "hello", "--yes")


def test_what_fails_says_why(shell: NewShell) -> None:
    anna = shell()
    file = write(anna, command=["python", "-c", "raise SystemExit('no such model')"])
    failed = anna.run("service", "deploy", str(file))
    assert failed.returncode == exits.FAILED
    assert "no such model" in failed.stderr
    anna.run("service", "delete", "hello", "--yes")
    wrong = anna.run("service", "deploy", str(write(anna, "bad", replicas="many")))
    assert wrong.returncode == exits.USAGE
    assert "replicas" in wrong.stderr
    wrong = anna.run("service", "deploy", str(write(anna, "bad")), "--cpu-target", "0")
    assert wrong.returncode == exits.USAGE
    assert "scale.cpu: 0 is no percentage to aim at" in wrong.stderr
    assert anna.run("service", "deploy", "nowhere.service.yaml").returncode == exits.USAGE
    (anna.home / "digits.onnx").write_bytes(bytes(range(128, 256)))
    binary = anna.run("service", "deploy", str(anna.home / "digits.onnx"))
    assert binary.returncode == exits.USAGE and "model register" in binary.stderr
    assert anna.run("service", "deploy", "models:/nothing/3").returncode == exits.FAILED
    assert anna.run("service", "show", "nothing").returncode == exits.FAILED


def test_the_demos_service_has_another_name_on_another_back_end(shell: NewShell) -> None:
    anna = shell()
    assert service_name(anna.client, anna.name, "cluster") == "digits"
    assert anna.run("service", "deploy", str(write(anna, "digits")), "--no-wait", "--no-key").returncode == exits.OK
    assert service_name(anna.client, anna.name, "local") == "digits"
    assert service_name(anna.client, anna.name, "cluster") == "digits-cluster"
    assert anna.run("service", "delete", "digits", "--yes").returncode == exits.OK


def test_keys_are_made_listed_and_revoked(shell: NewShell) -> None:
    anna = shell()
    made = anna.run("service", "key", "create", "laptop", "--expires", "30d")
    assert made.returncode == exits.OK, made.stderr
    key, secret = made.stdout.split()
    assert secret.startswith("atk_")
    listed = anna.run("service", "key", "list").stdout
    assert key in listed
    assert secret not in listed
    assert anna.run("service", "key", "revoke", key).returncode == exits.OK
    assert "No keys" in anna.run("service", "key", "list").stdout
    assert anna.run("service", "key", "create", "x", "--expires", "soon").returncode == exits.USAGE
    assert anna.run("service", "key", "create", "x", "--service", "nothing").returncode == exits.FAILED


def test_the_replica_stops_with_its_service(shell: NewShell, platform: ControlPlane) -> None:
    anna = shell()
    assert anna.run("service", "deploy", str(write(anna)), "--no-key").returncode == exits.OK
    replica = next(anna.client.services.replicas(anna.name, "hello"))
    folder = next((platform.folder / "data").rglob(replica.id))
    assert folder.exists()
    anna.run("service", "delete", "hello", "--yes")
    until(lambda: not folder.exists())
    with httpx.Client() as http:
        assert http.get(f"{platform.url}/api/health").status_code == 200


def test_model_servers_of_others_are_for_clusters_and_say_so(shell: NewShell, tmp_path: Path) -> None:
    anna = shell()
    for words in (("repository:Qwen/Qwen3-0.6B", "--server", "vllm"), ("dataset:models@1", "--server", "triton")):
        if words[0].startswith("dataset:"):
            (anna.home / "config.pbtxt").write_text("name: 'reader'")
            assert anna.run("dataset", "add", "models", str(anna.home / "config.pbtxt")).returncode == exits.OK
        refused = anna.run("service", "deploy", *words)
        assert refused.returncode != exits.OK
        assert f"{words[-1]} runs on a cluster only" in refused.stderr
        assert "Traceback" not in refused.stderr
    alone = anna.run("service", "deploy", "repository:Qwen/Qwen3-0.6B")
    assert "repository is for a server" in alone.stderr
    assert not list(anna.client.services.list(anna.name))
