"""The process: ready when it can answer, responsive while it computes, ended without a lost request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_serve import server as serving
from tests.atelier_serve.conftest import Start
from tests.atelier_serve.model_server import ModelServer, matrix, outputs


def test_a_slow_model_does_not_hold_up_health(sleeper: ModelServer) -> None:
    slow = threading.Thread(target=sleeper.ask, args=(matrix([[4.0]]),))
    slow.start()
    time.sleep(0.3)
    assert sleeper.ready() == 200
    assert slow.is_alive()
    slow.join(30)


def test_a_model_that_becomes_slow_holds_nothing_up_again(sleeper: ModelServer) -> None:
    """Quick answers are computed on the event loop; the first slow one may block it, those behind it may not."""
    for _ in range(100):
        sleeper.ask(matrix([[0.0]]))
    sleeper.ask(matrix([[0.1]]))
    test_a_slow_model_does_not_hold_up_health(sleeper)


def test_one_prediction_at_a_time_unless_told_otherwise(server: Start) -> None:
    took = {}
    for threads in ("1", "4"):
        own = server("serve-sklearn", "sleeper", "--threads", threads)
        own.start()
        asked = [threading.Thread(target=own.ask, args=(matrix([[1.0]]),)) for _ in range(4)]
        start = time.monotonic()
        for one in asked:
            one.start()
        for one in asked:
            one.join(20)
        took[threads] = time.monotonic() - start
        own.kill()
    assert took["1"] >= 4.0
    assert took["4"] < took["1"] - 1.25


async def _ask_until_stopped(url: str, stop: asyncio.Event, answers: list[int], problems: list[Exception]) -> None:
    """A caller as the gateway is: looks at readiness before each request."""
    async with httpx.AsyncClient(timeout=20) as client:
        while not stop.is_set():
            try:
                if (await client.get(f"{url}/v2/health/ready")).status_code != 200:
                    return
            except httpx.ConnectError:  # nobody listens any more: not ready, and nothing was asked
                return
            try:
                answer = await client.post(f"{url}/v2/models/model/infer", json={"inputs": [matrix([[0.05]])]})
                answers.append(answer.status_code)
            except httpx.HTTPError as error:
                problems.append(error)
                return


async def test_told_to_stop_it_finishes_what_it_began(server: Start) -> None:
    own = server("serve-sklearn", "sleeper", "--drain", "5")
    await asyncio.to_thread(own.start)
    await asyncio.to_thread(own.ask, matrix([[0.1]]))  # now it knows that this model may be slow
    assert own.process is not None
    async with httpx.AsyncClient(timeout=30) as client:
        slow = asyncio.create_task(client.post(own.infer_url, json={"inputs": [matrix([[6.0]])]}))
        stop, answers, problems = asyncio.Event(), [], []
        callers = [asyncio.create_task(_ask_until_stopped(own.url, stop, answers, problems)) for _ in range(3)]
        await asyncio.sleep(0.5)
        own.process.send_signal(signal.SIGTERM)
        while (ready := await asyncio.to_thread(own.ready)) == 200:
            await asyncio.sleep(0.05)
        assert ready == 503
        assert (await client.get(f"{own.url}/v2/health/live")).status_code == 200
        answer = await slow
        assert outputs(answer)["predict"]["data"] == [6.0]
        await asyncio.wait_for(asyncio.gather(*callers), 20)
    assert problems == []
    assert set(answers) <= {200}
    assert await asyncio.to_thread(own.wait, 20) == 0
    assert "Traceback" not in own.log()


def test_told_twice_it_ends_at_once(server: Start) -> None:
    own = server("serve-sklearn", "sleeper")
    own.start()
    own.ask(matrix([[0.1]]))
    assert own.process is not None
    asked = threading.Thread(target=lambda: _silent(own, 20))
    asked.start()
    time.sleep(0.5)
    own.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    own.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    own.wait(10)
    assert time.monotonic() - start < 3
    asked.join(10)


def _silent(own: ModelServer, seconds: float) -> None:
    with contextlib.suppress(httpx.HTTPError):
        own.ask(matrix([[float(seconds)]]))


def test_stopped_while_it_loads(server: Start, tmp_path: Path) -> None:
    own = server("serve-sklearn", _slow_to_load(tmp_path))
    own.launch()
    until = time.monotonic() + 30
    while own.ready() != 503 and time.monotonic() < until:
        time.sleep(0.05)
    assert httpx.get(f"{own.url}/v2/health/live").status_code == 200
    assert own.ask(matrix([[1.0]])).status_code == 503
    assert own.stop() == 0


def _slow_to_load(folder: Path) -> Path:
    (folder / "code").mkdir()
    (folder / "code" / "slow_to_load.py").write_text("import time\ntime.sleep(20)\nclass Thing: pass\n")
    (folder / "MLmodel").write_text("flavors:\n  sklearn: {pickled_model: model.pkl, code: code}\n")
    (folder / "model.pkl").write_bytes(b"\x80\x02cslow_to_load\nThing\nq\x00.")
    return folder


CANNOT = {
    "empty": ("serve-sklearn", 3, "no model that is known here"),
    "two": ("serve-sklearn", 3, "more than one: a.pkl, b.pkl"),
    "nowhere": ("serve-sklearn", 3, "does not exist"),
    "other_flavor": ("serve-sklearn", 3, "flavors prophet"),
    "weights": ("serve-sklearn", 3, "holds a dict, which neither predicts nor transforms"),
    "ubj_file": ("serve-sklearn", 4, "needs the package xgboost"),
    "onnx_file": ("serve-sklearn", 4, "Use the image serve-onnx"),
    "pyfunc": ("serve-sklearn", 4, "python_function"),
    "absent": ("serve-sklearn", 4, "needs the package nobody_has_this"),
    "old": ("serve-sklearn", 5, "sklearn.ensemble.forest"),
    "garbage": ("serve-sklearn", 6, "cannot be read by scikit-learn"),
    "outside": ("serve-sklearn", 6, "'../two/a.pkl'"),
}


@pytest.mark.parametrize("model", CANNOT)
def test_what_cannot_be_served_is_told_in_one_sentence(server: Start, model: str) -> None:
    image, code, words = CANNOT[model]
    own = server(image, model)
    own.launch()
    assert own.wait() == code, own.log()
    last = own.log().strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
    assert last.endswith((".", "requirements.txt")) or ": " in last


def test_a_taken_address(server: Start) -> None:
    own = server("serve-sklearn", "iris_skops")
    with socket.create_server(("127.0.0.1", own.port)):
        own.launch()
        assert own.wait() == 7
    assert f"127.0.0.1:{own.port} cannot be listened on" in own.log()


def test_only_what_is_served_is_imported(shared: Start) -> None:
    """The mapped files of the process show it."""
    server = shared("serve-onnx", "onnx_file")
    assert server.process is not None
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped
    assert not any(f"/{name}/" in mapped for name in ("sklearn", "pandas", "scipy", "xgboost", "torch"))


def test_killed_it_leaves_nothing(server: Start) -> None:
    own = server("serve-sklearn", "iris_skops")
    own.start()
    own.kill()
    again: Any = server("serve-sklearn", "iris_skops")
    again.port, again.url, again.infer_url = own.port, own.url, own.infer_url
    again.start()
    assert outputs(again.ask(matrix([[1.0, 2.0, 3.0, 4.0]])))
    assert os.getpid() != again.process.pid


def test_connections_send_at_once() -> None:
    """Where uvloop is not installed, either: head and body of an answer are two packets, and the second would wait."""
    listening = serving._listen("127.0.0.1", 0)
    with listening, socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
