"""The features, and which may call which: each only those in later lines, never one beside it.

A feature is a folder with `routes.py` (exposes `router`, which holds its routes itself: `router.routes += more.routes`,
for one that is included stops the start), `service.py` and `store.py`; `startup.py`, where there is one, exposes
`setup(context)`, called before the first request. Another feature's `store` is private.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

LAYERS: tuple[tuple[str, ...], ...] = (
    ("pipelines",),
    ("serving",),
    ("registry",),
    ("datasets",),
    ("gateway",),
    ("projects",),
)

FEATURES: tuple[str, ...] = tuple(name for layer in LAYERS for name in layer)


def modules(part: str) -> list[ModuleType]:
    """The module `part` of every feature that has one, lowest feature first."""
    names = [f"{__name__}.{feature}.{part}" for feature in reversed(FEATURES)]
    return [import_module(name) for name in names if find_spec(name)]


def import_tables() -> None:
    """Make every table known to `Base.metadata`."""
    import_module("atelier_hub.db.events")
    import_module("atelier_hub.leases")
    import_module("atelier_hub.engine.reports")
    modules("store")
