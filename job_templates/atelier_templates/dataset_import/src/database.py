"""Tables from databases: PostgreSQL, MySQL, MariaDB, and SQLite files."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import step

PASSWORD = "DATABASE_PASSWORD"  # noqa: S105 - the name of a variable
DRIVERS = {
    "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}  # fmt: skip
WAIT = 20


def is_address(source: str) -> bool:
    """Whether a source is the address of a database; one of a kind that is not known here ends the step."""
    scheme, mark, _ = source.partition("://")
    if not mark:
        return False
    if scheme.lower() not in DRIVERS:
        step.fail(f"{scheme}:// is not known here. Known are: http, https, sqlite, {', '.join(DRIVERS)}.")
    return True


def read_file(file: Path, given: dict[str, Any]) -> pd.DataFrame:
    """What a query gives from an SQLite file, which stays as it is."""
    from sqlalchemy import URL

    return _ask(URL.create("sqlite", database=f"file:{file}", query={"mode": "ro", "uri": "true"}), given, "")


def read(address: str, given: dict[str, Any]) -> pd.DataFrame:
    """What a query gives; the password comes from the step's secret, never from the address."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme, _, rest = address.partition("://")
    try:
        url = make_url(f"{DRIVERS[scheme.lower()]}://{rest}")
    except (ArgumentError, ValueError):
        step.fail(f"{address!r} is not an address of a database. Write {scheme}://USER@HOST:PORT/DATABASE.")
    if url.password or any("pass" in name.lower() for name in url.query):
        step.fail("The address holds a password, which all who see the pipeline could read. Keep it as a secret of the "
                  f"project and give it to this step as the variable {PASSWORD}, under Advanced.")  # fmt: skip
    password = os.environ.get(PASSWORD, "")
    return _ask(url.set(password=password or None), given, password)


def _ask(url: Any, given: dict[str, Any], password: str) -> pd.DataFrame:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    query = given["query"].strip()
    if not query:
        step.fail("A database needs a query, for example: SELECT * FROM customers. Write it into the field Query.")
    waits = {} if url.get_backend_name() == "sqlite" else {"connect_timeout": WAIT}
    try:
        engine = create_engine(url, connect_args=waits, poolclass=NullPool)
        with engine.connect() as connection:
            names, rows = _rows(connection, query, given["most_rows"])
    except (SQLAlchemyError, ValueError) as error:
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        words = words.replace(password, "***") if password else words
        closed = isinstance(error, OperationalError) and url.get_backend_name() != "sqlite" and not password
        hint = f" The step has no {PASSWORD}." if closed else ""
        step.fail(f"The database {url.host or Path(url.database).name} refused: {words}.{hint}")
    columns = {position: _column(name, [row[position] for row in rows]) for position, name in enumerate(names)}
    frame = pd.DataFrame(columns)
    frame.columns = names
    print(f"{len(rows)} rows from {url.host or Path(url.database).name}.", flush=True)
    return frame


def _rows(connection: Any, query: str, most: int) -> tuple[list[str], list[Any]]:
    """Names and rows of a query that may only read."""
    kind = connection.dialect.name
    if kind in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        connection.commit()
    options = {"stream_results": True, "no_parameters": True}  # so that a % in the query is a %
    if kind == "postgresql":
        options["postgresql_readonly"] = True
    result = connection.execution_options(**options).exec_driver_sql(query)
    if not result.returns_rows:
        step.fail("The query gives no table. Write one that begins with SELECT or WITH.")
    rows = result.fetchmany(most + 1)
    if len(rows) > most:
        step.fail(f"The query gives more than {most} rows. Ask for fewer, for example with LIMIT, or allow more.")
    return list(result.keys()), rows


def _column(name: str, values: list[Any]) -> pd.Series:
    """Numbers as 64-bit numbers, everything else as text."""
    there = [one for one in values if one is not None]
    if any(isinstance(one, bytes | memoryview) for one in there):
        step.fail(f"The column {name!r} holds bytes, which are neither numbers nor texts. Leave it out of the query.")
    if there and all(isinstance(one, int | float | Decimal) and not isinstance(one, bool) for one in there):
        whole = len(there) == len(values) and all(isinstance(one, int) and abs(one) < 2**63 for one in there)
        return pd.Series(values, dtype="int64") if whole else pd.Series(map(_fraction, values), dtype="float64")
    return pd.Series([None if one is None else str(one) for one in values], dtype="object")


def _fraction(value: Any) -> float:
    return float("nan") if value is None else float(value)
