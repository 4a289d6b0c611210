"""The database: sessions, base types, events, moves, migrations."""

from atelier_hub.db.base import Base, Driven, UtcDateTime, Versioned, now
from atelier_hub.db.events import emit
from atelier_hub.db.move import move
from atelier_hub.db.session import Database

__all__ = ["Base", "Database", "Driven", "UtcDateTime", "Versioned", "emit", "move", "now"]
