"""PostgreSQL's LISTEN: another replica wrote events. On SQLite there is no other replica."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from atelier_hub.db.events import CHANNEL
from atelier_hub.db.session import Database

log = logging.getLogger(__name__)


class Listener:
    """A thread with a connection of its own that calls `wake` for every notification."""

    def __init__(self, db: Database, wake: Callable[[], None]) -> None:
        self._db = db
        self._wake = wake
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen."""
        if not self._db.sqlite:
            self._thread = threading.Thread(target=self._run, name="listen", daemon=True)
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
                log.warning("listening for events of other replicas failed (%s); again in a second", error)
                self._stop.wait(1)

    def _listen(self) -> None:
        import psycopg

        address = self._db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._wake()  # something may have come before we listened
            while not self._stop.is_set():
                for _notice in connection.notifies(timeout=0.5, stop_after=1):
                    self._wake()
