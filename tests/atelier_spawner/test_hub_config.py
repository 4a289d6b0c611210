"""`hub_config.setup` on configurations as hubs have them."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.spawner import LocalProcessSpawner, SpawnException
from traitlets.config import Config

from atelier_core.names import slug
from atelier_spawner.hub_config import ACCESS, ADMIN, SERVER_DEFAULTS, USE, setup


def configured(**before: dict[str, Any]) -> Config:
    c = Config({section: dict(values) for section, values in before.items()})
    setup(c, service_url="http://127.0.0.1:1", service_token="t" * 32, admin_users=["ada"])
    return c


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [item for item in items if item["name"] == name]
    return found


def test_empty_hub() -> None:
    c = configured()
    assert named(c.JupyterHub.services, "atelier")["url"] == "http://127.0.0.1:1"
    assert c.JupyterHub.extra_user_scopes == {ACCESS, USE}
    assert c.Spawner.server_token_scopes == [*SERVER_DEFAULTS, ACCESS, USE]
    assert named(c.JupyterHub.load_roles, "atelier-admin")["users"] == ["ada"]
    assert ADMIN in named(c.JupyterHub.load_roles, "atelier-admin")["scopes"]
    assert c.JupyterHub.concurrent_spawn_limit == 64 and c.JupyterHub.cleanup_servers is False


def test_the_gateway_is_a_service_without_a_token_or_a_page() -> None:
    c = Config()
    for _ in range(2):
        setup(c, service_url="http://x", service_token="t", gateway_url="http://127.0.0.1:2")
    assert [service["name"] for service in c.JupyterHub.services] == ["atelier", "atelier-gateway"]
    assert named(c.JupyterHub.services, "atelier-gateway") == {
        "name": "atelier-gateway",
        "url": "http://127.0.0.1:2",
        "display": False,
    }


def test_twice_is_as_once() -> None:
    c = configured()
    once = copy.deepcopy({name: c[name] for name in c if name != "Spawner"})
    hook = c.Spawner.pre_spawn_hook
    setup(c, service_url="http://127.0.0.1:1", service_token="t" * 32, admin_users=["ada"])
    assert {name: c[name] for name in c if name != "Spawner"} == once
    assert c.Spawner.pre_spawn_hook is hook
    assert c.Spawner.server_token_scopes == [*SERVER_DEFAULTS, ACCESS, USE]


def test_what_the_hub_has_stays() -> None:
    c = Config()
    c.JupyterHub.services.append({"name": "culler", "command": ["x"]})
    c.JupyterHub.load_roles = [{"name": "culler", "scopes": ["servers"], "services": ["culler"]}]
    c.JupyterHub.custom_scopes = {"custom:other:x": {"description": "theirs"}}
    c.JupyterHub.extra_user_scopes = {"shares!user"}
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.concurrent_spawn_limit = 7
    c.Spawner.environment = {"A": "1"}
    setup(c, service_url="http://x", service_token="t", api_url="http://api")
    assert {service["name"] for service in c.JupyterHub.services} == {"culler", "atelier"}
    assert named(c.JupyterHub.load_roles, "culler")["scopes"] == ["servers"]
    assert c.JupyterHub.custom_scopes.keys() == {"custom:other:x", USE, ADMIN}
    assert c.JupyterHub.extra_user_scopes == {"shares!user", ACCESS, USE}
    assert c.JupyterHub.cleanup_servers is True and c.JupyterHub.concurrent_spawn_limit == 7
    assert c.Spawner.environment == {"A": "1", "ATELIER_API_URL": "http://api"}


def test_hub_that_defines_the_user_role_itself() -> None:
    c = configured(JupyterHub={"load_roles": [{"name": "user", "scopes": ["self"]}]})
    assert named(c.JupyterHub.load_roles, "user")["scopes"] == ["self", ACCESS, USE]


def test_visitors_and_servers_tokens_get_no_more_than_they_should() -> None:
    c = configured(
        Spawner={"server_token_scopes": ["self", ADMIN]},
        KubeSpawner={"server_token_scopes": ["inherit"], "oauth_client_allowed_scopes": [USE, ACCESS, "read:users"]},
    )
    assert c.Spawner.server_token_scopes == ["self", ACCESS, USE]
    assert c.KubeSpawner.server_token_scopes == ["inherit", ACCESS, USE]
    assert c.KubeSpawner.oauth_client_allowed_scopes == ["read:users"]


class Spawning(LocalProcessSpawner):  # type: ignore[misc]
    """A spawner of somebody's own, whose name tells nobody that it is one."""


def spawner_of(c: Config, kind: type[LocalProcessSpawner], name: str = "") -> LocalProcessSpawner:
    """As the hub makes it from its configuration."""
    for _ in range(2):
        setup(c, service_url="http://x", service_token="t", api_url="http://api", gateway_url="http://gateway")
    return kind(config=c, orm_spawner=SimpleNamespace(name=name, server=None))


@pytest.mark.parametrize("kind", [LocalProcessSpawner, Spawning])
@pytest.mark.parametrize("chosen", ["class", "name", "none"])
async def test_the_section_of_a_spawners_class_gets_what_all_spawners_get(
    kind: type[LocalProcessSpawner], chosen: str
) -> None:
    """It counts instead of `Spawner`'s, which once left servers without a platform, and names unchecked."""
    seen: list[str] = []
    c = Config()
    if chosen != "none":
        c.JupyterHub.spawner_class = kind if chosen == "class" else f"somewhere.{kind.__name__}"
    section = c[kind.__name__]
    section.environment = {"A": "1", "MLFLOW_WORKSPACE": "mine"}
    section.server_token_scopes = []
    section.pre_spawn_hook = lambda spawner: seen.append(spawner.name)
    good, bad = spawner_of(c, kind, "vision"), spawner_of(c, kind, "9lives")
    assert good.environment.items() >= {"A": "1", "MLFLOW_WORKSPACE": "mine", "ATELIER_API_URL": "http://api"}.items()
    assert good.environment["MLFLOW_TRACKING_URI"].startswith("http://gateway/")
    assert good.server_token_scopes == [*SERVER_DEFAULTS, ACCESS, USE]
    await good.run_pre_spawn_hook()
    with pytest.raises(SpawnException):
        await bad.run_pre_spawn_hook()
    assert seen == ["vision"]


@pytest.mark.parametrize(("user", "project"), [("jane.doe", "jane.doe"), ("zoë", slug("zoë"))])
def test_a_server_belongs_to_the_project_that_its_person_has(user: str, project: str) -> None:
    c = Config()
    setup(c, service_url="http://x", service_token="t", gateway_url="http://gateway")
    spawner = SimpleNamespace(name="", user=SimpleNamespace(name=user))
    assert c.Spawner.environment["MLFLOW_WORKSPACE"](spawner) == project


def test_what_a_section_adds_to_all_spawners_is_added_still() -> None:
    c = Config()
    c.Spawner.environment = {"A": "1"}
    c.LocalProcessSpawner.environment.update({"B": "2"})
    c.KubeIngress.environment = {"C": "3"}
    spawner = spawner_of(c, LocalProcessSpawner)
    assert spawner.environment.items() >= {"A": "1", "B": "2", "ATELIER_API_URL": "http://api"}.items()
    assert c.KubeIngress.environment == {"C": "3"}  # nobody's spawner


async def test_callable_scopes_are_asked_later() -> None:
    c = configured(Spawner={"server_token_scopes": lambda spawner: [spawner.name, ADMIN]})
    assert await c.Spawner.server_token_scopes(SimpleNamespace(name="x")) == ["x", ACCESS, USE]


@pytest.mark.parametrize("name", ["Big", "9lives", "a" * 31, "a_b", "ends-"])
async def test_server_name_that_is_no_projects(name: str) -> None:
    with pytest.raises(SpawnException, match="not a project name"):
        await configured().Spawner.pre_spawn_hook(SimpleNamespace(name=name))


@pytest.mark.parametrize("name", ["", "vision-2", "a"])
async def test_server_name_that_is(name: str) -> None:
    seen: list[str] = []
    c = configured(Spawner={"pre_spawn_hook": lambda spawner: seen.append(spawner.name)})
    await c.Spawner.pre_spawn_hook(SimpleNamespace(name=name))
    assert seen == [name]
