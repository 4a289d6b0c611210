"""Datasets over HTTP, on SQLite and PostgreSQL: upload in pieces, versions, search, previews, removal."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from atelier_hub.features.datasets import preview, uploads
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server

MB = 1024**2


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Home:
    """A person's own project."""

    def __init__(self, person: Person) -> None:
        self.http, self.name = person.http, person.name
        self.http.get("/me").raise_for_status()
        self.base = f"/projects/{self.name}"

    def begin(self, *contents: bytes) -> list[dict[str, Any]]:
        files = [{"digest": digest(one), "size": len(one)} for one in contents]
        answer = self.http.post(f"{self.base}/uploads", json={"files": files})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def put(self, upload: str, data: bytes | Iterator[bytes], offset: int = 0) -> httpx.Response:
        return self.http.put(f"{self.base}/uploads/{upload}", params={"offset": offset}, content=data)

    def upload(self, *contents: bytes) -> None:
        for data, upload in zip(contents, self.begin(*contents), strict=True):
            if not upload["done"]:
                answer = self.put(upload["id"], data)
                assert answer.status_code == 200 and answer.json()["done"], answer.text

    def create(self, name: str, **fields: Any) -> dict[str, Any]:
        answer = self.http.post(f"{self.base}/datasets", json={"name": name, **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def add(self, name: str, files: dict[str, bytes], **fields: Any) -> httpx.Response:
        manifest = [{"path": path, "size": len(data), "digest": digest(data)} for path, data in files.items()]
        return self.http.post(f"{self.base}/datasets/{name}/versions", json={"files": manifest, **fields})

    def dataset(self, name: str, files: dict[str, bytes]) -> int:
        """A dataset with one (more) version of these files."""
        self.http.post(f"{self.base}/datasets", json={"name": name})
        self.upload(*files.values())
        answer = self.add(name, files)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["number"])

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(f"{self.base}/datasets/{path}", **options)

    def preview(self, name: str, file: str, data: bytes, **params: Any) -> dict[str, Any]:
        self.dataset(name, {file: data})
        # The platform itself gives up a file that takes too long: its answer is waited for.
        answer = self.get(f"{name}/versions/latest/preview", params=params, timeout=2 * preview.SECONDS)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def home(person: Callable[..., Person]) -> Home:
    return Home(person())


# --- datasets and versions ---


def test_from_nothing_to_a_second_version(home: Home) -> None:
    made = home.create("iris", description="Flowers", tags=["Plants", "small", "small"])
    assert made["tags"] == ["plants", "small"] and made["newest"] is None and made["version"] > 0
    files = {"train/a.csv": b"x,y\n1,2\n", "train/b.csv": b"x,y\n3,4\n", "README.md": b"# Iris\n"}
    home.upload(*files.values())
    first = home.add("iris", files, note="first").json()
    assert first["number"] == 1 and first["kind"] == "folder" and first["files"] == 3
    assert first["size"] == sum(map(len, files.values())) and first["manifest"].startswith("sha256:")
    again = home.add("iris", dict(reversed(files.items())))
    assert again.json() == first, "the same files in another order are the same version"
    files["README.md"] = b"# Iris, again\n"
    home.upload(*files.values())
    assert home.add("iris", files).json()["number"] == 2
    assert [one["number"] for one in home.get("iris/versions").json()["items"]] == [2, 1]
    assert home.get("iris").json()["newest"]["number"] == 2
    listed = home.get("iris/versions/1/files").json()["items"]
    assert [one["path"] for one in listed] == ["README.md", "train/a.csv", "train/b.csv"]
    below = home.get("iris/versions/1/files", params={"below": "train/"}).json()["items"]
    assert [one["path"] for one in below] == ["train/a.csv", "train/b.csv"]
    assert home.get("iris/versions/1/content", params={"path": "README.md"}).content == b"# Iris\n"
    assert home.get("iris/versions/latest/content", params={"path": "README.md"}).content == b"# Iris, again\n"


def test_a_uri_is_kept_elsewhere(home: Home) -> None:
    home.create("far")
    base = f"{home.base}/datasets/far/versions"
    made = home.http.post(base, json={"uri": "s3://bucket/far"})
    assert made.status_code == 201 and made.json()["kind"] == "uri" and made.json()["files"] == 0
    assert home.http.post(base, json={"uri": "s3://bucket/far"}).json()["number"] == 1
    for body in (
        {"uri": "file:///etc/passwd"},
        {"uri": "https://u:p@x/"},
        {},
        {"uri": "s3://b", "files": [{"path": "a", "size": 0, "digest": digest(b"")}]},
    ):
        refused = home.http.post(base, json=body)
        assert refused.status_code == 422 and refused.json()["hint"], refused.text
    look = home.get("far/versions/latest/preview")
    assert look.status_code == 404 and "s3://bucket/far" in look.json()["hint"]


def test_search_tags_and_pages(home: Home) -> None:
    for name, description, tags in (
        ("digits", "Handwritten 数字", ["images", "demo"]),
        ("iris", "Flowers 100% measured_here", ["demo"]),
        ("wine", "Chemistry", ["demo-2"]),
    ):
        home.create(name, description=description, tags=tags)

    def found(**params: Any) -> list[str]:
        answer = home.http.get(f"{home.base}/datasets", params=params)
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()["items"]]

    assert found() == ["digits", "iris", "wine"]
    assert found(search="FLOWERS iris") == ["iris"] and found(search="数字") == ["digits"]
    assert found(search="100%") == ["iris"] and found(search="%") == ["iris"] and found(search="d_r") == []
    assert found(tag="demo") == ["digits", "iris"] and found(tag="Demo", search="hand") == ["digits"]
    first = home.http.get(f"{home.base}/datasets", params={"limit": 2}).json()
    assert [one["name"] for one in first["items"]] == ["digits", "iris"]
    assert found(cursor=first["next"], limit=2) == ["wine"]


def test_description_is_edited_by_etag(home: Home) -> None:
    home.create("edit", tags=["a"])
    etag = home.get("edit").headers["etag"]
    url = f"{home.base}/datasets/edit"
    assert home.http.patch(url, json={"description": "x"}).status_code == 428
    changed = home.http.patch(url, json={"description": "x"}, headers={"If-Match": etag})
    assert changed.json()["description"] == "x" and changed.json()["tags"] == ["a"]
    assert home.http.patch(url, json={"tags": []}, headers={"If-Match": etag}).status_code == 412
    assert home.http.get(f"{home.base}/datasets", params={"tag": "a"}).json()["items"][0]["name"] == "edit"


@pytest.mark.parametrize("body", [{"name": "Bad"}, {"name": "a", "tags": ["a b"]}, {"name": "a", "more": 1}, {}])
def test_what_is_no_dataset(home: Home, body: dict[str, Any]) -> None:
    assert home.http.post(f"{home.base}/datasets", json=body).status_code == 422


def test_names_are_taken_once_and_what_is_missing_is_said(home: Home) -> None:
    home.create("once")
    assert home.http.post(f"{home.base}/datasets", json={"name": "once"}).json()["code"] == "exists"
    for path, code in (
        ("none", "no_dataset"), ("none/versions", "no_dataset"), ("once/versions/latest", "no_version"),
        ("once/versions/3/files", "no_version"),
    ):  # fmt: skip
        answer = home.get(path)
        assert answer.status_code == 404 and answer.json()["code"] == code and answer.json()["hint"]
    assert home.get("once/versions/0").status_code == 422


def test_events_tell_what_happened(home: Home, server: Server) -> None:
    home.dataset("told", {"a.txt": b"a"})
    home.http.delete(f"{home.base}/datasets/told/versions/1").raise_for_status()
    home.http.delete(f"{home.base}/datasets/told", headers={"If-Match": "*"}).raise_for_status()
    from atelier_hub.feed import read_after

    with server.context.db.read() as session:
        kinds = [one.kind for one in read_after(session, 0, {home.name}, 10_000) if one.subject == "told"]
    assert kinds == ["dataset.created", "dataset.version_added", "dataset.version_removed", "dataset.deleted"]


def test_removal_and_numbers_that_do_not_come_back(home: Home) -> None:
    home.dataset("gone", {"a.txt": b"1"})
    home.dataset("gone", {"a.txt": b"2"})
    assert home.http.delete(f"{home.base}/datasets/gone/versions/2").status_code == 204
    assert home.get("gone").json()["newest"]["number"] == 1
    assert home.dataset("gone", {"a.txt": b"3"}) == 3
    assert home.http.delete(f"{home.base}/datasets/gone").status_code == 428
    seen = {"If-Match": home.get("gone").headers["etag"]}
    assert home.http.delete(f"{home.base}/datasets/gone", headers=seen).status_code == 204
    assert home.get("gone").status_code == 404


# --- whose content ---


def test_knowing_a_digest_is_not_having_the_file(home: Home, person: Callable[..., Person]) -> None:
    """Somebody else's content must be sent once more to become part of one's own dataset."""
    secret = os.urandom(100)
    home.dataset("secret", {"s.bin": secret})
    thief = Home(person())
    thief.create("mine")
    refused = thief.add("mine", {"s.bin": secret})
    assert refused.status_code == 409 and refused.json()["code"] == "missing_content"
    (upload,) = thief.begin(secret)
    assert not upload["done"] and upload["received"] == 0
    assert home.begin(secret)[0]["done"], "the own project has it"
    foreign = thief.http.put(f"{thief.base}/uploads/{home.begin(b'other')[0]['id']}", content=b"other")
    assert foreign.status_code == 404
    wrong = home.http.post(
        f"{home.base}/datasets/secret/versions",
        json={"files": [{"path": "s.bin", "size": 99, "digest": digest(secret)}]},
    )
    assert wrong.json()["code"] == "missing_content"


# --- uploads ---


def test_a_large_file_in_pieces_goes_on_where_it_stopped(home: Home) -> None:
    data = os.urandom(20 * MB)
    (upload,) = home.begin(data)
    assert home.put(upload["id"], data[: 8 * MB]).json()["received"] == 8 * MB
    wrong = home.put(upload["id"], data[: 8 * MB])
    assert wrong.status_code == 409 and wrong.json()["offset"] == 8 * MB and wrong.json()["code"] == "upload_offset"
    assert home.begin(data)[0] == {**upload, "received": 8 * MB}, "beginning again is going on"
    assert home.http.get(f"{home.base}/uploads/{upload['id']}").json()["received"] == 8 * MB
    done = home.put(upload["id"], iter([data[8 * MB :]]), 8 * MB).json()
    assert done["done"] and done["received"] == len(data)
    assert home.put(upload["id"], b"", len(data)).json()["done"], "saying it again is fine"
    home.create("large")
    assert home.add("large", {"large.bin": data}).status_code == 201
    assert home.get("large/versions/1/content").content == data


def test_what_came_before_a_break_is_kept(home: Home, server: Server) -> None:
    data = os.urandom(6 * MB)
    (upload,) = home.begin(data)
    host, port = server.url.removeprefix("http://").partition("/")[0].split(":")
    path = f"/{server.url.removeprefix('http://').partition('/')[2]}{home.base}/uploads/{upload['id']}?offset=0"
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {home.http.headers['authorization']}\r\n"
    # The size of this request is not the file's, so that it is taken as a piece.
    raw = socket.create_connection((host, int(port)), timeout=10)
    raw.sendall(f"{head}Content-Length: {5 * MB}\r\n\r\n".encode() + data[: 4 * MB])
    raw.close()
    for _ in range(100):
        received = home.begin(data)[0]["received"]
        if received:
            break
        threading.Event().wait(0.05)
    assert 0 < received <= 4 * MB
    assert home.put(upload["id"], data[received:], received).json()["done"]


def test_two_who_send_the_same_piece_count_once(home: Home) -> None:
    data = os.urandom(17 * MB)
    (upload,) = home.begin(data)
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(home.put(upload["id"], data[: 9 * MB]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert home.put(upload["id"], data[9 * MB :], 9 * MB).json()["done"]


@pytest.mark.parametrize("size", [100, 17 * MB])
def test_a_content_that_is_not_what_it_says(home: Home, size: int) -> None:
    data = bytes(size)
    (upload,) = home.begin(data)
    answer = home.put(upload["id"], b"x" + data[1:])
    assert answer.status_code == 422 and answer.json()["code"] == "digest_mismatch" and answer.json()["hint"]
    assert home.put(upload["id"], data).status_code == 404, "the damaged upload is gone"
    home.upload(data)


def test_more_than_was_announced(home: Home) -> None:
    (upload,) = home.begin(b"1234567890")
    answer = home.put(upload["id"], b"12345678901")
    assert answer.status_code == 422 and answer.json()["code"] == "too_long"
    assert home.put(upload["id"], b"1234567890").json()["done"]


def test_empty_files_and_limits(home: Home) -> None:
    home.dataset("empty", {"nothing": b"", "something": b"x"})
    assert home.get("empty/versions/1/content", params={"path": "nothing"}).content == b""
    lie = home.http.post(f"{home.base}/uploads", json={"files": [{"digest": digest(b"x"), "size": 0}]})
    assert lie.status_code == 422 and lie.json()["code"] == "digest_mismatch"
    huge = home.http.post(f"{home.base}/uploads", json={"files": [{"digest": digest(b"x"), "size": 2**60}]})
    assert huge.status_code == 413
    many = {"files": [{"digest": digest(b"x"), "size": 1}] * 1001}
    assert home.http.post(f"{home.base}/uploads", json=many).status_code == 422


def test_old_uploads_are_forgotten_and_versions_keep_their_contents(home: Home, server: Server) -> None:
    kept, dropped = os.urandom(1000), os.urandom(17 * MB)
    home.dataset("kept", {"a": kept})
    (upload,) = home.begin(dropped)
    home.put(upload["id"], dropped[:1000])
    folder = Path(server.context.store.root) / uploads.FOLDER
    assert (folder / upload["id"]).is_dir()
    (folder / "uorphan").mkdir()
    (folder / "uorphan" / "piece").write_bytes(b"x")
    assert uploads.forget_old(server.context, -1) >= 2
    assert not (folder / upload["id"]).exists() and not (folder / "uorphan").exists()
    assert home.http.get(f"{home.base}/uploads/{upload['id']}").json()["code"] == "no_upload"
    assert home.begin(kept)[0]["done"], "a version has it"
    assert home.get("kept/versions/1/content").content == kept


# --- content ---


def test_parts_and_headers_of_a_file(home: Home) -> None:
    home.dataset("sound", {'a b"é.wav': bytes(range(256)) * 10})
    url = "sound/versions/1/content"
    whole = home.get(url)
    assert whole.headers["content-type"] in {"audio/x-wav", "audio/wav"} and whole.headers["accept-ranges"] == "bytes"
    assert (
        whole.headers["content-security-policy"].startswith("sandbox")
        and whole.headers["x-content-type-options"] == "nosniff"
    )
    part = home.get(url, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == bytes(range(10, 20))
    assert part.headers["content-range"] == "bytes 10-19/2560"
    assert home.get(url, headers={"Range": "bytes=2550-"}).content == whole.content[2550:]
    assert home.get(url, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert home.get(url, headers={"Range": "bytes=9999-"}).status_code == 416
    for odd in ("bytes=5-1,7-9", "lines=1-2", "bytes=-"):
        assert home.get(url, headers={"Range": odd}).status_code == 200


def test_a_page_in_a_dataset_is_no_page_for_a_browser(home: Home) -> None:
    home.dataset("page", {"index.html": b"<script>alert(1)</script>"})
    answer = home.get("page/versions/1/content")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "attachment" in answer.headers["content-disposition"]


# --- previews ---


def test_csv(home: Home) -> None:
    text = "name;n;x;flag;none\n" + "".join(f'"a;{i}";{i};{i / 2};true;\n' for i in range(150))
    seen = home.preview("csv", "t.csv", text.encode())
    assert seen["kind"] == "table" and seen["more"] and seen["total"] is None
    assert [(one["name"], one["type"]) for one in seen["columns"]] == [
        ("name", "string"), ("n", "int64"), ("x", "double"), ("flag", "bool"), ("none", "null"),
    ]  # fmt: skip
    assert seen["rows"][3] == ["a;3", 3, 1.5, True, None] and len(seen["rows"]) == 100
    few = home.get("csv/versions/1/preview", params={"rows": 2}).json()
    assert len(few["rows"]) == 2 and few["more"]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ("姓名,岁\n王,5\n".encode("gb18030"), [["王", 5]]),
        ("\ufeffname,n\r\nx,1\r\n".encode(), [["x", 1]]),
        (b"a,b\n1\n1,2,3\n", [[1, None, None], [1, 2, 3]]),
        (b"a\n99999999999999999999\n", [["99999999999999999999"]]),
        (b"a\nnan\n", [["nan"]]),
        (b"", []),
        (b"only,a,header\n", []),
    ],
)
def test_csv_as_people_write_it(home: Home, data: bytes, rows: list[list[Any]]) -> None:
    seen = home.preview("odd", "t.csv", data)
    assert seen["kind"] == "table" and seen["rows"] == rows and seen["total"] == len(rows)


def test_jsonl(home: Home) -> None:
    lines = [{"a": 1, "b": "x"}, {"a": 2.5, "c": [1, {"d": None}]}, {"b": None}]
    seen = home.preview("jsonl", "t.jsonl", "\n".join(map(json.dumps, lines)).encode())
    assert [(one["name"], one["type"]) for one in seen["columns"]] == [("a", "double"), ("b", "string"), ("c", "list")]
    assert seen["rows"] == [[1, "x", None], [2.5, None, '[1, {"d": null}]'], [None, None, None]] and seen["total"] == 3
    broken = home.preview("broken", "t.jsonl", b'{"a": 1}\nnot json\n')
    assert broken["kind"] == "text" and "not JSON" in broken["problem"] and broken["text"].startswith('{"a": 1}')


def test_parquet_and_arrow(home: Home) -> None:
    table = pyarrow.table({
        "n": list(range(1000)), "text": ["x" * 1000] * 1000, "big": [2**60] * 1000, "nan": [float("nan")] * 1000,
        "raw": [b"123"] * 1000, "deep": [{"a": [1]}] * 1000, "none": [None] * 1000,
    })  # fmt: skip
    packed = io.BytesIO()
    pyarrow.parquet.write_table(table, packed)
    seen = home.preview("pq", "t.parquet", packed.getvalue(), rows=3)
    assert seen["total"] == 1000 and seen["more"] and len(seen["rows"]) == 3
    assert [one["type"] for one in seen["columns"]][:3] == ["int64", "string", "int64"]
    assert seen["rows"][2] == [2, "x" * 500 + "…", str(2**60), "nan", "<3 bytes>", '{"a": [1]}', None]
    feather = io.BytesIO()
    pyarrow.feather.write_feather(table, feather)
    arrow = home.preview("ft", "t.feather", feather.getvalue(), rows=3)
    assert arrow["rows"] == seen["rows"] and arrow["total"] == 1000


def test_media_text_and_what_is_neither(home: Home) -> None:
    files = {
        "p.png": b"\x89PNG\r\n\x1a\n", "s.mp3": b"ID3", "v.mp4": b"\0\0",
        "n.txt": "grüß\n".encode() * 20_000, "b.bin": b"\0\1",
        "j.json": b'{"a": 1}', "latin.txt": b"caf\xe9", "x.unknown": b"plain words",
    }  # fmt: skip
    home.dataset("media", files)

    def look(path: str) -> dict[str, Any]:
        return dict(home.get("media/versions/1/preview", params={"path": path}).json())

    assert (look("p.png")["kind"], look("s.mp3")["kind"], look("v.mp4")["kind"]) == ("image", "audio", "video")
    text = look("n.txt")
    assert (
        text["kind"] == "text" and text["text"].startswith("grüß") and text["more"] and len(text["text"]) <= 64 * 1024
    )
    assert look("b.bin")["kind"] == "binary" and look("j.json")["text"] == '{"a": 1}'
    assert look("x.unknown")["text"] == "plain words" and look("latin.txt")["kind"] == "text"
    assert home.get("media/versions/1/preview").json()["code"] == "no_file"


def test_a_file_made_to_break_its_reader(home: Home) -> None:
    """Damaged, and one whose parts unpack to far more than a preview may take: said, and the control plane lives on."""
    packed = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"x": list(range(1000))}), packed)
    damaged = bytearray(packed.getvalue())
    damaged[10:200] = os.urandom(190)
    assert home.preview("damaged", "t.parquet", bytes(damaged))["kind"] in {"binary", "table"}
    assert home.preview("no", "t.parquet", b"PAR1 this is none PAR1")["problem"]
    bomb = io.BytesIO()
    # One text, thirty times: little here, and 1.8 GB for who unpacks it.
    text = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 30, pyarrow.int32()), ["y" * (60 * MB)])
    table = pyarrow.table({"x": text})
    pyarrow.parquet.write_table(table, bomb, compression="zstd", store_schema=False, dictionary_pagesize_limit=100 * MB)
    assert len(bomb.getvalue()) < 5 * MB
    seen = home.preview("bomb", "t.parquet", bomb.getvalue())
    assert seen["kind"] == "binary" and "too large" in seen["problem"]
    quotes = home.preview("quotes", "t.csv", b'"' + b"x" * (3 * MB))
    assert quotes["kind"] in {"table", "text"}
    zipped = home.preview("zip", "t.csv.gz", gzip.compress(b"a,b\n"))
    assert zipped["kind"] == "binary"
    assert home.http.get("/health").status_code == 200
