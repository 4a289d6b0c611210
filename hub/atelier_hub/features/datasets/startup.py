"""Brings datasets to life with the control plane."""

from __future__ import annotations

from atelier_hub.artifacts.sweep import Sweep
from atelier_hub.context import Context
from atelier_hub.features.datasets import uploads
from atelier_hub.features.datasets.service import Datasets


def setup(context: Context) -> None:
    """Let features above say what uses datasets, and old uploads be forgotten."""
    context.provide(Datasets())
    context.get(Sweep).forgetters.append(lambda age: uploads.forget_old(context, age))
