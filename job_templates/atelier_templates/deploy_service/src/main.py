"""Lets a registered model answer at a URL."""

from __future__ import annotations

import time
from typing import Any

import control_plane
import step

PAUSE = 1.0
SILENT = 5


def main() -> None:
    """Deploy, wait, show."""
    given = step.parameters()
    if given["least"] > given["most"]:
        step.fail(f"At least {given['least']} and at most {given['most']} replicas cannot be. Correct one of them.")
    definition: dict[str, Any] = {key: given[key] for key in ("name", "model", "stage")}
    definition["replicas"] = {"min": given["least"], "max": given["most"]}
    if given["canary"]:
        definition["canary"] = {"percent": given["canary"]}
    found = control_plane.ask("POST", "services", {"definition": definition})
    revision = found["newest"]
    print(f"Revision {revision} of {given['name']} is on its way.", flush=True)
    if given["patience"]:
        found = wait(given["name"], revision, given["patience"])
    url = found["model_url"] or found["url"]
    step.write_values({"url": url, "revision": revision})
    views = step.Views()
    views.text("Service", f"{given['name']}, revision {revision}, {found['state']}: {url}")
    views.write()
    print(f"{given['name']} answers at {url}" if given["patience"] else f"{given['name']} will answer at {url}")


def wait(name: str, revision: int, patience: float) -> dict[str, Any]:
    """Until the revision answers; what keeps it from that ends the step."""
    until, absent, told = time.monotonic() + patience, 0, ""
    while True:
        found = control_plane.ask("GET", f"services/{name}")
        if found["newest"] > revision:
            print(f"Revision {found['newest']} was deployed meanwhile; this one is not waited for.")
            return found
        mine = [one for one in found["traffic"] if one["revision"] == revision]
        if any(one["ready"] for one in mine) or (found["revision"] == revision and found["state"] == "running"):
            return found
        absent = 0 if mine or found["rolling"] == revision else absent + 1
        words = found["message"] or found["reason"]
        if found["state"] in ("failed", "stopped") or absent > SILENT:
            step.fail(f"Revision {revision} of {name} does not answer: {words or found['state']}.")
        if words and words != told:
            print(words, flush=True)
            told = words
        if time.monotonic() > until:
            step.fail(f"Revision {revision} of {name} was not ready within {patience:g} s; it is still tried. {words}")
        time.sleep(PAUSE)


main()
