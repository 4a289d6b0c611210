"""One function that makes any JupyterHub the hub of an Atelier: call `setup(c, …)` in its `jupyterhub_config.py`.

It adds to what the hub's own configuration says and never replaces it; calling it twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jupyterhub.spawner import SpawnException
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from atelier_core.errors import Invalid
from atelier_core.names import check_project_name, personal_name

SERVICE = "atelier"
GATEWAY = "atelier-gateway"
USE = "custom:atelier:use"
ADMIN = "custom:atelier:admin"
ACCESS = f"access:services!service={SERVICE}"
ADMIN_ROLE = "atelier-admin"
SERVICE_ROLE = "atelier-service"

# What the hub grants a server's token by default; `server_token_scopes` replaces the default, so it is said again.
SERVER_DEFAULTS = ("users:activity!user", "access:servers!server")
# A schedule runs as its owner, who is looked up again at each firing, groups included. Nothing more is needed.
SERVICE_SCOPES = ("list:users", "read:users:groups", "list:groups")
CONCURRENT_SPAWNS = 64
# What no section but a spawner's can hold: a spawner's class may be called anything.
_OF_SPAWNERS = frozenset({"server_token_scopes", "oauth_client_allowed_scopes", "pre_spawn_hook"})


def setup(
    c: Config,
    *,
    service_url: str,
    service_token: str,
    admin_users: Iterable[str] = (),
    admin_groups: Iterable[str] = (),
    api_url: str = "",
    gateway_url: str = "",
) -> None:
    """Register the control plane at `service_url` as the hub's service `atelier`, with its scopes, roles and tokens.

    `service_token` is the control plane's own hub token; `admin_users` and `admin_groups` administer the platform (the
    hub's built-in `admin` role cannot hold custom scopes); `api_url` is where a user's server finds the control plane.
    `gateway_url` is where the gateway listens: the hub's proxy leads to it, and it decides itself who may come in.
    """
    _add_service(c, service_url, service_token)
    if gateway_url:
        merge_named(c.JupyterHub, "services", {"name": GATEWAY, "url": gateway_url, "display": False})
        _add_tracking(c, f"{gateway_url}/services/{GATEWAY}/mlflow")
    _add_roles(c, list(admin_users), list(admin_groups))
    _add_user_scopes(c)
    _set_token_scopes(c)
    _guard_server_names(c)
    _default(c.JupyterHub, "concurrent_spawn_limit", CONCURRENT_SPAWNS)
    # A restarted hub finds its servers again; stopping them with the hub would make an upgrade cost everyone's kernels.
    _default(c.JupyterHub, "cleanup_servers", False)
    if api_url:
        _add_environment(c, lambda known: {**known, "ATELIER_API_URL": api_url})


def _add_service(c: Config, url: str, token: str) -> None:
    scopes = {
        USE: {"description": "Use Atelier: own projects, runs and services"},
        ADMIN: {"description": "Administer Atelier: everyone's projects, quotas and settings", "subscopes": [USE]},
    }
    c.JupyterHub.custom_scopes = {**_plain(c.JupyterHub, "custom_scopes", {}), **scopes}
    service = {
        "name": SERVICE,
        "url": url,
        "api_token": token,
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": [USE, ADMIN],
    }
    merge_named(c.JupyterHub, "services", service)


def _add_tracking(c: Config, url: str) -> None:
    """Let the ordinary MLflow client in a server find MLflow, with the server's own token, in the server's project."""
    variables = {
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_TOKEN": _token_of,
        "MLFLOW_WORKSPACE": _project_of,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # MLflow's own pages are not served
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # it warns in every notebook that has no widgets for it
    }
    _add_environment(c, lambda known: {**variables, **known})


def _spawner_sections(c: Config) -> list[Config]:
    """The sections of spawners, that of all spawners first. What the section of a class says counts instead of what
    that of its base says, so ours goes into each of them."""
    chosen = c.JupyterHub.get("spawner_class", "")
    classes = {each.__name__ for each in chosen.__mro__} if isinstance(chosen, type) else {chosen.rpartition(".")[2]}
    sections = {name: section for name, section in c.items() if name != "Spawner" and isinstance(section, Config)}
    ours = [
        name for name in sections if name.endswith("Spawner") or name in classes or _OF_SPAWNERS & set(sections[name])
    ]
    return [c.Spawner, *(sections[name] for name in ours)]


def _add_environment(c: Config, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    for section in _spawner_sections(c):
        # What was only updated there is laid over what `Spawner` says, as it should be.
        replaces = "environment" in section and not isinstance(section.environment, LazyConfigValue)
        if replaces or section is c.Spawner:
            section.environment = change(_plain(section, "environment", {}))


def _token_of(spawner: Any) -> str:
    return str(spawner.api_token)


def _project_of(spawner: Any) -> str:
    return str(getattr(spawner, "project", "") or spawner.name or personal_name(spawner.user.name))


def _add_roles(c: Config, users: list[str], groups: list[str]) -> None:
    merge_named(
        c.JupyterHub,
        "load_roles",
        {
            "name": SERVICE_ROLE,
            "description": "What the control plane reads from the hub",
            "scopes": list(SERVICE_SCOPES),
            "services": [SERVICE],
        },
    )
    role: dict[str, Any] = {
        "name": ADMIN_ROLE,
        "description": "Administers Atelier",
        "scopes": [ADMIN, USE, ACCESS],
        "users": users,
    }
    if groups:
        role["groups"] = groups
    merge_named(c.JupyterHub, "load_roles", role)


def _add_user_scopes(c: Config) -> None:
    """Let everyone use the platform, also when the hub defines the `user` role itself (it then ignores the extras)."""
    for role in c.JupyterHub.load_roles:
        if role.get("name") == "user" and "scopes" in role:
            role["scopes"] = _union(role["scopes"], (ACCESS, USE))
            return
    extra = set(_plain(c.JupyterHub, "extra_user_scopes", set()))
    c.JupyterHub.extra_user_scopes = extra | {ACCESS, USE}


def _set_token_scopes(c: Config) -> None:
    """Give a server's own token the platform's scopes, and keep them out of the tokens of its visitors."""
    roles = {role.get("name"): role for role in c.JupyterHub.load_roles}
    default = list(roles.get("server", {}).get("scopes", SERVER_DEFAULTS))
    for section in _spawner_sections(c):
        if "server_token_scopes" in section or section is c.Spawner:
            wanted = _plain(section, "server_token_scopes", []) or default  # for the hub, too, empty means the default
            section.server_token_scopes = _mapped(wanted, _with_platform)
        if "oauth_client_allowed_scopes" in section:
            wanted = _plain(section, "oauth_client_allowed_scopes", [])
            section.oauth_client_allowed_scopes = _mapped(wanted, _without_platform)


def _with_platform(scopes: Iterable[str]) -> list[str]:
    return _union((scope for scope in scopes if scope != ADMIN), (ACCESS, USE))


def _without_platform(scopes: Iterable[str]) -> list[str]:
    return [scope for scope in scopes if scope not in (ACCESS, USE, ADMIN)]


def _mapped(scopes: Any, change: Callable[[Iterable[str]], list[str]]) -> Any:
    """`change` applied to a list now, or to what a callable returns later."""
    if not callable(scopes):
        return change(scopes)
    if getattr(scopes, "atelier", False):
        return scopes

    async def changed(spawner: Any) -> list[str]:
        value = scopes(spawner)
        return change(await value if hasattr(value, "__await__") else value)

    changed.atelier = True  # type: ignore[attr-defined]
    return changed


def _guard_server_names(c: Config) -> None:
    """Refuse named servers that could not be a project: servers, users and projects share one name space."""
    for section in _spawner_sections(c):
        if "pre_spawn_hook" in section or section is c.Spawner:
            section.pre_spawn_hook = _guarded(section.get("pre_spawn_hook"))


def _guarded(existing: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if existing is not None and getattr(existing, "atelier", False):
        return existing

    async def guard(spawner: Any) -> None:
        check_server_name(spawner.name)
        if existing is not None:
            done = existing(spawner)
            if hasattr(done, "__await__"):
                await done

    guard.atelier = True  # type: ignore[attr-defined]
    return guard


def check_server_name(name: str) -> None:
    """Raise `SpawnException` unless `name` is empty (the default server) or may be a project's name."""
    if not name:
        return
    try:
        check_project_name(name)
    except Invalid as error:
        raise SpawnException(f"{error.message} {error.hint}", reason="bad_name") from None


def _default(section: Any, key: str, value: Any) -> None:
    if key not in section:
        section[key] = value


def _plain(section: Any, key: str, empty: Any) -> Any:
    """What the configuration holds under `key` so far, also when it was only appended to or updated."""
    value = section.get(key, empty)
    return value.get_value(empty) if isinstance(value, LazyConfigValue) else value


def merge_named(section: Any, key: str, item: dict[str, Any]) -> None:
    """Put `item` into the list of named things under `key`: added, or laid over the one of the same name."""
    items = [dict(known) for known in _plain(section, key, [])]
    for known in items:
        if known.get("name") == item["name"]:
            for field in ("users", "groups", "services"):
                if field in item and field in known:
                    item = {**item, field: _union(known[field], item[field])}
            known.update(item)
            break
    else:
        items.append(item)
    section[key] = items


def _union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))
