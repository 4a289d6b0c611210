"""The real control plane on a real socket, in a thread of the test process."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from atelier_hub.app import AtelierHub
from atelier_hub.context import Context
from atelier_hub.http import serve
from tests.harness.hub import TestHub

BASE = "/services/atelier"


class Server:
    """One control plane; `client(token)` talks to it as somebody."""

    def __init__(self, folder: Path, db_url: str, hub: TestHub, **traits: Any) -> None:
        self.hub = hub
        traits.setdefault("auth_cache_seconds", 45.0)
        self.program = AtelierHub(
            data_dir=str(folder),
            db_url=db_url,
            hub_api_url=hub.api_url,
            api_token=hub.service_token,
            port=0,
            **traits,
        )
        self.app = self.program.build()
        self.context: Context = self.app.state.context
        self._sockets = serve.bind("127.0.0.1", 0, ["127.0.0.1:0"])
        main = serve._Server(serve._config(self.app, lifespan="on"))
        side = serve._Server(serve._config(serve.ForWorkloads(self.app, BASE), lifespan="off"))
        self._servers: list[uvicorn.Server] = [main, side]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = f"http://127.0.0.1:{self._sockets[0].getsockname()[1]}{BASE}/api"
        self.side_url = f"http://127.0.0.1:{self._sockets[1].getsockname()[1]}"

    def _run(self) -> None:
        async def both() -> None:
            pairs = zip(self._servers, self._sockets, strict=True)
            await asyncio.gather(*(server.serve([one]) for server, one in pairs))

        asyncio.run(both())

    def start(self) -> Server:
        """Serve; returns when it answers."""
        self._thread.start()
        until = time.monotonic() + 120
        while not all(server.started for server in self._servers):
            if time.monotonic() > until or not self._thread.is_alive():
                raise RuntimeError("the control plane did not start")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop as a signal would."""
        self.context.feed.end_streams_soon()
        for server in self._servers:
            server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "the control plane did not stop"
        self.context.db.close()

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        """An HTTP client that shows `token`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)
