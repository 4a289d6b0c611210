"""Brings the registry to life with the control plane."""

from __future__ import annotations

from atelier_hub.context import Context
from atelier_hub.features.registry.service import Registry


def setup(context: Context) -> None:
    """Let features above say what uses models."""
    context.provide(Registry())
