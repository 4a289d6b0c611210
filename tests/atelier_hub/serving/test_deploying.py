"""Deploy, call, replace, go back, stop and delete: through control plane, local back end and gateway."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from atelier_sdk import AtelierError, Client
from atelier_sdk.services import DeploymentFailed
from tests.atelier_hub.serving.platform import ANSWERER, Platform, answerer, new_name


def states(platform: Platform, name: str) -> dict[int, str]:
    """The state of each revision."""
    return {one.number: one.state for one in platform.client().services.revisions("kim", name)}


def test_a_service_is_deployed_and_called_with_a_key(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name, env={"TEXT": "hello"})) as found:
        assert (found.state, found.revision, found.url) == (
            "running",
            1,
            f"{platform.gateway.url}/services/atelier-gateway/s/kim/{name}",
        )
        assert platform.call(name, {}).status_code == 401
        assert platform.call(name, {"Authorization": "Bearer atk_wrong"}).status_code == 401
        assert platform.answers(name, platform.key(name))["text"] == "hello"
        replica = next(platform.client().services.replicas("kim", name))
        assert replica.ready
        log = b"".join(platform.client().services.logs("kim", name, replica.id))
        assert b"it listens" in log
    assert platform.call(name, {}).status_code in (401, 404)


def test_a_new_revision_takes_over_without_a_lost_request(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name, env={"TEXT": "one"}, replicas=2)):
        key = platform.key(name)
        platform.answers(name, key)
        found = platform.deploy(
            answerer(name, env={"TEXT": "two", "LATE": "0.5", "SLOW": "0.05"}, replicas=2), wait=False
        )
        texts, until = [], time.monotonic() + 60
        while time.monotonic() < until and texts.count("two") < 20:
            answer = platform.call(name, key)
            assert answer.status_code == 200, answer.text
            texts.append(answer.json()["text"])
        assert found.rolling == 2
        assert texts.count("two") == 20
        assert texts == sorted(texts), "after the new revision has answered the old one does not"
        platform.until(lambda: states(platform, name) == {2: "running", 1: "stopped"})


def test_a_revision_that_never_gets_ready_fails_with_its_last_words_and_the_old_one_serves(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        key = platform.key(name)
        broken = {**answerer(name), "command": ["python", "-c", "raise SystemExit('the model file is empty')"]}
        with pytest.raises(DeploymentFailed) as refusal:
            platform.deploy(broken)
        assert "exit code 1" in refusal.value.message
        assert "the model file is empty" in refusal.value.message
        platform.until(lambda: platform.get(name).reason == "RolloutFailed")
        assert platform.get(name).state == "running"
        assert platform.answers(name, key)["revision"] == "1"


def test_a_health_without_end_fills_nobodys_memory(platform: Platform) -> None:
    endless = ANSWERER.replace(
        "return self.say(200, {})",
        "self.send_response(200); self.end_headers()\n            while True: self.wfile.write(bytes(65536))",
    )
    assert endless != ANSWERER
    name = new_name()
    with platform.served({**answerer(name), "command": ["python", "-u", "-c", endless]}) as found:
        assert found.state == "running"


def test_a_service_whose_first_revision_fails_is_failed_and_may_be_deployed_again(platform: Platform) -> None:
    name = new_name()
    broken = {**answerer(name), "command": ["there-is-no-such-program"]}
    try:
        with pytest.raises(DeploymentFailed):
            platform.deploy(broken)
        platform.until(lambda: platform.get(name).state == "failed")
        found = platform.get(name)
        assert found.reason == "CommandNotFound"
        assert "there-is-no-such-program" in found.message
        assert platform.deploy(answerer(name)).state == "running"
    finally:
        platform.remove(name)


def test_back_to_the_revision_before_and_to_any_other(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    with platform.served(answerer(name, env={"TEXT": "one"})):
        key = platform.key(name)
        platform.deploy(answerer(name, env={"TEXT": "two"}))
        platform.deploy(answerer(name, env={"TEXT": "three"}))
        platform.until(lambda: platform.answers(name, key)["text"] == "three")
        back = services.roll_back("kim", name)
        assert back.rolling == 2
        services.wait("kim", name, 2)
        platform.until(lambda: platform.answers(name, key)["text"] == "two")
        services.roll_back("kim", name, 1)
        services.wait("kim", name, 1)
        platform.until(lambda: platform.answers(name, key)["text"] == "one")
        with pytest.raises(AtelierError, match="is the one that serves"):
            services.roll_back("kim", name, 1)


def test_stopped_started_and_deleted(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    platform.deploy(answerer(name))
    key = platform.key(name)
    platform.answers(name, key)
    assert services.stop("kim", name).state == "stopping"
    platform.until(lambda: platform.get(name).state == "stopped")
    assert platform.call(name, key).status_code in (404, 503)
    with pytest.raises(AtelierError, match="is stopped"):
        services.scale("kim", name, 1, 2)
    assert services.start("kim", name).state == "queued"
    platform.until(lambda: platform.get(name).state == "running")
    platform.answers(name, key)
    platform.remove(name)
    with pytest.raises(AtelierError) as refusal:
        platform.get(name)
    assert refusal.value.code == "no_service"


def test_the_same_deployment_twice_is_one(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    try:
        first = services.deploy("kim", answerer(name), idempotency_key="once")
        again = services.deploy("kim", answerer(name), idempotency_key="once")
        assert (first.id, first.newest) == (again.id, again.newest) == (first.id, 1)
    finally:
        platform.remove(name)


def test_the_same_deployment_at_the_same_time_is_one(platform: Platform) -> None:
    """As when a call is repeated while the first one still looks into a large model."""
    name, clients = new_name(), [platform.plane.client("kim") for _ in range(6)]

    def deploy(client: Client) -> tuple[str, int]:
        found = client.services.deploy("kim", answerer(name), idempotency_key=key)
        return found.id, found.newest

    try:
        with ThreadPoolExecutor(6) as pool:
            for number in (1, 2, 3):
                key = f"at-once-{number}"
                assert {newest for _, newest in pool.map(deploy, clients)} == {number}
    finally:
        platform.remove(name)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"image": "no-such-image"}, "unknown_image"),
        ({"flavor": "huge"}, "unknown_flavor"),
        ({"on": "moon"}, "unknown_backend"),
        ({"port": 8000}, "fixed_port"),
        ({"command": []}, "bad_service"),
        ({"replicas": {"min": 3, "max": 1}}, "bad_service"),
        ({"name": "Not A Name"}, "bad_service"),
        ({"allow": ["everywhere"]}, "bad_service"),
        ({"surprise": 1}, "bad_service"),
        ({"image": "", "command": [], "model": "models:/nothing/1"}, "no_model"),
        ({"image": "", "command": [], "output": {"run": "r0", "step": "train"}}, "no_output"),
    ],
)
def test_what_can_never_work_is_refused_at_once(platform: Platform, fields: dict[str, object], code: str) -> None:
    with pytest.raises(AtelierError) as refusal:
        platform.deploy({**answerer(new_name()), **fields}, wait=False)
    assert refusal.value.code == code
    assert refusal.value.hint


def test_a_project_with_services_is_not_deleted(platform: Platform) -> None:
    client, name = platform.client(), new_name()
    project = new_name("project")
    client.projects.create(project)
    client.services.deploy(project, answerer(name))
    with pytest.raises(AtelierError) as refusal:
        client.projects.delete(project)
    assert (refusal.value.code, name in refusal.value.hint) == ("still_serving", True)
    client.services.delete(project, name)
    platform.until(lambda: not list(client.services.list(project)))
    client.projects.delete(project)


def test_an_edit_of_what_somebody_else_has_changed_is_refused(platform: Platform) -> None:
    name, services = new_name(), platform.client().services
    with platform.served(answerer(name)) as found:
        services.scale("kim", name, 1, 2, version=found.version)
        with pytest.raises(AtelierError) as refusal:
            services.scale("kim", name, 1, 3, version=found.version)
        assert refusal.value.code == "stale"
