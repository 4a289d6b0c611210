"""Every error becomes `{message, code, hint, trace}` here, once."""

from __future__ import annotations

import errno
import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from atelier_core import errors, json_values
from atelier_core.pipeline.document import InvalidPipeline

log = logging.getLogger(__name__)

STATUS: dict[type[errors.AtelierError], int] = {
    errors.Invalid: 422,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.QuotaExceeded: 409,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.BackendUnavailable: 503,
    errors.StorageFull: 507,
}
STATUS_BY_CODE = {"if_match_required": 428, "stale": 412, "gone": 410, "range_not_satisfiable": 416}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class ErrorBody(BaseModel):
    """The one shape of an error; `problems` has everything that is wrong with a pipeline."""

    message: str
    code: str
    hint: str = ""
    trace: str = ""
    field: str | None = None
    problems: list[dict[str, str]] | None = None


def storage_full() -> errors.StorageFull:
    """What a person is told when there is no room."""
    return errors.StorageFull(
        "There is no room left on the disk where the platform keeps its data; nothing was changed.",
        hint="Remove what is not needed (old runs, artifacts, files), or ask the operator for more room.",
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` says that the disk is full, in the words of the system or of a database."""
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL
    if isinstance(error, DBAPIError):
        text = str(error.orig).lower()
        return "database or disk is full" in text or "no space left on device" in text
    return False


def public_error(error: BaseException) -> errors.AtelierError | None:
    """The error to show for `error`; none if it is a bug."""
    if isinstance(error, errors.AtelierError):
        return error
    if is_disk_full(error):
        return storage_full()
    if isinstance(error, IntegrityError):
        return errors.Conflict("It exists already, or something else still refers to it.", hint="Reload and try again.")
    if isinstance(error, DataError):
        return errors.Invalid("A value holds characters or numbers that cannot be stored.", code="bad_value")
    # The server ends connections with errors of other kinds, too, as when this process was paused inside a transaction.
    ended = isinstance(error, DBAPIError) and error.connection_invalidated
    if ended or isinstance(error, OperationalError | PoolTimeout):
        return errors.BackendUnavailable(
            "The database cannot be reached now; nothing was changed.", hint="Try again in a moment."
        )
    return None


def answer(error: errors.AtelierError, trace: str = "", **extra: Any) -> JSONResponse:
    """`error` as a response."""
    status = STATUS_BY_CODE.get(error.code) or next(
        (status for kind, status in STATUS.items() if isinstance(error, kind)), 400
    )
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "2"
    if isinstance(error, errors.TooMany):
        headers["Retry-After"] = str(error.retry_after)
    return JSONResponse(
        {"message": error.message, "code": error.code, "hint": error.hint, "trace": trace} | extra,
        status_code=status,
        headers=headers,
    )


def install(app: FastAPI) -> None:
    """Map every exception of `app`."""
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    for kind in (errors.AtelierError, DBAPIError, PoolTimeout, OSError):
        app.add_exception_handler(kind, _on_known)
    app.add_exception_handler(Exception, _on_unknown)


async def _on_known(request: Request, error: Exception) -> JSONResponse:
    public = public_error(error)
    if public is None:
        return await _on_unknown(request, error)
    if not isinstance(error, errors.AtelierError):
        log.warning("%s %s: %s", request.method, request.url.path, error)
    if isinstance(public, InvalidPipeline):
        return answer(public, problems=public.details())
    return answer(public)


async def _on_unknown(request: Request, error: Exception) -> JSONResponse:
    trace = secrets.token_hex(8)
    log.error("trace %s: %s %s failed", trace, request.method, request.url.path, exc_info=error)
    body = ErrorBody(
        message="Something went wrong inside the platform.",
        code="internal",
        hint=f"Try again; if it stays, give the operator the trace id {trace}.",
        trace=trace,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status_code=500)


async def _on_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = [json_values.text(str(part)) for part in first["loc"]]
    field = ".".join(where[1:]) or where[0]
    more = len(error.errors()) - 1
    text = f"{field}: {first['msg'].removeprefix('Value error, ')}"
    if more:
        text = f"{text} (and {more} more)"
    return answer(errors.Invalid(text, hint="Correct the named field and send it again."), field=field)


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    cause = error.__cause__
    if isinstance(cause, errors.AtelierError):  # raised while the body was read
        return answer(cause)
    known = {404: ("There is nothing at this address.", "not_found"), 405: ("Not possible here.", "method_not_allowed")}
    message, code = known.get(error.status_code, (str(error.detail), "error"))
    body = ErrorBody(message=message, code=code)
    return JSONResponse(body.model_dump(exclude_none=True), status_code=error.status_code, headers=error.headers)
