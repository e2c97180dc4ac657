"""The HTTP server: reads requests, hands them on, and sends answers, whole or not."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from payments.simulator import api, control, payouts, people, webhooks
from payments.simulator.engine import Engine, Options
from payments.simulator.store import Store
from payments.simulator.wire import Reply, Request, failure

_BODY_LENGTH_MAX = 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "PayChanguSimulator"
    # Seconds that a connection may be idle.
    timeout = 60
    server: Server

    def do_GET(self) -> None:
        """Serve a GET request."""
        self._serve()

    def do_POST(self) -> None:
        """Serve a POST request."""
        self._serve()

    def do_DELETE(self) -> None:
        """Serve a DELETE request."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the list at `/` shows what happened."""

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _BODY_LENGTH_MAX:
            self.close_connection = True
            self._send(failure("The body is too large.", status=413))
            return
        body = self.rfile.read(int(length))
        self._send(self._answer(self._request(body)))

    def _request(self, body: bytes) -> Request:
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
        )
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        text = body.decode("utf-8", "replace")
        if kind == "application/x-www-form-urlencoded":
            request.form = dict(parse_qsl(text, keep_blank_values=True))
        elif body:
            try:
                request.document = json.loads(text)
            except (ValueError, RecursionError):
                request.document = None
        return request

    def _answer(self, request: Request) -> Reply:
        engine = self.server.engine
        authorization = self.headers.get("Authorization", "")
        reply = api.handle(engine, request, authorization=authorization)
        if reply is not None:
            return reply
        if request.path.startswith("/_") and self._is_foreign():
            return failure("This comes from another site's page.", status=403)
        if request.path.startswith("/_control/"):
            return control.handle(engine, request)
        return people.handle(engine, request)

    def _is_foreign(self) -> bool:
        """Whether a page of another site makes a browser send this."""
        origin = self.headers.get("Origin")
        return origin is not None and urlsplit(origin).netloc != self.headers["Host"]

    def _send(self, reply: Reply) -> None:
        if reply.wait_seconds:
            self.server.is_stopping.wait(reply.wait_seconds)
        if reply.cut_after == 0:
            self._reset()
            return
        body = reply.encoded()
        head = self._head(reply, length=len(body))
        if reply.cut_after is not None:
            self.close_connection = True
            body = body[: int(len(body) * reply.cut_after)]
        if not reply.drip_seconds:
            # One write: two would make the peer's delayed ACK cost 40 ms.
            self.wfile.write(head + body)
            return
        self.wfile.write(head)
        for position in range(len(body)):
            self.wfile.write(body[position : position + 1])
            if self.server.is_stopping.wait(reply.drip_seconds):
                return

    def _head(self, reply: Reply, *, length: int) -> bytes:
        reason = self.responses.get(reply.status, ("",))[0]
        lines = [f"HTTP/1.1 {reply.status} {reason}"]
        headers = {
            "Server": self.server_version,
            "Date": self.date_time_string(),
            "Content-Type": reply.content_type,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **reply.headers,
        }
        if reply.status != 204:
            headers["Content-Length"] = str(length)
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def _reset(self) -> None:
        """End the connection with RST, as a crashed peer does."""
        self.close_connection = True
        now = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        os.close(self.connection.detach())


class Server(ThreadingHTTPServer):
    """The simulator, listening."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: Options) -> None:
        super().__init__((options.host, options.port), Handler)
        options.port = self.server_port
        self.is_stopping = threading.Event()
        self.engine = Engine(options, Store(options.state))
        payouts.resume(self.engine)
        webhooks.resume(self.engine)

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        host, port = self.socket.getsockname()[:2]
        self.server_address = (host, port)
        self.server_name, self.server_port = host, port

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of peers that went away; tell of anything else."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Answer nothing any more, and close the state."""
        self.is_stopping.set()
        self.shutdown()
        self.server_close()
        self.engine.scheduler.stop()
        self.engine.store.close()
