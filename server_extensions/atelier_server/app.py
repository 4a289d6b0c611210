"""The extension: reads what the spawner told this server, and puts the routes in. Only here environment is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.web import RequestHandler
from traitlets import Unicode, default

from atelier_core.names import personal_name
from atelier_server.feed import FeedSocket
from atelier_server.info import InfoHandler
from atelier_server.lab_page import for_a_hub
from atelier_server.local import routes as local
from atelier_server.local.demo import copy_once
from atelier_server.local.predict import PredictHandler
from atelier_server.proxy import ProxyHandler
from atelier_server.relay import Relay
from atelier_server.settings import Settings
from atelier_server.upstream import ControlPlane


class AtelierServer(ExtensionApp):
    """Atelier inside a person's Jupyter server."""

    name = "atelier_server"

    api_url = Unicode(help="Where the control plane answers, without /api.").tag(config=True)
    project = Unicode(help="The project that the server belongs to.").tag(config=True)

    @default("api_url")
    def _default_api_url(self) -> str:
        return os.environ.get("ATELIER_API_URL", "")

    @default("project")
    def _default_project(self) -> str:
        user = os.environ.get("JUPYTERHUB_USER", "")
        return os.environ.get("ATELIER_PROJECT", "") or (personal_name(user) if user else "")

    def platform(self) -> Settings:
        """What the handlers need to know. Whose server it is comes from the hub alone, not from a configuration."""
        root = getattr(self.serverapp.contents_manager, "root_dir", "")  # type: ignore[union-attr]
        return Settings(
            user=os.environ.get("JUPYTERHUB_USER", ""),
            project=self.project,
            api_url=self.api_url,
            token=os.environ.get("JUPYTERHUB_API_TOKEN", ""),
            root=Path(root) if root else None,
        )

    def initialize_handlers(self) -> None:
        """All routes, below `<base_url>/atelier/`."""
        platform = self.platform()
        self.handlers.extend(handlers(platform))
        if platform.user and not os.environ.get("JUPYTERHUB_SERVER_NAME"):
            copy_once(platform, self.log)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """All other extensions are there now; where a hub runs the server, the page does without some of Lab's."""
        settings = serverapp.web_app.settings
        if os.environ.get("JUPYTERHUB_USER"):
            settings["page_config_hook"] = for_a_hub(settings.get("page_config_hook"))

    async def stop_extension(self) -> None:
        """The server stops."""
        for _pattern, handler, parts in self.handlers:
            if handler is FeedSocket:
                parts["relay"].stop()
                await parts["upstream"].close()


def handlers(platform: Settings) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Every route with its handler; one connection to the control plane for all."""
    upstream = ControlPlane(platform)
    own: dict[str, Any] = {"platform": platform, "upstream": upstream}
    return [
        (r"atelier/info", InfoHandler, own),
        (r"atelier/feed", FeedSocket, {**own, "relay": Relay(upstream)}),
        (r"atelier/api/(.*)", ProxyHandler, own),
        (r"atelier/local/predict", PredictHandler, own),
        *local.routes(platform),
    ]
