"""Looks after what deleted projects leave behind."""

from __future__ import annotations

from atelier_hub.context import Context
from atelier_hub.features.projects.leftovers import Leftovers


def setup(context: Context) -> None:
    """Who runs things says where to look."""
    leftovers = Leftovers(context.db)
    context.provide(leftovers)
    context.background("leftovers", leftovers.run)
