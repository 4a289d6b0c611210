"""The few words of the Kubernetes API that the rig's own programs need. Standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

from .settings import API_PORT, NODE_IP, PKI

MERGE_PATCH = "application/merge-patch+json"


class Refused(Exception):
    """The API server said no."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:300].decode(errors='replace')}")
        self.status = status


class Api:
    """JSON requests as the cluster's administrator, one kept connection per thread."""

    def __init__(self) -> None:
        self._context = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
        self._context.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
        self._local = threading.local()
        self._kept: list[http.client.HTTPSConnection] = []

    def connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(NODE_IP, API_PORT, context=self._context, timeout=timeout)

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> bytes:
        """One request; OSError when the server cannot be reached, Refused when it answers so."""
        for last in (False, True):
            connection = self._connection()
            try:
                data = None if body is None else json.dumps(body)
                connection.request(method, path, data, {"Content-Type": kind})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()  # the next request opens it anew
                if last or isinstance(error, ConnectionRefusedError):
                    raise OSError(f"{method} {path}: {error!r}") from error
                continue  # a kept connection that the server closed meanwhile
            if answer.status >= 400:
                raise Refused(answer.status, text)
            return text
        raise AssertionError("not reached")

    def _connection(self) -> http.client.HTTPSConnection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect(timeout=15)
            self._kept.append(connection)
        return connection

    def close(self) -> None:
        """Close the kept connections of all threads (a later request opens its own again)."""
        for connection in self._kept:
            connection.close()

    def get(self, path: str) -> dict:
        return json.loads(self.request("GET", path))

    def create(self, path: str, document: dict) -> bool:
        """False when it is already there."""
        try:
            self.request("POST", path, document)
        except Refused as refused:
            if refused.status == 409:
                return False
            raise
        return True

    def patch(self, path: str, change: dict) -> None:
        self.request("PATCH", path, change, MERGE_PATCH)

    def delete(self, path: str, **options: object) -> None:
        """No error when it is gone already."""
        try:
            self.request("DELETE", path, options or None)
        except Refused as refused:
            if refused.status != 404:
                raise

    def watch(self, path: str, version: str, **selectors: str) -> Iterator[dict]:
        """Events since `version`, until the server ends the watch."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "240", "allowWatchBookmarks": "1"}
        connection = self.connect(timeout=300)
        try:
            connection.request("GET", f"{path}?{urlencode(query | selectors)}")
            answer = connection.getresponse()
            if answer.status >= 400:
                raise Refused(answer.status, answer.read())
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()


class Cache(threading.Thread):
    """What a list and its watch say, kept up to date; sets `changed` after each change."""

    def __init__(self, api: Api, path: str, changed: threading.Event, **selectors: str) -> None:
        super().__init__(daemon=True, name=path)
        self._api, self._path, self._changed, self._selectors = api, path, changed, selectors
        self._objects: dict[str, dict] = {}
        self.listed = threading.Event()

    def objects(self) -> list[dict]:
        return list(self._objects.values())

    def run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._follow()
            except (OSError, Refused, http.client.HTTPException, ValueError):
                pause.wait(0.5)

    def _follow(self) -> None:
        found = self._api.get(f"{self._path}?{urlencode(self._selectors)}")
        self._objects = {item["metadata"]["uid"]: item for item in found["items"]}
        self.listed.set()
        self._changed.set()
        version = found["metadata"]["resourceVersion"]
        for event in self._api.watch(self._path, version, **self._selectors):
            if event["type"] == "ERROR":
                return  # 410 mostly: list again
            if event["type"] == "BOOKMARK":
                continue
            uid = event["object"]["metadata"]["uid"]
            if event["type"] == "DELETED":
                self._objects.pop(uid, None)
            else:
                self._objects[uid] = event["object"]
            self._changed.set()
