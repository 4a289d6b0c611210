"""Where the platform is: the server's own token inside Atelier, else what `atelier login` left."""

from __future__ import annotations

import os

from atelier_sdk import Client, credentials


def client() -> Client:
    """A connection as the person whose server this is."""
    url, token = os.environ.get("ATELIER_API_URL"), os.environ.get("JUPYTERHUB_API_TOKEN")
    if not (url and token):
        found = credentials.load()
        url, token = found.url, found.token
    return Client(url, token)


def project(connected: Client) -> str:
    """The server's project, else the person's own."""
    return os.environ.get("ATELIER_PROJECT") or connected.me().name
