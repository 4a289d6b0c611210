"""Small documents that the tests of the rig apply, and what their states mean."""

from __future__ import annotations

SERVE = "mkdir -p /tmp/www && hostname > /tmp/www/name && exec httpd -f -p 8080 -h /tmp/www"
ASK = r"printf 'GET /name HTTP/1.0\r\n\r\n'"


def pod(
    name: str, image: str, script: str, *, labels: dict | None = None, spec: dict | None = None, **box: object
) -> dict:
    container = {"name": "main", "image": image, "command": ["/bin/sh", "-c", script], **box}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **(spec or {}),
        },
    }


def service(name: str, labels: dict, port: int = 80, target: int = 8080, **spec: object) -> dict:
    ports = [{"name": "http", "port": port, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": ports, **spec},
    }


def place(namespace: str, *documents: dict) -> list[dict]:
    return [document | {"metadata": document["metadata"] | {"namespace": namespace}} for document in documents]


def ready(status: dict) -> bool:
    return any(line["type"] == "Ready" and line["status"] == "True" for line in status.get("conditions", []))


def ended(status: dict) -> bool:
    return status.get("phase") in ("Succeeded", "Failed")


def main_state(found: dict) -> dict:
    return next(line["state"] for line in found["status"]["containerStatuses"] if line["name"] == "main")
