"""`/atelier/info`: who works here, and whether the three parts (page, server, control plane) fit each other."""

from __future__ import annotations

import platform as machine
from dataclasses import asdict, dataclass

from atelier_core.errors import AtelierError
from atelier_server import __version__
from atelier_server.access import OwnerHandler
from atelier_server.settings import Settings
from atelier_server.upstream import REFUSED, ControlPlane

RELOAD = "Reload the page; if that does not help, empty the browser's cache for this address."
RESTART = "Stop and start your server on the hub's page; it begins with the version that is installed now."
UPGRADE = "Ask whoever runs the platform to bring it up to date (install the new version, then `atelier up`)."


@dataclass(frozen=True)
class Part:
    """How another part of Atelier stands to this server."""

    state: str = "ok"
    version: str = ""
    message: str = ""
    hint: str = ""


def compare(what: str, theirs: str, ours: str, *, older: str, newer: str) -> Part:
    """Whether `what` of version `theirs` fits us; `older` and `newer` say what to do where it does not.

    Versions that differ in the last number only work together.
    """
    mine, other = _series(ours), _series(theirs)
    if mine == other:
        return Part(version=theirs)
    message = f"{what} is Atelier {theirs or '?'}, your server is {ours}: they do not fit each other."
    return Part("mismatch", theirs, message, older if other < mine else newer)


def _series(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2])


async def look(upstream: ControlPlane) -> Part:
    """The state of the control plane: ok, away, refused or mismatch."""
    version = ""
    try:
        version = str((await upstream.json("health")).get("version", ""))
        found = compare("The control plane", version, __version__, older=UPGRADE, newer=RESTART)
        if found.state == "ok":
            await upstream.json("me")
        return found
    except AtelierError as error:
        state = "refused" if error.code == REFUSED else "away"
        return Part(state, version, error.message, error.hint)


class InfoHandler(OwnerHandler):
    """What the page wants to know first."""

    def initialize(self, platform: Settings, upstream: ControlPlane) -> None:  # type: ignore[override]
        """`upstream` is asked each time."""
        super().initialize(platform)
        self._upstream = upstream

    async def get(self) -> None:
        """`?front=VERSION` also compares the page that asks."""
        front = self.get_query_argument("front", "")
        page = compare("This page", front, __version__, older=RELOAD, newer=RESTART) if front else Part()
        self.finish(
            {
                "user": self.platform.user,
                "project": self.platform.project,
                "version": __version__,
                "python": machine.python_version(),
                "control_plane": asdict(await look(self._upstream)),
                "front": asdict(page),
            }
        )
