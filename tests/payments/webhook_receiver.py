"""A merchant's webhook address, for tests of the gateway's simulator."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """One delivery, as it came."""

    body: bytes
    signature: str | None
    content_type: str | None


class _Server(ThreadingHTTPServer):
    # More than the five of the default may call at the same moment, and who finds no
    # place in the queue gives up.
    request_queue_size = 128


class WebhookReceiver:
    """Takes deliveries; answers with `statuses` in turn, then with 200."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self)

            def do_GET(self) -> None:
                receiver.take(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        # Noted before it is answered: who saw the answer may look at once.
        self.received.append(
            Received(
                body=body,
                signature=handler.headers["Signature"],
                content_type=handler.headers["Content-Type"],
            )
        )
        status = self.statuses.pop(0) if self.statuses else 200
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        if status in {301, 302, 307, 308}:
            handler.send_header("Location", f"{self.url}elsewhere")
        handler.end_headers()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/webhooks/paychangu/"

    def forget(self) -> None:
        """Start anew."""
        self.received.clear()
        self.statuses.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=10)
        self._server.server_close()
