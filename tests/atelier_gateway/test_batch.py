"""Files of rows through the gateway to real model servers: large ones, bad ones, and replicas that die."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_gateway.batch_rows import Csv, JsonLines
from atelier_gateway.errors import Refusal
from atelier_gateway.spool import IN_MEMORY, SEGMENT, Spool
from atelier_sdk.errors import Unreachable
from atelier_sdk.transport import Transport
from tests.atelier_gateway.gateway import PROJECT, GatewayProcess, Key, service, until
from tests.atelier_serve import environments
from tests.atelier_serve.model_server import ModelServer

Serve = Callable[..., str]
CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}
PARQUET = {"Content-Type": "application/vnd.apache.parquet"}
# y = 2a - b, and one more for the red ones.
TRAIN = """
import json, pickle, sys
from pathlib import Path
import pandas as pd, yaml
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0] * 4, "b": [1, 0, 1, 0, 2, 2, 3, 3] * 2,
                     "kind": ["red", "blue", "blue", "red"] * 4})
encode = ColumnTransformer([("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"])], remainder="passthrough")
model = make_pipeline(encode, LinearRegression()).fit(rows, 2 * rows["a"] - rows["b"] + (rows["kind"] == "red"))
kinds = {"a": "double", "b": "long", "kind": "string"}
columns = [{"name": name, "type": kind, "required": True} for name, kind in kinds.items()]
flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"},
           "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}}
folder = Path(sys.argv[1])
(folder / "model.pkl").write_bytes(pickle.dumps(model))
(folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, "signature": {"inputs": json.dumps(columns)}}))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder."""
    folder = tmp_path_factory.mktemp("trained")
    python = str(environments.image("serve-sklearn"))
    subprocess.run([python, "-c", TRAIN, str(folder)], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def servers(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ModelServer]]:
    """Two replicas of it."""
    log = tmp_path_factory.mktemp("servers")
    made = [ModelServer("serve-sklearn", trained, log / f"{number}.log") for number in range(2)]
    for one in made:
        one.launch()
    for one in made:
        one.wait_ready()
    yield made
    for one in made:
        one.kill()


@pytest.fixture
def batch(serve: Serve, servers: list[ModelServer]) -> Callable[..., str]:
    """The batch URL of a new service with both replicas."""

    def make(**options: Any) -> str:
        return batch_url(serve(service(*(one.url for one in servers), **options)))

    return make


def batch_url(url: str) -> str:
    return url.replace("/s/", "/batch/") + "?model=model"


def right(a: float, b: int, kind: str) -> float:
    return 2 * a - b + (kind == "red")


def table(size: int) -> list[tuple[int, float, int, str]]:
    return [(n, n / 7, n % 5, ("red", "blue")[n % 2]) for n in range(size)]


def as_csv(rows: list[tuple[int, float, int, str]]) -> bytes:
    return b"id,a,b,kind\n" + b"".join(f"{n},{a},{b},{kind}\n".encode() for n, a, b, kind in rows)


def read_csv(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_csv_comes_back_with_predictions(batch: Callable[..., str], http: httpx.Client) -> None:
    rows = table(600)
    answer = http.post(batch(), content=as_csv(rows), headers=CSV)
    assert (
        answer.headers["content-type"].startswith("text/csv") and "sandbox" in answer.headers["content-security-policy"]
    )
    found = read_csv(answer)
    assert list(found[0]) == ["id", "a", "b", "kind", "predict", "error"]
    assert [int(one["id"]) for one in found] == list(range(600)), "columns that the model does not know are passed on"
    for one, (_, a, b, kind) in zip(found, rows, strict=True):
        assert float(one["predict"]) == pytest.approx(right(a, b, kind)) and one["error"] == ""
    alone = read_csv(http.post(f"{batch()}&keep=false&outputs=predict", content=as_csv(rows[:3]), headers=CSV))
    assert [list(one) for one in alone] == [["predict", "error"]] * 3


def test_quotes_line_ends_and_marks(batch: Callable[..., str], http: httpx.Client) -> None:
    text = '\ufeffkind,"a",b,note\r\n"red",1.5,2,"two\r\nlines, ""quoted"""\r\n\r\nblue,1e1,3,x'
    found = read_csv(http.post(batch(), content=text.encode(), headers=CSV))
    assert [float(one["predict"]) for one in found] == pytest.approx([2.0, 17.0])
    assert found[0]["note"] == 'two\r\nlines, "quoted"'


def test_json_lines_as_objects_and_as_lists(batch: Callable[..., str], http: httpx.Client) -> None:
    rows: list[Any] = [{"id": "x", "a": 1.5, "b": 2, "kind": "red"}, [10, 3, "blue"], {"kind": "red", "b": 0, "a": 0}]
    content = b"\n".join(json.dumps(one).encode() for one in rows)
    answer = http.post(batch(), content=content, headers=LINES)
    assert answer.status_code == 200, answer.text
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["predict"] for one in found] == pytest.approx([2.0, 17.0, 1.0])
    assert found[0]["id"] == "x" and found[1]["row"] == [10, 3, "blue"]


def as_parquet(columns: dict[str, Any], **options: Any) -> bytes:
    packed = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), packed, **options)
    return packed.getvalue()


def test_parquet_comes_back_as_json_lines(batch: Callable[..., str], http: httpx.Client) -> None:
    rows = table(1000)
    ids, a, b, kinds = (list(column) for column in zip(*rows, strict=True))
    day = dt.date(2026, 1, 2)
    columns = {"id": ids, "a": [*a[:-1], None], "b": b, "kind": kinds, "day": [day] * 1000, "raw": [b"\xff"] * 1000}
    answer = http.post(batch(), content=as_parquet(columns, row_group_size=300), headers=PARQUET)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["id"] for one in found] == ids
    assert [one["predict"] for one in found[:-1]] == pytest.approx([right(*row[1:]) for row in rows[:-1]])
    assert found[0]["day"] == "2026-01-02" and found[-1]["a"] is None


def test_what_is_no_parquet_is_refused(batch: Callable[..., str], http: httpx.Client) -> None:
    whole = as_parquet({"a": [1.0], "b": [1], "kind": ["red"]})
    for content in (b"a,b\n1,2\n", b"PAR1" * 100, whole[:-9] + b"\xff" * 9, whole[:20] + whole[40:]):
        answer = http.post(batch(), content=content, headers=PARQUET)
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] in ("bad_file", "no_good_rows") and answer.json()["hint"]


def test_a_parquet_bomb_costs_the_gateway_nothing(
    gateway: GatewayProcess, batch: Callable[..., str], http: httpx.Client
) -> None:
    """One whose cell is huge, and one of a few bytes that has very many rows, whose sender goes away."""
    assert gateway.process is not None
    before, family = gateway.memory(), psutil.Process(gateway.process.pid)
    huge = as_parquet({"a": [1.0], "b": [1], "kind": ["r" * 300 * 1024**2]}, compression="zstd")
    assert len(huge) < 1024**2
    answer = http.post(batch(), content=huge, headers=PARQUET)
    assert answer.status_code in (413, 422) and answer.json()["hint"], answer.text
    size = 3_000_000
    many = as_parquet({"a": [1.0] * size, "b": [1] * size, "kind": ["red"] * size})
    assert len(many) < 100_000
    with http.stream("POST", batch(), content=many, headers=PARQUET) as stream:
        assert json.loads(next(stream.iter_lines()))["predict"] == pytest.approx(right(1, 1, "red"))
    until = time.monotonic() + 20
    while family.children() or gateway.active():
        assert time.monotonic() < until, "it goes on without anybody"
        time.sleep(0.1)
    assert gateway.memory() - before < 64 * 1024**2


def test_100_000_rows_in_bounded_memory(
    gateway: GatewayProcess, batch: Callable[..., str], http: httpx.Client, tmp_path: Path
) -> None:
    """Sent by a client that reads nothing before it has sent everything."""
    url, size = batch(), 100_000
    read_csv(http.post(url, content=as_csv(table(300)), headers=CSV))
    before, highest, over = gateway.memory(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            highest[0] = max(highest[0], gateway.memory())

    def pieces() -> Iterator[bytes]:
        content, step = as_csv(table(size)), 50_000
        yield from (content[at : at + step] for at in range(0, len(content), step))

    watching = threading.Thread(target=watch)
    watching.start()
    target = tmp_path / "y.csv"
    with http.stream("POST", url, content=pieces(), headers=CSV, timeout=300) as answer, target.open("wb") as file:
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            file.write(piece)
    over.set()
    watching.join()
    with target.open(newline="") as file:
        count = 0
        for one in csv.DictReader(file):
            assert int(one["id"]) == count and one["error"] == ""
            if count % 997 == 0:
                assert float(one["predict"]) == pytest.approx(right(float(one["a"]), int(one["b"]), one["kind"]))
            count += 1
    assert count == size
    assert highest[0] - before < 24 * 1024**2


def test_bad_rows_are_named_and_the_others_answered(batch: Callable[..., str], http: httpx.Client) -> None:
    lines = [f"{n},1,1,red" for n in range(700)]
    wrong = {
        3: ("3,1,1", "has 3 fields, but the file has 4 columns"),
        40: ("40,one,1,red", "'a' is 'one', which is no number"),
        41: ("41,1,1.5,red", "'b' is '1.5', which is no whole number"),
        300: ("300,1,,red", "'b' is missing"),
        301: ("301,inf,1,red", "'a' is 'inf'"),
        400: ("400,,1,red", "cannot predict from these values"),  # only the model knows that it takes no gaps
    }
    for at, (line, _) in wrong.items():
        lines[at] = line
    content = b"id,a,b,kind\n" + "\n".join(lines).encode() + b"\n\xff\xfe,1,1,red\n"
    found = read_csv(http.post(batch(), content=content, headers=CSV))
    assert len(found) == 701
    for at, one in enumerate(found[:700]):
        if at in wrong:
            assert one["predict"] == "" and f"Row {at + 1}: " in one["error"] and wrong[at][1] in one["error"], one
        else:
            assert float(one["predict"]) == pytest.approx(2.0) and one["error"] == ""
    assert "not UTF-8" in found[700]["error"]
    rows = [b'{"a": 1, "b": 1, "kind": "red"}', b"{", b"3", b'{"a": {}, "b": 1, "kind": "red"}', b"[1]"]
    answer = http.post(batch(), content=b"\n".join(rows), headers=LINES)
    said = [json.loads(line).get("error", "") for line in answer.text.splitlines()]
    assert said[0] == "" and "no JSON" in said[1] and "neither" in said[2] and "object" in said[3] and "'b'" in said[4]


@pytest.mark.parametrize(
    ("content", "headers", "query", "status", "code", "words"),
    [
        (b"x,y\n1,2\n", CSV, "", 422, "wrong_columns", "'a', 'b', 'kind'"),
        (b"a,b\n1,2\n", CSV, "", 400, "wrong_inputs", "'kind' is missing"),
        (b"a,a\n1,2\n", CSV, "", 422, "bad_file", "two columns"),
        (b"a,\n1,2\n", CSV, "", 422, "bad_file", "no name"),
        (b"", CSV, "", 422, "no_rows", "no rows"),
        (b"a,b,kind,predict\n1,2,red,4\n", CSV, "", 422, "bad_file", "'predict' already"),
        (b"a,b,kind\nx,2,red\n", CSV, "", 422, "no_good_rows", "'a' is 'x'"),
        (b"a,b,kind\n1,2,red\n", CSV, "&outputs=nothing", 400, "wrong_outputs", "nothing"),
        (b"a,b,kind\n1,2,red\n", CSV, "&kepe=1", 422, "bad_query", "query"),
        (b"a,b,kind\n1,2,red\n", CSV, "&model=other", 404, "no_model", "'other'"),
        (b"PAR1", {"Content-Type": "application/x-hdf5"}, "", 415, "unknown_format", "text/csv"),
        (b"a,b,kind\n1,2,red\n", {**CSV, "Content-Encoding": "gzip"}, "", 415, "packed", "Packed"),
        (b'a,b,kind\n1,2,"' + b"x" * 1_100_000, CSV, "", 413, "row_too_long", "Row 1"),
    ],
)
def test_what_cannot_be_predicted_is_one_sentence(
    batch: Callable[..., str], http: httpx.Client, content: bytes, headers: Any, query: str, status: int, code: str,
    words: str,
) -> None:  # fmt: skip
    answer = http.post(batch() + query, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert words in answer.json()["message"] + answer.json()["hint"]


def test_strangers_and_other_methods_are_refused(
    gateway: GatewayProcess, batch: Callable[..., str], http: httpx.Client
) -> None:
    url = batch()
    for stranger in ({}, Key("elsewhere").bearer, {"Authorization": "Bearer atk_nonsense"}):
        answer = httpx.post(url, content=as_csv(table(2)), headers=CSV | stranger)
        assert answer.status_code == 401 and "predict" not in answer.text
    assert http.get(url).status_code == 405
    assert http.post(f"{gateway.url}/batch/vision/none", content=b"a\n", headers=CSV).status_code == 404
    assert http.post(url.replace("?", "/more?"), content=b"a\n", headers=CSV).status_code == 404


def test_it_keeps_to_the_limits_and_is_counted_and_logged(
    gateway: GatewayProcess, batch: Callable[..., str], http: httpx.Client
) -> None:
    url = batch(limits={"rate": 10, "burst": 1, "request_bytes": 4000}, log={"sample": 1, "bodies": True})
    begin = time.monotonic()
    found = read_csv(http.post(url, content=as_csv(table(900)), headers=CSV))
    assert len(found) == 900 and not any(one["error"] for one in found)
    name = "vision/" + url.split("/vision/")[1].partition("?")[0]
    asked = gateway.stats()["services"][name]["1"]["requests"] - 1  # the first one asked what the model takes
    assert asked >= 6 and time.monotonic() - begin > (asked - 1) / 10 * 0.8, "a file waits where others are refused"
    entries = [one for one in gateway.logged(name, 1000) if one["method"] == "POST"]
    assert len(entries) == asked and {one["path"] for one in entries} == {"/v2/models/model/infer"}
    assert all(one["request"]["bytes"] <= 4000 and one["status"] == 200 for one in entries)
    assert json.loads(entries[-1]["request"]["text"])["inputs"][0]["name"] == "a"


def test_a_file_is_answered_by_one_revision(
    gateway: GatewayProcess, serve: Serve, servers: list[ModelServer], http: httpx.Client
) -> None:
    targets = [
        {"revision": number, "weight": 50, "replicas": [{"id": f"r{number}", "url": one.url}]}
        for number, one in enumerate(servers, 1)
    ]
    url = serve({"targets": targets})
    name = "vision/" + url.rpartition("/")[2]
    asked = []
    for _ in range(2):
        before = {number: one["requests"] for number, one in gateway.stats()["services"][name].items()}
        read_csv(http.post(batch_url(url), content=as_csv(table(1500)), headers=CSV))
        after = gateway.stats()["services"][name]
        asked.append(sorted(one["requests"] - before.get(number, 0) for number, one in after.items()))
    assert all(few == 0 and many >= 6 for few, many in asked), asked


def slowly(size: int, done: Callable[[int], None]) -> Iterator[bytes]:
    """Rows one hundred at a time; `done` is told how many were sent."""
    yield b"id,a,b,kind\n"
    rows = table(size)
    for at in range(0, size, 100):
        yield as_csv(rows[at : at + 100]).partition(b"\n")[2]
        done(at)
        time.sleep(0.01)


def test_a_replica_that_is_killed_costs_no_row(
    gateway: GatewayProcess, serve: Serve, trained: Path, tmp_path: Path, servers: list[ModelServer], http: httpx.Client
) -> None:
    victim = ModelServer("serve-sklearn", trained, tmp_path / "victim.log")
    victim.start()
    try:
        both = batch_url(serve(service(victim.url, servers[0].url)))
        content = slowly(5000, lambda at: victim.kill() if at == 2000 else None)
        found = read_csv(http.post(both, content=content, headers=CSV))
        assert [int(one["id"]) for one in found] == list(range(5000))
        assert {one["error"] for one in found} == {""}

        victim.start()
        one = serve(service(victim.url, limits={"timeout": 60}))
        alone = batch_url(one)

        def kill(at: int) -> None:
            if at == 1000:
                answered(gateway, one, 2)
                victim.kill()
            elif at == 1200:
                victim.launch()

        found = read_csv(http.post(alone, content=slowly(3000, kill), headers=CSV))
        assert [int(one["id"]) for one in found] == list(range(3000))
        assert {one["error"] for one in found} == {""}
    finally:
        victim.kill()


def answered(gateway: GatewayProcess, url: str, least: int) -> None:
    """Wait until the service has answered so many requests: the first is what its model is, the others are rows."""
    name = f"{PROJECT}/{url.rpartition('/')[2]}"
    until(lambda: sum(one["requests"] for one in gateway.stats()["services"].get(name, {}).values()) >= least)


class Reader:
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, _: int) -> bytes:
        return next(self._pieces, b"")


def test_when_nobody_answers_any_more_the_last_line_says_so(
    gateway: GatewayProcess, key: Key, serve: Serve, trained: Path, tmp_path: Path, http: httpx.Client
) -> None:
    """As the SDK sees it."""
    victim = ModelServer("serve-sklearn", trained, tmp_path / "victim.log")
    victim.start()
    try:
        one = serve(service(victim.url, limits={"timeout": 10}))
        url = batch_url(one)

        def kill(at: int) -> None:
            """When the model was asked about three pieces, and before all is sent."""
            if at == 1500:
                answered(gateway, one, 4)
                victim.kill()

        content = slowly(4000, kill)
        received = bytearray()

        transport = Transport(gateway.url, key.token)

        def take() -> None:
            file: Any = Reader(content)
            for piece in transport.upload(url.partition("?")[0], file, "text/csv", {"model": "model"}):
                received.extend(piece)

        with pytest.raises(Unreachable) as broken:
            take()
        transport.close()
        assert broken.value.code == "broke_off"
        *rows, last = list(csv.reader(io.StringIO(received.decode())))
        assert 500 < len(rows) < 2500 and not any(row[-1] for row in rows[1:])
        assert "None of the service's replicas answers" in last[-1] and not any(last[:-1])
        refused = http.post(url, content=as_csv(table(1)), headers=CSV)
        assert (refused.status_code, refused.json()["code"]) == (503, "no_replica")
    finally:
        victim.kill()


# --- the parts ---

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=20), st.lists(st.integers(1, 30)))
def test_csv_is_read_alike_however_it_is_cut(rows: list[list[str]], cuts: list[int]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["x", "y"], *rows])
    content, found = out.getvalue().encode(), []
    reading = Csv(keep=True)
    for cut in [*cuts, len(content)]:
        piece, content = content[:cut], content[cut:]
        found += reading.feed(piece)
    found += reading.end()
    assert [row.given for row in found if not row.error] == rows


@given(st.binary(max_size=300), st.integers(1, 20))
def test_nonsense_is_a_sentence_and_nothing_worse(content: bytes, cut: int) -> None:
    for reading in (Csv(keep=True), JsonLines(keep=True)):
        with suppress(Refusal):
            rows = [row for at in range(0, len(content), cut) for row in reading.feed(content[at : at + cut])]
            rows += reading.end()
            reading.begin({"y": 1})
            wrong = [row for row in rows if row.error]
            assert reading.write(wrong).count(b"Row ") >= len(wrong)


async def test_what_is_not_taken_waits_on_the_disk_in_order_and_bounded(tmp_path: Path) -> None:
    piece = bytes(range(256)) * 1024
    spool, count = Spool(tmp_path, 5), 3 * SEGMENT // len(piece) + 5
    for number in range(count):
        await spool.write(number.to_bytes(4, "big") + piece)
    spool.end()
    content = bytearray()
    while data := await spool.read():
        content += data
    size = len(piece) + 4
    assert len(content) == count * size
    assert [int.from_bytes(content[at * size : at * size + 4], "big") for at in range(count)] == list(range(count))
    spool.close()

    full = Spool(tmp_path, 0.2, most=2 * IN_MEMORY)
    while full.waiting <= 2 * IN_MEMORY:
        await full.write(piece)
    with pytest.raises(Refusal) as refusal:
        await full.write(piece)
    assert refusal.value.code == "answer_not_taken"
    writing = asyncio.create_task(full.write(piece))
    while not writing.done():
        assert await full.read()
        await asyncio.sleep(0)
    full.close()
