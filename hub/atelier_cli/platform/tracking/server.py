"""MLflow's server with Atelier's rules before it; runs in MLflow's own environment, so it imports nothing of ours.

    python server.py PORT ADMIN CONFIG

Everything else that MLflow must know is in the environment (`atelier_cli.platform.tracking.process`). People reach it
through the gateway only, which swaps their token for an account `level@workspace`. Such an account

- speaks to the routes that MLflow's Python client uses, and to no other: not to those that manage users, call webhooks
  or language models, or run jobs;
- is in its own workspace, whatever the request says;
- neither calls a version `production` nor removes registered models: Atelier asks first who approved, and who uses it;
- writes none of Atelier's own tags. All members of a project share one account, so the gateway says who it is
  (`ACTOR`), and what they register is marked with that name.
"""

from __future__ import annotations

import base64
import binascii
import gc
import json
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

PRODUCTION = "production"
HEADER = b"x-mlflow-workspace"
ACTOR = "X-Atelier-Actor"  # the gateway sets it on whatever it passes on, and takes it from nobody
TAG = "atelier."
_LONGEST_KEY = 250  # of MLflow's tags
_FAMILIES = "experiments|runs|metrics|artifacts|registered-models|model-versions|logged-models|traces"
_ALLOWED = re.compile(
    rf"/(health|version)|/api/\d\.0/mlflow/({_FAMILIES})(/[^?]*)?"
    r"|/api/\d\.0/mlflow/(server-info|workspaces(/[^/]*)?)"
    r"|/api/2\.0/mlflow-artifacts/artifacts(/.*)?|/v1/traces"
)
_NEVER = re.compile(r".*/(permissions|jobs|webhooks|search-datasets|assessments?|archive)(/.*)?")
_READS = frozenset({"GET", "HEAD"})
_REMOVES = re.compile(r"/api/\d\.0/mlflow/(registered-models/(delete|rename)|model-versions/delete)")

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]


class Rules:
    """The application that stands before MLflow."""

    def __init__(self, app: App, admin: str) -> None:
        self._app = app
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Let a request pass, as one of its account's workspace, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        account = account_of(scope)
        if account != self._admin:
            refusal = self._refusal(scope, account)
            if refusal:
                await _refuse(send, *refusal)
                return
            if "@" in account:
                scope = _in_workspace(scope, account.partition("@")[2])
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, account: str) -> tuple[int, str] | None:
        path = scope["path"]
        if not _ALLOWED.fullmatch(path) or _NEVER.fullmatch(path):
            return 404, f"{path} is not offered here: Atelier's MLflow has experiments, runs, artifacts and models."
        if re.fullmatch(r"/api/\d\.0/mlflow/workspaces(/.*)?", path) and scope["method"] not in _READS:
            return 403, "Workspaces are made by Atelier: one for each project."
        if _REMOVES.fullmatch(path):
            return 403, "Registered models are removed by Atelier, which looks who uses them: atelier model delete."
        asked = [value.decode("latin-1").strip() for name, value in scope["headers"] if name == HEADER]
        own = account.partition("@")[2]
        if any(one not in ("", own) for one in asked):
            return 403, f"This account belongs to the workspace {own!r}, and the request names another."
        return None


def account_of(scope: Scope) -> str:
    """The account that a request claims to be; MLflow checks the password afterwards."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, encoded = value.decode("latin-1").partition(" ")
            if kind.lower() != "basic":
                return ""
            try:
                return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                return ""
    return ""


def _in_workspace(scope: Scope, workspace: str) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != HEADER]
    return {**scope, "headers": [*headers, (HEADER, workspace.encode())]}


async def _refuse(send: Send, status: int, message: str) -> None:
    code = "ENDPOINT_NOT_FOUND" if status == 404 else "PERMISSION_DENIED"
    body = json.dumps({"error_code": code, "message": message}).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def add_content_rules(flask_app: Any, admin: str) -> None:
    """Rules about what a request says, after MLflow has checked who says it, and read as MLflow reads it."""
    from flask import Response, request
    from mlflow.server.auth import authenticate_request

    def check() -> Response | None:
        rule = next((rule for ending, rule in _CONTENT_RULES.items() if request.path.endswith(ending)), None)
        if rule is None or request.method == "GET":
            return None
        authorization = authenticate_request()
        if isinstance(authorization, Response) or authorization.username == admin:
            return None  # MLflow's own check has answered, or it is Atelier itself
        refusal = rule(request.method, unquote(request.headers.get(ACTOR, "")))
        if not refusal:
            return None
        body = json.dumps({"error_code": "PERMISSION_DENIED", "message": refusal})
        return Response(body, status=403, mimetype="application/json")

    flask_app.before_request(check)


def _experiment(_method: str, _actor: str) -> str:
    from mlflow.protos.service_pb2 import CreateExperiment
    from mlflow.server.handlers import _get_request_message as message_of

    elsewhere = message_of(CreateExperiment()).artifact_location
    return "Artifacts lie where Atelier keeps them: leave out artifact_location." if elsewhere else ""


def _version(_method: str, actor: str) -> str:
    from flask import request
    from mlflow.protos.model_registry_pb2 import CreateModelVersion
    from mlflow.server.handlers import _get_request_message as message_of

    said = message_of(CreateModelVersion())
    if not re.match(r"(models|runs|mlflow-artifacts):/(?!/)", said.source):
        return "A version is made of a logged model: its source is models:/… or runs:/…"
    if not actor:
        return ""
    body = request.get_json(force=True, silent=True)  # which is kept: MLflow reads the same object
    if not isinstance(body, dict):
        return "Send a JSON object."
    # Copies of a version bring its tags along: they are left out, not refused.
    theirs = [{"key": tag.key, "value": tag.value} for tag in said.tags if not _is_ours(tag.key)]
    body["tags"] = [*theirs, {"key": f"{TAG}registered_by", "value": actor}]
    return ""


def _tag(_method: str, actor: str) -> str:
    from flask import request
    from mlflow.protos import model_registry_pb2 as registry
    from mlflow.server.handlers import _get_request_message as message_of

    kind = "RegisteredModel" if "/registered-models/" in request.path else "ModelVersion"
    verb = "Set" if request.path.endswith("set-tag") else "Delete"
    return _no_tag(message_of(getattr(registry, f"{verb}{kind}Tag")()).key) if actor else ""


def _model(_method: str, actor: str) -> str:
    from mlflow.protos.model_registry_pb2 import CreateRegisteredModel
    from mlflow.server.handlers import _get_request_message as message_of

    return "".join(_no_tag(tag.key) for tag in message_of(CreateRegisteredModel()).tags) if actor else ""


def _is_ours(key: str) -> bool:
    return key.strip().lower().startswith(TAG)


def _no_tag(key: str) -> str:
    return f"Tags that begin with {TAG!r} are Atelier's own. " * _is_ours(key)


def _alias(method: str, actor: str) -> str:
    from mlflow.protos import model_registry_pb2 as registry
    from mlflow.server.handlers import _get_request_message as message_of

    message = registry.SetRegisteredModelAlias() if method == "POST" else registry.DeleteRegisteredModelAlias()
    said = message_of(message)
    if said.alias.strip().lower() == PRODUCTION:
        return f"What is called {PRODUCTION!r} is said in Atelier, of approved versions: atelier model alias."
    if method == "POST" and actor:
        _note_alias(said.name, said.alias, said.version, actor)
    return ""


def _note_alias(model: str, alias: str, version: str, actor: str) -> None:
    """An alias has no place for who set it, so that is a tag of the model. It is there before the alias: whoever sees
    the alias sees whose it is, and a note without its alias says nothing."""
    from mlflow.entities.model_registry import RegisteredModelTag
    from mlflow.server.handlers import _get_model_registry_store

    key = f"{TAG}alias.{alias}"
    if len(key) <= _LONGEST_KEY:
        _get_model_registry_store().set_registered_model_tag(model, RegisteredModelTag(key, f"{version} {actor}"))


def _stage(_method: str, _actor: str) -> str:
    from mlflow.protos.model_registry_pb2 import TransitionModelVersionStage
    from mlflow.server.handlers import _get_request_message as message_of

    production = message_of(TransitionModelVersionStage()).stage.strip().lower() == PRODUCTION
    return f"Approve the version in Atelier and give it the alias {PRODUCTION!r}." * production


# By the end of a path: from method and visitor (empty where it is Atelier's own request) to what speaks against it.
_CONTENT_RULES: dict[str, Callable[[str, str], str]] = {
    "/mlflow/experiments/create": _experiment,
    "/mlflow/model-versions/create": _version,
    "/mlflow/model-versions/set-tag": _tag,
    "/mlflow/model-versions/delete-tag": _tag,
    "/mlflow/registered-models/create": _model,
    "/mlflow/registered-models/set-tag": _tag,
    "/mlflow/registered-models/delete-tag": _tag,
    "/mlflow/registered-models/alias": _alias,
    "/mlflow/model-versions/transition-stage": _stage,
}


def prepare(url: str) -> None:
    """Bring the database up to date; a new file appears only once it is whole, whenever this is killed."""
    from mlflow.store.db import utils

    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    if path is not None and not path.exists():
        fresh = path.with_suffix(".new")
        for left in path.parent.glob(f"{fresh.name}*"):
            left.unlink()
        engine = utils.create_sqlalchemy_engine_with_retry(f"sqlite:///{fresh}")
        utils._initialize_tables(engine)
        engine.dispose()
        fresh.rename(path)
        return
    engine = utils.create_sqlalchemy_engine_with_retry(url)
    utils._safe_initialize_tables(engine)
    utils._upgrade_db(engine)
    engine.dispose()


def hashed(password: str) -> str:
    """What MLflow keeps of a password. All of them are random keys, which nobody can guess: a hash that is slow on
    purpose would protect nothing, and costs a tenth of a second at each first use."""
    from werkzeug.security import generate_password_hash

    return generate_password_hash(password, method="pbkdf2:sha256:1")


def create(admin: str) -> App:
    """MLflow's application behind the rules."""
    from mlflow.server import app as flask_app
    from mlflow.server.auth import create_app, sqlalchemy_store

    sqlalchemy_store.generate_password_hash = hashed
    served = create_app(flask_app)
    add_content_rules(flask_app, admin)
    return Rules(served, admin)


def main() -> None:
    """Serve on this machine's loopback address until a signal comes."""
    gc.disable()  # what a start makes stays, and to look for garbage in it would take a fifth of the time
    import uvicorn

    port, admin, config = int(sys.argv[1]), sys.argv[2], ConfigParser()
    config.read(sys.argv[3])
    prepare(config["atelier"]["database_uri"])
    app = create(admin)
    gc.freeze()
    gc.enable()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
