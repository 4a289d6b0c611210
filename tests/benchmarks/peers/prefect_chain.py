"""Runs in Prefect's environment: starts its API server, then one flow of dependent tasks for each line on stdin."""

import atexit
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TextIO

LENGTH = int(os.environ["CHAIN_LENGTH"])


def start_server() -> str:
    """The address of a server that answers; it ends with this process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = str(Path(sys.executable).with_name("prefect"))
    server = subprocess.Popen([program, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"])
    url = f"http://127.0.0.1:{port}/api"
    atexit.register(server.kill)
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/health", timeout=2)
        except OSError:
            time.sleep(0.1)
        else:
            return url
    raise RuntimeError("Prefect's server did not start")


def main(answers: TextIO) -> None:
    """Serve until stdin closes."""
    os.environ["PREFECT_API_URL"] = start_server()
    from prefect import flow, task
    from prefect.client.orchestration import get_client

    @task
    def step(before: object) -> object:
        time.sleep(0.01)
        return before

    @flow
    def chain() -> object:
        last = None
        for _ in range(LENGTH):
            last = step(last)
        return last

    print(json.dumps({"ready": True}), file=answers, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        state = chain(return_state=True)
        seconds = time.perf_counter() - began
        with get_client(sync_client=True) as client:
            seen = client.read_flow_run(state.state_details.flow_run_id).state
        if not (state.is_completed() and seen is not None and seen.is_completed()):
            raise RuntimeError(f"the flow ended {state}, the server says {seen}")
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "w") as answers:
        try:
            main(answers)
        except Exception as error:
            print(json.dumps({"problem": repr(error)}), file=answers, flush=True)
            raise
