"""Gangs and services."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest

from atelier_core.backend import Capability
from atelier_core.errors import BackendUnavailable
from atelier_core.states import Reason, State
from atelier_core.workload import Output, Topology
from tests.contract.engine import Engine, gang_role, web_port

RENDEZVOUS = """
import json, socket, time
env = os.environ
rank, size, port = int(env["RANK"]), int(env["WORLD_SIZE"]), int(env["MASTER_PORT"])
if rank == 0:
    server = socket.create_server(("", port)); names = [env["ATELIER_REPLICA"]]
    for _ in range(size - 1):
        peer = server.accept()[0]; names.append(peer.makefile().readline().strip()); peer.close()
    json.dump({"names": sorted(names)}, open(env["ATELIER_OUTPUTS"] + "/outputs.json", "w"))
    open(env["ATELIER_OUTPUTS"] + "/model", "w").write("whole")
else:
    for _ in range(600):
        try: peer = socket.create_connection((env["MASTER_ADDR"], port), 1); break
        except OSError: time.sleep(0.1)
    peer.sendall((env["ATELIER_REPLICA"] + "\\n").encode())
assert env["PET_NNODES"] == env["WORLD_SIZE"] and env["PET_NODE_RANK"] == env["NODE_RANK"] == env["RANK"]
assert env["PET_MASTER_PORT"] == env["MASTER_PORT"] and env["PET_MASTER_ADDR"] == env["MASTER_ADDR"]
mark(ID + "-" + env["RANK"])
"""


async def test_gang_meets(engine: Engine) -> None:
    spec = engine.spec(
        RENDEZVOUS,
        topology=Topology.GANG,
        roles=(gang_role(engine, "chief", 1), gang_role(engine, "worker", 2)),
        outputs=(Output(name="model"),),
    )
    seen = await engine.run(spec)
    assert seen.state is State.DONE, seen
    assert seen.values == {"names": ["chief-0", "worker-0", "worker-1"]}
    assert sorted(replica.name for replica in seen.replicas) == seen.values["names"]
    assert [engine.api.marks(f"{spec.id}-{rank}") for rank in range(3)] == [1, 1, 1]
    assert list(engine.api.attempts[spec.id].outputs) == ["model"]


async def test_one_of_a_gang_fails(engine: Engine) -> None:
    source = "import sys\nmark(ID)\nif os.environ['RANK'] == '1': sys.exit(7)\nwait()"
    spec = engine.spec(source, topology=Topology.GANG, roles=(gang_role(engine, "main", 3),), grace=1)
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    seen = await engine.final(backend, spec.id)
    assert (seen.state, seen.reason, seen.exit_code) == (State.FAILED, Reason.EXIT_CODE, 7)
    await backend.stop(handle, 1)
    assert await engine.left_over(spec.id) == []


async def test_service_answers_until_it_is_stopped(engine: Engine) -> None:
    assert Capability.ENDPOINTS in type(await engine.backend()).capabilities
    source = """
import http.server
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"served")
http.server.HTTPServer(("", int(os.environ["ATELIER_PORT_HTTP"])), Hello).serve_forever()
"""
    spec = engine.spec(source, kind="service", roles=(gang_role(engine, "main", 1, ports=(web_port(),)),))
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    url = await _endpoint(engine, backend, handle)
    answer = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
    assert answer == b"served"
    await engine.crash(backend)
    after = await engine.backend()
    assert await _endpoint(engine, after, handle) == url
    await after.stop(handle, 1)
    assert await engine.left_over(spec.id) == []


async def test_exec_beside_the_command(engine: Engine) -> None:
    backend = await engine.backend()
    if Capability.EXEC not in type(backend).capabilities:
        pytest.skip("this back end has no exec")
    spec = engine.spec("mark(ID); wait()")
    handle = await engine.start(backend, spec)
    await engine.marked(spec.id)
    source = "import json, os; print(json.dumps([os.environ['ATELIER_ATTEMPT'], os.path.exists('main.py')])); exit(4)"
    code, output = await backend.exec(handle, "main-0", [*engine.python, "-c", source])  # type: ignore[attr-defined]
    assert code == 4
    assert json.loads(output) == [spec.id, True]


async def _endpoint(engine: Engine, backend: object, handle: object) -> str:
    for _ in range(int(engine.patience / 0.1)):
        try:
            return str(await backend.endpoint(handle, "http"))  # type: ignore[attr-defined]
        except BackendUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("the service never answered")
