"""The page of a server that a hub started asks neither to be let outside nor to be built anew."""

from __future__ import annotations

from typing import Any

from atelier_server.lab_page import ANNOUNCEMENTS, for_a_hub


def test_announcements_and_builds_are_off_and_what_others_did_stays() -> None:
    def hub(_handler: Any, config: dict[str, Any]) -> dict[str, Any]:
        return config | {"hubUser": "ada"}

    config = {"disabledExtensions": ["theirs"], "hubUser": "", "buildCheck": True}
    made = for_a_hub(hub)(None, config)
    assert made == {"disabledExtensions": ["theirs", ANNOUNCEMENTS], "hubUser": "ada", "buildCheck": False}
    assert for_a_hub(None)(None, {}) == {"disabledExtensions": [ANNOUNCEMENTS], "buildCheck": False}
