"""Who may ask: the person whose server this is, and nobody else. How refusals and errors look, once for all routes."""

from __future__ import annotations

import json
from http.client import responses
from inspect import isawaitable
from typing import Any, TypeVar

from jupyter_server.base.handlers import APIHandler
from pydantic import BaseModel, ValidationError
from tornado.web import HTTPError

from atelier_core import errors
from atelier_sdk.errors import AtelierError as PlatformError
from atelier_sdk.errors import SnapshotError
from atelier_server.settings import Settings

B = TypeVar("B", bound=BaseModel)
_STATUS: dict[type[errors.AtelierError], int] = {
    errors.Invalid: 422,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.BackendUnavailable: 503,
}
AWAY = "control_plane_away"
AWAY_HINT = "It may be restarting: this page goes on by itself. `atelier status` on its machine says more."


def away(why: str = "") -> errors.BackendUnavailable:
    """What a person is told while the control plane does not answer."""
    message = f"The control plane does not answer{f' ({why})' if why else ''}; what runs goes on running."
    return errors.BackendUnavailable(message, code=AWAY, hint=AWAY_HINT)


def error_body(error: BaseException) -> tuple[int, dict[str, Any]] | None:
    """Status and body for an error that a person may see; none for a bug."""
    if isinstance(error, errors.AtelierError):
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
        return status, {"message": error.message, "code": error.code, "hint": error.hint}
    if isinstance(error, SnapshotError):
        return 422, {"message": error.message, "code": error.code, "hint": error.hint}
    if isinstance(error, PlatformError):
        if error.status in {0, 502, 503, 504} and error.code in {"unreachable", "unavailable"}:
            return error_body(away())
        body = {"message": error.message, "code": error.code, "hint": error.hint, "trace": error.trace}
        return error.status or 503, body | error.details
    return None


def check_owner(user: Any, owner: str) -> None:
    """Raise `Forbidden` unless `user`, as Jupyter's identity provider found them, is the server's owner."""
    model = getattr(user, "hub_user", None)
    # A hub service may have the name of a user, and must not become that user.
    if owner and isinstance(model, dict) and model.get("kind") == "user" and model.get("name") == owner:
        return
    if not owner:
        raise errors.Forbidden(
            "This Jupyter server was not started by a hub, so it is nobody's on the platform.",
            code="no_hub",
            hint="Open JupyterLab from the hub's page (`atelier up` prints its address).",
        )
    if model is None:
        raise errors.Forbidden(
            "Jupyter does not know who asks.", code="not_signed_in", hint="Reload the page; sign in again if asked."
        )
    raise errors.Forbidden(
        f"This server is {owner}'s: you share its files and kernels, not {owner}'s projects, runs and data.",
        code="not_the_owner",
        hint="Open your own server from the hub's page and work with the platform there.",
    )


class OwnerOnly:
    """Mix-in before a Jupyter handler: after Jupyter's own checks, only the owner goes on."""

    platform: Settings

    async def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Jupyter's checks (sign-in, origin, XSRF), then ours."""
        done = super().prepare(*args, **kwargs)  # type: ignore[misc]
        if isawaitable(done):
            await done
        if not self._finished:  # type: ignore[attr-defined]
            check_owner(self.current_user, self.platform.user)  # type: ignore[attr-defined]

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """What is told to the person is not also a traceback in the log."""
        if error_body(value) is None:
            super().log_exception(kind, value, trace)  # type: ignore[misc]

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """The status that belongs to the error."""
        told = error_body(kwargs["exc_info"][1]) if "exc_info" in kwargs else None
        super().send_error(told[0] if told else status_code, **kwargs)  # type: ignore[misc]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one shape of an error: `{message, code, hint}`."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        told = error_body(error) if error is not None else None
        body = told[1] if told else _foreign_error(status_code, error)
        if status_code == 503:
            self.set_header("Retry-After", "2")  # type: ignore[attr-defined]
        self.set_header("Content-Type", "application/json")  # type: ignore[attr-defined]
        self.finish(json.dumps(body))  # type: ignore[attr-defined]


def _foreign_error(status: int, error: BaseException | None) -> dict[str, str]:
    said = error.log_message if isinstance(error, HTTPError) else ""
    if status == 403 and not said:
        said = "You are not signed in, or this page is too old."
    hint = "Reload the page; sign in again if asked." if status in {401, 403} else ""
    code = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "wrong_method"}.get(status, "error")
    return {"message": said or responses.get(status, "It did not work"), "code": code, "hint": hint}


class OwnerHandler(OwnerOnly, APIHandler):
    """Base of all our routes."""

    def initialize(self, platform: Settings) -> None:
        """`platform` is what the server was told at its start."""
        self.platform = platform

    def body(self, kind: type[B]) -> B:
        """The request's JSON as a `kind`; `Invalid` says which field is wrong."""
        try:
            return kind.model_validate_json(self.request.body or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the body"
            raise errors.Invalid(f"{place}: {first['msg']}.", hint="Correct the request.") from None
