"""The database: sessions, base types, events, moves, migrations."""

from atelier_hub.db.base import Base, Driven, UtcDateTime, Versioned, now, table_of
from atelier_hub.db.events import emit
from atelier_hub.db.move import move, moved_columns
from atelier_hub.db.session import Database, after_commit

__all__ = [
    "Base",
    "Database",
    "Driven",
    "UtcDateTime",
    "Versioned",
    "after_commit",
    "emit",
    "move",
    "moved_columns",
    "now",
    "table_of",
]
