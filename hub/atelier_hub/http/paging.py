"""Lists come in pages: `?limit=&cursor=` in, `{"items": […], "next": cursor or null}` out."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import Session

from atelier_core import json_values
from atelier_core.errors import Invalid

T = TypeVar("T")
DEFAULT_LIMIT = 100
MAX_LIMIT = 500


class Page(BaseModel, Generic[T]):
    """One page of a list; `next` asks for the one after it."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True)
class Paging:
    """Which page is asked for."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Paging:
    return Paging(limit, cursor)


PagingQuery = Annotated[Paging, Depends(_paging)]


def fetch(
    session: Session,
    statement: Select[Any],
    keys: Sequence[Any],
    paging: Paging,
    *,
    convert: Callable[[Any], T],
    descending: bool = False,
) -> Page[T]:
    """One page of `statement` in the order of `keys` (columns, str or int, together unique)."""
    columns: list[ColumnElement[Any]] = [getattr(key, "expression", key) for key in keys]
    if paging.cursor:
        after = tuple_(*_decode(paging.cursor, columns))
        place = tuple_(*columns)
        statement = statement.where(place < after if descending else place > after)
    order = [column.desc() if descending else column.asc() for column in columns]
    rows = list(session.scalars(statement.order_by(*order).limit(paging.limit + 1)))
    more = len(rows) > paging.limit
    rows = rows[: paging.limit]
    cursor = _encode([getattr(rows[-1], key.key) for key in keys]) if more else None
    return Page(items=[convert(row) for row in rows], next=cursor)


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str, columns: Sequence[ColumnElement[Any]]) -> list[Any]:
    bad = Invalid("The cursor is not one that this list gave out.", code="bad_cursor", hint="Begin without a cursor.")
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        json_values.check(values)
    except (binascii.Error, ValueError, RecursionError):
        raise bad from None
    if not isinstance(values, list) or len(values) != len(columns):
        raise bad
    for value, column in zip(values, columns, strict=True):
        if type(value) is not column.type.python_type or (isinstance(value, int) and abs(value) >= 2**63):
            raise bad
    return values
