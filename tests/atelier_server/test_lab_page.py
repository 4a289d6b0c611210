"""The page of a server that a hub started does not ask to be let outside."""

from __future__ import annotations

from typing import Any

from atelier_server.lab_page import ANNOUNCEMENTS, without_ways_outside


def test_announcements_are_off_and_what_others_did_stays() -> None:
    def hub(_handler: Any, config: dict[str, Any]) -> dict[str, Any]:
        return config | {"hubUser": "ada"}

    config = {"disabledExtensions": ["theirs"], "hubUser": ""}
    made = without_ways_outside(hub)(None, config)
    assert made == {"disabledExtensions": ["theirs", ANNOUNCEMENTS], "hubUser": "ada"}
    assert without_ways_outside(None)(None, {}) == {"disabledExtensions": [ANNOUNCEMENTS]}
