"""Brings the registry to life with the control plane."""

from __future__ import annotations

from atelier_hub.clients.mlflow import MlflowClient
from atelier_hub.context import Context
from atelier_hub.features.registry.accounts import Accounts, mark_removed
from atelier_hub.features.registry.mirror import Mirror
from atelier_hub.features.registry.operations import Operations
from atelier_hub.features.registry.registering import Registrar
from atelier_hub.features.registry.service import Registry
from atelier_hub.features.registry.tracking import Tracker


def setup(context: Context) -> None:
    """Wire what speaks to MLflow; where there is none, it says so when it is asked."""
    settings, db = context.settings, context.db
    client = MlflowClient(settings.mlflow_url, settings.mlflow_password)
    accounts = Accounts(client, db, context.keyring.derive("mlflow accounts"))
    registrar = Registrar(db, context.store, client, accounts)
    registry = Registry()
    mirror = Mirror(db, context.store, client, accounts, settings.max_output_bytes)
    operations = Operations(db, client, registrar, registry)
    for part in (client, accounts, registrar, registry, mirror, operations, Tracker(db, client, accounts)):
        context.provide(part)
    context.delete_guards.append(mark_removed)
    if settings.mlflow_url:
        context.background("mlflow", mirror.run)
        db.on_events(mirror.hear)
