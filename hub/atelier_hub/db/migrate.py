"""Brings the database to this version's schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from atelier_core.errors import AtelierError
from atelier_hub.db.session import Database

# Any number will do as long as it is always the same: replicas that start together migrate one after another.
_MIGRATION_LOCK = 0x61746C72


class DatabaseTooNew(AtelierError):
    """The database was written by a newer version of the program."""

    code = "database_too_new"


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    configuration.attributes["connection"] = connection
    return configuration


def migrate(db: Database) -> None:
    """Upgrade to the newest revision; a database from the future is left alone."""
    with db.engine.execution_options(atelier_write=True).begin() as connection:
        if not db.sqlite:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # another's migration may take its time
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        _check_not_newer(connection)
        command.upgrade(config(connection), "head")


def _check_not_newer(connection: Connection) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    unknown = [head for head in MigrationContext.configure(connection).get_current_heads() if head not in known]
    if unknown:
        raise DatabaseTooNew(
            f"The database has revision {unknown[0]}, which this version does not know: a newer version wrote it.",
            hint="Install the newer version again, or restore the backup that was made before the upgrade.",
        )
