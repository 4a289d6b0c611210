"""Alembic's entry: runs on the connection that `atelier_hub.db.migrate` hands over."""

from alembic import context

from atelier_hub.db.base import Base
from atelier_hub.features import import_tables

import_tables()

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,  # also on SQLite, where our own BEGIN covers it
    user_module_prefix="base.",
)
with context.begin_transaction():
    context.run_migrations()
