"""Where data come from: the web and databases, with passwords that stay secret, and a sentence for what goes wrong."""

from __future__ import annotations

import csv
import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from atelier_templates.loader import Library
from tests.atelier_templates.mariadb import MISSING, PASSWORD, MariaDB, installed
from tests.atelier_templates.running import Bench, Ended, Warm, on, step
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres

TABLE = "age,city,bought\n34,Köln,yes\n28,Bonn,no\n"
TOKEN = "a-token-of-the-project"
CREATE = (
    "CREATE TABLE shop (id INTEGER, price NUMERIC(10,2), paid BOOLEAN, at TIMESTAMP NULL, city VARCHAR(9), "
    "code VARCHAR(9))",
    "INSERT INTO shop VALUES (1, 10.50, TRUE, '2026-01-02 03:04:05', 'Köln', '0042'), "
    "(2, NULL, FALSE, NULL, NULL, '7%')",
)


class Site(BaseHTTPRequestHandler):
    """A small web site with a table, a packed table, a page, and a table that asks for a token."""

    def do_GET(self) -> None:
        pages = {
            "/data.csv": ("text/csv", TABLE.encode()),
            "/packed.csv.gz": ("application/gzip", gzip.compress(TABLE.encode())),
            "/page": ("text/html", b"<html></html>"),
        }
        if self.path == "/closed.csv" and self.headers.get("Authorization") == f"Bearer {TOKEN}":
            pages["/closed.csv"] = ("text/csv", TABLE.encode())
        elif self.path == "/closed.csv":
            self.send_error(401)
            return
        if self.path not in pages:
            self.send_error(404)
            return
        kind, body = pages[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with site_on("127.0.0.1") as address:
        yield address


@contextmanager
def site_on(host: str) -> Iterator[str]:
    """The web site, and where it is."""
    server = ThreadingHTTPServer((host, 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{host}:{server.server_address[1]}"
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture
def bench(tmp_path: Path, library: Library, environments: Mapping[str, Path], warm: Warm) -> Bench:
    return Bench(
        tmp_path, library, environments, secrets={"token": TOKEN, "db": PASSWORD, "wrong": "guessed"}, warm=warm
    )


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    if not installed():
        pytest.skip(MISSING)
    server = MariaDB()
    server.start()
    server.run("CREATE DATABASE shop CHARACTER SET utf8mb4")
    yield server
    server.stop()


def imported(bench: Bench, source: str, secrets: dict[str, str] | None = None, **given: Any) -> Ended:
    return bench.run(on(step("in", "dataset-import", {"source": source, **given}), secrets=secrets or {}))["in"]


def rows_of(ended: Ended) -> list[dict[str, str]]:
    assert ended.code == 0, ended.log
    with (ended.outputs / "data" / "data.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("path", ["/data.csv", "/packed.csv.gz"])
def test_a_table_of_the_web(bench: Bench, site: str, path: str) -> None:
    rows = rows_of(imported(bench, site + path))
    assert [row["city"] for row in rows] == ["Köln", "Bonn"]


def test_a_table_behind_a_token(bench: Bench, site: str) -> None:
    ended = imported(bench, f"{site}/closed.csv", {"URL_TOKEN": "token"})
    assert len(rows_of(ended)) == 2
    assert TOKEN not in ended.log


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/closed.csv", "answered 401 (Unauthorized)"),
        ("/closed.csv", "give it to this step as URL_TOKEN"),
        ("/nothing.csv", "answered 404"),
        ("/page", "is a web page and not a CSV file"),
    ],
)
def test_what_the_web_refuses_gets_a_sentence(bench: Bench, site: str, path: str, says: str) -> None:
    refused(imported(bench, site + path), says)


def test_an_address_that_nobody_answers(bench: Bench) -> None:
    refused(imported(bench, f"http://127.0.0.1:{free_port()}/data.csv"), "cannot be read: [Errno 111]")


def test_a_table_of_postgresql(bench: Bench, postgres: Postgres) -> None:
    address = postgres.database()
    fill(address)
    shown = f"postgresql://postgres@127.0.0.1:{postgres.port}/{address.rpartition('/')[2]}"
    ended = imported(
        bench, shown, {"DATABASE_PASSWORD": "db"}, query="SELECT * FROM shop WHERE code LIKE '%4%' OR id = 2"
    )
    check_shop(rows_of(ended))
    refused(imported(bench, shown, query="DELETE FROM shop"), 'syntax error at or near "DELETE"')
    with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE numbers")
    refused(imported(bench, shown, query="SELECT nextval('numbers')"), "in a read-only transaction")
    refused(imported(bench, shown, query="SELECT * FROM shops"), 'relation "shops" does not exist')
    refused(imported(bench, shown, query="SELECT * FROM shop", most_rows=1), "gives more than 1 rows")
    refused(imported(bench, shown), "A database needs a query")
    with psycopg.connect(address.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM shop").fetchone() == (2,)


def test_a_table_of_mysql(bench: Bench, mariadb: MariaDB) -> None:
    mariadb.run("USE shop; DROP TABLE IF EXISTS shop; " + "; ".join(CREATE))
    shown = f"mysql://ann@127.0.0.1:{mariadb.port}/shop"
    query = "SELECT * FROM shop WHERE code LIKE '%4%' OR id = 2"
    check_shop(rows_of(imported(bench, shown, {"DATABASE_PASSWORD": "db"}, query=query)))
    wrong = imported(bench, shown, {"DATABASE_PASSWORD": "wrong"}, query=query)
    refused(wrong, "Access denied for user 'ann'")
    assert "guessed" not in wrong.log
    refused(imported(bench, shown, query=query), "The step has no DATABASE_PASSWORD")
    changed = imported(bench, shown, {"DATABASE_PASSWORD": "db"}, query="DELETE FROM shop")
    refused(changed, "READ ONLY transaction")
    assert PASSWORD not in changed.log


def fill(address: str) -> None:
    engine = sqlalchemy.create_engine(address, execution_options={"no_parameters": True})
    with engine.begin() as connection:
        for statement in CREATE:
            connection.exec_driver_sql(statement)
    engine.dispose()


def check_shop(rows: list[dict[str, str]]) -> None:
    """Numbers are numbers, gaps are gaps, texts keep their zeros."""
    assert [row["id"] for row in rows] == ["1", "2"]
    assert [row["price"] for row in rows] == ["10.5", ""]
    assert [row["city"] for row in rows] == ["Köln", ""]
    assert [row["code"] for row in rows] == ["0042", "7%"]
    assert rows[0]["at"] == "2026-01-02 03:04:05"


def test_a_table_of_a_file(bench: Bench) -> None:
    file = bench.project / "shop.db"
    fill(f"sqlite:///{file}")
    check_shop(rows_of(imported(bench, "sqlite:///shop.db", query="SELECT * FROM shop")))
    refused(imported(bench, "sqlite:///shop.db", query="DELETE FROM shop"), "readonly database")
    refused(imported(bench, "sqlite:///other.db", query="SELECT 1"), "no file 'other.db'")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("postgresql://ann:secret@127.0.0.1/shop", "The address holds a password"),
        ("postgresql://ann@127.0.0.1/shop?password=secret", "The address holds a password"),
        ("https://ann:secret@127.0.0.1/shop.csv", "The address holds a password"),
        ("oracle://ann@127.0.0.1/shop", "oracle:// is not known here. Known are: http, https, sqlite, postgresql"),
        ("mysql://ann@127.0.0.1:port/shop", "is not an address of a database"),
    ],
)
def test_addresses_that_cannot_be(bench: Bench, source: str, says: str) -> None:
    ended = imported(bench, source, query="SELECT 1")
    refused(ended, says)
    assert "secret@" not in ended.log and "=secret" not in ended.log


def refused(ended: Ended, says: str) -> None:
    assert ended.code == 1, ended.log
    assert says in ended.log
    assert "Traceback" not in ended.log
