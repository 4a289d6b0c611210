"""Pushing images to the rig's registry: its HTTP API needs three calls per blob."""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

from .settings import REGISTRY_PORT, CannotRun

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def push(name: str, config: bytes, layers: list[tuple[str, Path]]) -> bool:
    """Upload what the registry lacks, then the manifest. False when the tag said just this before."""
    repository, _, tag = name.partition(":")
    config_digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config_digest, "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest, "size": path.stat().st_size} for digest, path in layers],
    }
    manifest = json.dumps(document, sort_keys=True).encode()
    if digest_of(repository, tag) == f"sha256:{hashlib.sha256(manifest).hexdigest()}":
        return False
    for digest, path in layers:
        _upload(repository, digest, path)
    _upload(repository, config_digest, config)
    _expect(201, "PUT", f"/v2/{repository}/manifests/{tag or 'latest'}", manifest, {"Content-Type": MANIFEST})
    return True


def digest_of(repository: str, tag: str) -> str | None:
    """What a tag points at; None when it is not there."""
    answer = _request("HEAD", f"/v2/{repository}/manifests/{tag or 'latest'}", headers={"Accept": MANIFEST})
    return answer.headers.get("Docker-Content-Digest") if answer.status == 200 else None


def answers() -> bool:
    return _request("GET", "/v2/").status == 200


def _upload(repository: str, digest: str, source: bytes | Path) -> None:
    if _request("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
        return
    place = urlsplit(_expect(202, "POST", f"/v2/{repository}/blobs/uploads/").headers["Location"])
    where = f"{place.path}?{place.query}&digest={digest}"
    headers = {"Content-Type": "application/octet-stream"}
    if isinstance(source, bytes):
        _expect(201, "PUT", where, source, headers)
        return
    with source.open("rb") as stream:
        _expect(201, "PUT", where, stream, headers | {"Content-Length": str(source.stat().st_size)})


def _expect(status: int, method: str, path: str, body: object = None, headers: dict | None = None):
    answer = _request(method, path, body, headers)
    if answer.status != status:
        raise CannotRun(f"the registry answered {answer.status} to {method} {path.split('?', maxsplit=1)[0]}")
    return answer


def _request(method: str, path: str, body: object = None, headers: dict | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", REGISTRY_PORT, timeout=120)
    try:
        connection.request(method, path, body, headers or {})  # type: ignore[arg-type]
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()
