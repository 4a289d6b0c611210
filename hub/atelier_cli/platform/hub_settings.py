"""The hub's configuration on one machine; the generated `jupyterhub_config.py` calls `configure`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from traitlets.config import Config

from atelier_cli.platform.layout import Layout, load_secrets, load_settings
from atelier_spawner.accounts.authenticator import LocalAccounts
from atelier_spawner.hub_config import merge_named, setup
from atelier_spawner.notebooks.local import LocalNotebookSpawner

SUPERVISOR = "atelier-supervisor"


def configure(c: Config, data: Path, *, admins: Sequence[str], one_person: str) -> None:
    """Set everything that the hub of this data folder needs, with the operator's own file in between."""
    layout = Layout(data)
    _processes(c, layout)
    c.JupyterHub.authenticator_class = LocalAccounts
    c.LocalAccounts.path = str(layout.accounts)
    c.LocalAccounts.one_person = one_person
    c.LocalAccounts.admin_users = set(admins)
    c.JupyterHub.spawner_class = LocalNotebookSpawner
    c.LocalNotebookSpawner.data_dir = str(data)
    c.LocalNotebookSpawner.cache_dir = str(layout.cache)
    c.LocalNotebookSpawner.one_person = one_person
    c.JupyterHub.allow_named_servers = True
    if layout.hub_settings.exists():
        source = layout.hub_settings.read_text()
        exec(compile(source, str(layout.hub_settings), "exec"), {"c": c})  # noqa: S102 - the operator's own file
    _supervisor(c, layout)
    settings = load_settings(layout)
    setup(
        c,
        service_url=settings.control_plane_url,
        service_token=load_secrets(layout).control_plane,
        admin_users=admins,
        # Past the proxy, which would keep an open feed open when the control plane is gone.
        api_url=f"{settings.control_plane_url}/services/atelier",
        gateway_url=settings.gateway_url,
    )


def _processes(c: Config, layout: Layout) -> None:
    settings, tokens = load_settings(layout), load_secrets(layout)
    c.JupyterHub.bind_url = f"http://{settings.ip}:{settings.port}"
    c.JupyterHub.hub_bind_url = settings.hub_url
    c.JupyterHub.db_url = f"sqlite:///{layout.hub_database}"
    c.JupyterHub.cookie_secret_file = str(layout.hub / "cookie_secret")
    # The proxy is a process of its own: people keep their open pages and kernels while the hub is replaced.
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.auth_token = tokens.proxy
    c.ConfigurableHTTPProxy.api_url = settings.proxy_api_url


def _supervisor(c: Config, layout: Layout) -> None:
    """What `atelier up` may ask the hub for: setting routes again, and a token for the person who runs it."""
    admin = load_settings(layout).admin
    service = {"name": SUPERVISOR, "api_token": load_secrets(layout).supervisor, "display": False}
    role = {"name": SUPERVISOR, "scopes": ["proxy", f"tokens!user={admin}"], "services": [SUPERVISOR]}
    merge_named(c.JupyterHub, "services", service)
    merge_named(c.JupyterHub, "load_roles", role)
