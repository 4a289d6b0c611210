"""Before the command: folders, parameters, code, inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from urllib.parse import quote

from atelier_runtime import archive
from atelier_runtime.api import Answer, Api, ApiError, AttemptOver, OwnFault, Unreachable
from atelier_runtime.outcome import BAD_SPEC, INPUT_UNAVAILABLE, Failure
from atelier_runtime.spec import Code, Input, ShimSpec

_FOLDERS = ("code", "inputs", "outputs", "results", "tmp")


def stage(spec: ShimSpec, api: Api | None) -> None:
    """Make everything ready that the command expects; `Failure` says what could not be had."""
    try:
        _make_folders(spec)
        for code in spec.code:
            _place_code(spec, code, _need(api))
        for item in spec.inputs:
            _place_input(spec, item, _need(api))
    except AttemptOver:
        raise
    except ValueError as error:
        raise Failure(BAD_SPEC, str(error)) from error
    except (ApiError, Unreachable, archive.BadArchive) as error:
        raise Failure(INPUT_UNAVAILABLE, str(error)) from error
    except (OSError, OwnFault) as error:
        raise Failure(INPUT_UNAVAILABLE, f"Code and inputs could not be written: {error}.") from error


def _make_folders(spec: ShimSpec) -> None:
    for name in _FOLDERS:
        os.makedirs(os.path.join(spec.root, name), exist_ok=True)
    # Folders elsewhere are the command's own to make.
    for place in [output.place for output in spec.outputs if output.place.startswith("outputs/")]:
        os.makedirs(os.path.dirname(spec.path(place)), exist_ok=True)
    with open(os.path.join(spec.root, "parameters.json"), "w", encoding="utf-8") as file:
        json.dump(spec.parameters, file)


def _need(api: Api | None) -> Api:
    if api is None:
        raise Failure(INPUT_UNAVAILABLE, "The attempt needs code or inputs, but has no address to fetch them from.")
    return api


def _place_code(spec: ShimSpec, code: Code, api: Api) -> None:
    folder = spec.cache or os.path.join(spec.root, "tmp")
    path = os.path.join(folder, code.digest.replace(":", "-") + ".tar.gz")
    if not os.path.exists(path) or _digest(path) != code.digest:
        _download_code(api, code.digest, path)
    os.utime(path)  # it is of use: the cache keeps it
    target = spec.path(code.path)
    os.makedirs(target, exist_ok=True)
    with open(path, "rb") as stream:
        archive.unpack(stream, target, "r|gz")
    if not spec.cache:
        os.unlink(path)


def _download_code(api: Api, digest: str, path: str) -> None:
    temporary = f"{path}.{os.getpid()}.part"

    def receive(response: Answer) -> None:
        with open(temporary, "wb") as file:
            shutil.copyfileobj(response, file, archive.CHUNK)

    try:
        api.get("code/" + digest, receive)
        if _digest(temporary) != digest:
            raise Failure(INPUT_UNAVAILABLE, f"The code snapshot {digest} arrived with another content.")
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(archive.CHUNK), b""):
            digest.update(piece)
    return "sha256:" + digest.hexdigest()


def _place_input(spec: ShimSpec, item: Input, api: Api) -> None:
    target = spec.path(item.place)
    if target == spec.root:
        raise ValueError(f"The input {item.name!r} has no place of its own.")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        api.get("inputs/" + quote(item.name, safe=""), lambda response: _receive_input(response, target))
    except AttemptOver:
        raise
    except (ApiError, Unreachable, archive.BadArchive) as error:
        raise Failure(INPUT_UNAVAILABLE, f"The input {item.name!r} could not be fetched. {error}") from error


def _receive_input(response: Answer, target: str) -> None:
    temporary = target + ".part"
    _clear(temporary)
    if response.getheader("X-Atelier-Kind") == "folder":
        os.makedirs(temporary)
        archive.unpack(response, temporary)
    else:
        with open(temporary, "wb") as file:
            shutil.copyfileobj(response, file, archive.CHUNK)
    _clear(target)
    os.replace(temporary, target)


def _clear(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
