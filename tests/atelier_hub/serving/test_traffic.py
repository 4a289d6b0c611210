"""Canaries, mirrors, headers, shares, keys, and the way back by itself."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from atelier_sdk import AtelierError
from tests.atelier_hub.serving.platform import Platform, answerer, new_name

# What is tried here depends on no database; test_deploying runs on each.
pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True, scope="session")


def _counted(platform: Platform, name: str, key: dict[str, str], count: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(count):
        answer = platform.call(name, key)
        found[answer.json()["revision"] if answer.status_code == 200 else str(answer.status_code)] += 1
    return found


def test_a_canary_gets_its_share_is_promoted_and_the_old_one_retires(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.answers(name, key)
        platform.deploy(answerer(name, canary={"percent": 30, "header": {"X-Try": "new"}, "cookie": {"beta": "1"}}))
        platform.until(lambda: platform.get(name).reason == "Canary")
        shares = {one.revision: (one.place, one.weight) for one in platform.get(name).traffic}
        assert shares == {1: ("current", 70), 2: ("canary", 30)}
        platform.until(lambda: "2" in _counted(platform, name, key, 20))
        counted = _counted(platform, name, key, 200)
        assert set(counted) == {"1", "2"}
        assert 30 <= counted["2"] <= 95
        assert platform.answers(name, key | {"X-Try": "new"})["revision"] == "2"
        assert platform.answers(name, key | {"Cookie": "beta=1"})["revision"] == "2"
        assert platform.answers(name, key | {"X-Atelier-Revision": "1"})["revision"] == "1"
        services.set_traffic("kim", name, {1: 50, 2: 50})
        assert {one.revision: one.weight for one in platform.get(name).traffic} == {1: 50, 2: 50}
        services.set_traffic("kim", name, {2: 100})
        platform.until(lambda: _counted(platform, name, key, 10) == {"2": 10})
        platform.until(lambda: [one.revision for one in platform.get(name).traffic] == [2])


def test_away_from_a_canary(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.deploy(answerer(name, canary={"percent": 50}))
        found = services.roll_back("kim", name)
        assert (found.revision, found.rolling) == (1, None)
        platform.until(lambda: _counted(platform, name, key, 10) == {"1": 10})


@pytest.mark.parametrize(
    ("shares", "code"), [({1: 50}, "bad_shares"), ({1: 50, 7: 50}, "not_running"), ({1: 90, 2: 20}, "not_running")]
)
def test_shares_that_make_no_sense_are_refused(platform: Platform, shares: dict[int, float], code: str) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        with pytest.raises(AtelierError) as refusal:
            platform.client().services.set_traffic("kim", name, shares)
        assert refusal.value.code == code


def test_a_mirror_is_asked_and_its_answers_are_thrown_away(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.deploy(answerer(name, mirror=100, env={"FAILS": "1"}))
        platform.until(lambda: _counted(platform, name, key, 5) == {"1": 5})

        def mirrored() -> bool:
            platform.call(name, key)
            counted = {one["revision"]: one["hour"] for one in services.stats("kim", name)["revisions"]}
            return 2 in counted and counted[2]["errors"] > 0

        platform.until(mirrored)
        assert {one.revision: (one.weight, one.mirror) for one in platform.get(name).traffic} == {
            1: (100, 0),
            2: (0, 100),
        }


@pytest.mark.parametrize("stage", ["test", "debug"])
def test_other_stages_are_reached_by_a_header_only(platform: Platform, stage: str) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.deploy(answerer(name, stage=stage))
        platform.until(lambda: platform.answers(name, key | {"X-Atelier-Stage": stage})["revision"] == "2")
        assert _counted(platform, name, key, 20) == {"1": 20}
        assert platform.get(name).revision == 1


def test_a_revision_that_answers_with_errors_is_taken_back(platform: Platform) -> None:
    name = new_name()
    policy = {"error_rate": 0.2, "requests": 10, "window": 60}
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.answers(name, key)
        platform.deploy(answerer(name, env={"FAILS": "1"}, rollback=policy))

        def back() -> bool:
            _counted(platform, name, key, 5)
            return platform.get(name).reason == "RolledBack"

        platform.until(back)
        found = platform.get(name)
        assert (found.state, found.revision) == ("running", 1)
        assert "answers were errors" in found.message
        platform.until(lambda: _counted(platform, name, key, 10) == {"1": 10})


def test_a_slow_canary_is_taken_back(platform: Platform) -> None:
    name = new_name()
    policy = {"p99": 0.05, "requests": 10, "window": 60}
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.answers(name, key)
        platform.deploy(answerer(name, env={"SLOW": "0.2"}, canary={"percent": 50}, rollback=policy))

        def back() -> bool:
            _counted(platform, name, key, 5)
            return platform.get(name).reason == "RolledBack"

        platform.until(back)
        assert "0.05 s are allowed" in platform.get(name).message


def test_who_does_well_stays_and_the_one_before_retires_after_the_window(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        platform.deploy(answerer(name, rollback={"window": 10}))
        assert {one.revision: one.place for one in platform.get(name).traffic} == {1: "standby", 2: "current"}
        platform.until(lambda: {one.revision: one.place for one in platform.get(name).traffic} == {2: "current"})


def test_keys_open_what_they_are_for_until_they_are_revoked_or_expire(platform: Platform) -> None:
    client = platform.client()
    one, other = new_name(), new_name()
    with platform.served(answerer(one)), platform.served(answerer(other)):
        narrow = client.service_keys.create("kim", "narrow", services=[one])
        soon = client.service_keys.create("kim", "soon", expires_at=datetime.now(UTC) + timedelta(seconds=10))
        key = {"Authorization": f"Bearer {narrow.secret}"}
        platform.answers(one, key)
        platform.answers(other, {"Authorization": f"Bearer {soon.secret}"})
        assert platform.call(other, key).status_code in (401, 403, 404)
        listed = {item.id: item for item in client.service_keys.list("kim")}
        assert listed[narrow.id].services == [one]
        assert not listed[narrow.id].secret
        client.service_keys.revoke("kim", narrow.id)
        platform.until(lambda: platform.call(one, key).status_code == 401, 10)
        platform.until(lambda: platform.call(other, {"Authorization": f"Bearer {soon.secret}"}).status_code == 401, 30)


def test_a_public_service_asks_for_no_key_and_a_token_opens_the_others(platform: Platform) -> None:
    one, other = new_name(), new_name()
    with platform.served(answerer(one, public=True)), platform.served(answerer(other)):
        platform.answers(one, {})
        token = platform.plane.hub.add_user("kim")
        platform.answers(other, {"Authorization": f"Bearer {token}"})
        stranger = platform.plane.hub.add_user("stranger-of-services")
        assert platform.call(other, {"Authorization": f"Bearer {stranger}"}).status_code in (403, 404)


def test_what_was_counted_is_kept_by_revision(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.answers(name, key)
        before = time.monotonic()
        _counted(platform, name, key, 30)
        platform.until(lambda: [one["hour"]["requests"] for one in services.stats("kim", name)["revisions"]] >= [31])
        found = services.stats("kim", name)["revisions"][0]
        assert found["revision"] == 1
        assert found["hour"]["errors"] == 0
        assert 0 < found["minute"]["p50"] <= found["minute"]["p99"] <= max(1.0, time.monotonic() - before)
        assert sum(piece["requests"] for piece in found["minutes"]) == found["hour"]["requests"]
