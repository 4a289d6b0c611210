"""The document that the gateway gets: which revision speaks for a service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from atelier_core.routing import ServiceRoute
from atelier_core.service import validate
from atelier_core.service_view import Place, RevisionView, ServiceView
from atelier_core.states import State
from atelier_hub.features.serving.traffic import route

OFFICE = ["10.0.0.0/8"]


def _revision(number: int, place: Place = Place.CURRENT, **fields: Any) -> RevisionView:
    return RevisionView(
        number=number,
        state=State.RUNNING,
        definition=validate({"name": "a", "image": "python", "command": ["serve"], **fields}),
        place=place,
        replicas=1,
        minimum=1,
        maximum=1,
        began_at=datetime.now(UTC),
    )


def _route(*revisions: RevisionView) -> ServiceRoute:
    found = route(ServiceView("run", State.RUNNING, revisions=revisions))
    assert found is not None
    return found


@pytest.mark.parametrize("stage", ["test", "debug"])
def test_what_is_only_tested_opens_no_service_for_production(stage: str) -> None:
    """Anybody may call what is public, and bodies are written down only where production says so."""
    tested = {"stage": stage, "public": True, "log": {"sample": 1, "bodies": True}}
    for found in (
        _route(_revision(2, **tested), _revision(3, allow=OFFICE)),
        _route(_revision(2, allow=OFFICE), _revision(3, **tested)),
        _route(_revision(1, Place.STANDBY, public=True), _revision(2, **tested), _revision(3, allow=OFFICE)),
    ):
        assert (found.public, found.allow, found.log.bodies) == (False, tuple(OFFICE), False)
        assert len(found.targets) >= 2
    assert _route(_revision(1, **tested)).public
