"""Steps of several processes that belong together, through the whole platform."""

from __future__ import annotations

from tests.e2e.conftest import Person

MEET = """
import json, os, socket, time
rank, size, port = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
print("rank", rank, "of", size)
if rank == 0:
    server, ranks = socket.create_server(("", port)), []
    for _ in range(size - 1):
        peer = server.accept()[0]
        ranks.append(int(peer.makefile().readline()))
        peer.close()
    json.dump({"met": sorted(ranks)}, open(os.environ["ATELIER_OUTPUTS"] + "/outputs.json", "w"))
    open(os.environ["ATELIER_OUTPUTS"] + "/model", "w").write("of all")
else:
    for _ in range(600):
        try:
            peer = socket.create_connection((os.environ["MASTER_ADDR"], port), 1)
            break
        except OSError:
            time.sleep(0.1)
    peer.sendall(f"{rank}\\n".encode())
"""
ONE_FAILS = """
import os, sys, time
print("rank", os.environ["RANK"], flush=True)
if os.environ["RANK"] == "1":
    sys.exit(7)
time.sleep(600)
"""


def gang(file: str, **more: object) -> dict[str, object]:
    """A step of three processes."""
    return {"file": file, "replicas": 3, "topology": "gang", "resources": {"cpu": 0.1, "memory": "96Mi"}, **more}


def test_three_processes_meet_and_one_of_them_stores(everywhere: Person) -> None:
    steps = {"train": gang("meet.py", outputs={"met": "value", "model": "any"})}
    run = everywhere.submit({"meet.py": MEET}, steps)
    assert everywhere.wait(run, 150).state == "done"
    assert everywhere.values(run, "train") == {"met": [1, 2]}
    assert everywhere.download(run, "train", "model") == b"of all"
    for rank in range(3):
        assert everywhere.log(run, "train", replica=f"main-{rank}") == f"rank {rank} of 3\n"
    (attempt,) = everywhere.attempts(run, "train")
    assert (attempt.state, attempt.exit_code) == ("done", 0)


def test_the_one_that_fails_is_the_cause_and_it_is_not_tried_again(everywhere: Person) -> None:
    run = everywhere.submit({"fails.py": ONE_FAILS}, {"train": gang("fails.py")})
    assert everywhere.wait(run, 150).state == "failed"
    (attempt,) = everywhere.attempts(run, "train")
    assert (attempt.state, attempt.reason, attempt.exit_code) == ("failed", "ExitCode", 7)
    assert everywhere.log(run, "train", replica="main-1") == "rank 1\n"
