"""Logs and commands inside containers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp

from atelier_core.errors import Conflict, NotFound
from atelier_spawner.kubernetes.api import PODS, Api, ApiError, Object
from atelier_spawner.kubernetes.observe import replica_names
from atelier_spawner.kubernetes.pods import COPY, INIT, MAIN, ROOT
from atelier_spawner.kubernetes.runtime_image import interpreter

_PROTOCOL = "v4.channel.k8s.io"
_STDOUT, _STDERR, _ERROR = 1, 2, 3
_WATCH_SECONDS = 30
_CONNECT_SECONDS = 1
# Runs in the step's container, by the runtime's own interpreter: the command gets what the step's own command got.
_ENTER = f"""
import os, sys
from atelier_runtime.spec import ShimSpec
spec = ShimSpec.load("{ROOT}/.atelier/main.json")
os.chdir(spec.path(spec.workdir))
os.dup2(1, 2)  # one stream: two would arrive in any order
try:
    os.execvpe(sys.argv[1], sys.argv[1:], spec.environment(dict(os.environ)))
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[1], error.strerror))
"""


async def find_pod(api: Api, namespace: str, selector: str, replica: str) -> Object:
    """The newest pod of a replica; `NotFound` if there is none."""
    listing = await api.list(PODS.path(namespace), selector)
    pods = replica_names(listing["items"]).get(replica)
    if not pods:
        raise NotFound(
            f"There is no pod of replica {replica}.",
            code="no_pod",
            hint="It has not started yet, or it is gone; logs of what ended are in the platform's own archive.",
        )
    return pods[-1]


async def read_logs(api: Api, pod: Object, follow: bool) -> AsyncIterator[bytes]:
    """What the command wrote, or what preparing it wrote if it never came to the command."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    container = await _container_with_logs(api, pod, follow)
    if container is None:
        return
    path = f"{PODS.path(namespace, name)}/log"
    try:
        async for piece in api.stream(path, container=container, follow=str(follow).lower()):
            yield piece
    except ApiError as error:
        if error.status != 404 and not (error.status == 400 and "waiting to start" in error.message):
            raise


async def _container_with_logs(api: Api, pod: Object, follow: bool) -> str | None:
    """`main` once it has started, `init` if that failed; with `follow` it waits until one of them is decided."""
    while True:
        found = _decided(pod)
        if found or not follow:
            return found
        later = await _next_state(api, pod)
        if later is None:
            return None
        pod = later


def _decided(pod: Object) -> str | None:
    states = {
        each["name"]: each.get("state", {})
        for key in ("initContainerStatuses", "containerStatuses")
        for each in pod["status"].get(key) or []
    }
    main, init = states.get(MAIN, {}), states.get(INIT, {})
    if "running" in main or "terminated" in main:
        return MAIN
    if init.get("terminated", {}).get("exitCode") or pod["status"].get("phase") == "Failed":
        return INIT
    return None


async def _next_state(api: Api, pod: Object) -> Object | None:
    """Wait for the pod to change, by a watch; None if it is gone."""
    metadata = pod["metadata"]
    field = f"metadata.name={metadata['name']}"
    path = PODS.path(metadata["namespace"])
    listing = await api.list(path, fieldSelector=field)
    if not listing["items"]:
        return None
    current: Object = listing["items"][0]
    if _decided(current):
        return current
    version = listing["metadata"]["resourceVersion"]
    watching = api.watch(path, version, fieldSelector=field, timeoutSeconds=_WATCH_SECONDS)
    async with aclosing(watching) as events:
        async for event in events:
            if event["type"] == "DELETED":
                return None
            if event["type"] != "BOOKMARK":
                return dict(event["object"])
    return current


async def run_command(api: Api, pod: Object, command: list[str]) -> tuple[int, bytes]:
    """Run `command` in the main container with the step's variables and folder; its exit code and what it wrote."""
    metadata = pod["metadata"]
    words = [*interpreter(COPY), "-c", _ENTER, *command]
    query = [("container", MAIN), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in words)]
    socket = await api.websocket(f"{PODS.path(metadata['namespace'], metadata['name'])}/exec", query, _PROTOCOL)
    output, status = bytearray(), b""
    try:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            channel, content = message.data[0], message.data[1:]
            if channel in (_STDOUT, _STDERR):
                output += content
            elif channel == _ERROR:
                status += content
    finally:
        await asyncio.shield(socket.close())
    return _exit_code(status), bytes(output)


async def refuses(host: str, port: int) -> bool:
    """Whether a connection is refused: a pod is ready a moment before every node knows the way to it.

    Silence is no refusal: the back end may be where pods cannot be reached, while the gateway is not.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), port)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    writer.close()
    return False


def _exit_code(status: bytes) -> int:
    """From the Status object that ends an exec stream."""
    try:
        document: dict[str, Any] = json.loads(status)
    except ValueError:
        raise Conflict("The connection to the container ended before the command did.", code="exec_broken") from None
    if document.get("status") == "Success":
        return 0
    for cause in (document.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise Conflict(
        f"The command could not be run in the container: {document.get('message', 'no reason given')}.",
        code="exec_failed",
        hint="Name a program that the step's image holds, by its full path if need be.",
    )
