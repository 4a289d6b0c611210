"""uvicorn's HTTP, which by itself keeps whatever a visitor sends as the head of a request."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024


class BoundedHttp(HttpToolsProtocol):
    """Hangs up on a head, or on what stands between pieces of a body, that has no end."""

    _silent = 0  # bytes since the last head, or since the last piece of a body

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._silent += len(data)
        super().data_received(data)
        if self._silent > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._silent = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._silent = 0
        super().on_body(body)
