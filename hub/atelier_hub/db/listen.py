"""PostgreSQL's LISTEN: another replica has something to say. On SQLite there is no other replica."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from atelier_hub.db.session import Database

log = logging.getLogger(__name__)


class Listener:
    """A thread with a connection of its own that calls `heard(message)` for every message on `channel`.

    Also with an empty message each time that it (re)connects: something may have been said before it listened.
    """

    def __init__(self, db: Database, channel: str, heard: Callable[[str], None]) -> None:
        self._db = db
        self._channel = channel
        self._heard = heard
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen."""
        if not self._db.sqlite:
            self._thread = threading.Thread(target=self._run, name=f"listen {self._channel}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        import psycopg

        while not self._stop.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                log.warning("listening to other replicas failed (%s); again in a second", error)
                self._stop.wait(1)

    def _listen(self) -> None:
        import psycopg

        address = self._db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
            connection.execute(f"LISTEN {self._channel}")
            self._heard("")
            while not self._stop.is_set():
                for notice in connection.notifies(timeout=0.5, stop_after=1):
                    self._heard(notice.payload)
