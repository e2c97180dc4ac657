"""A gateway that says over a real socket exactly what a test wrote down."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from payments.gateway import Gateway, GatewayConfig

BODIES = Path(__file__).parent / "bodies"
SECRET_KEY = "sec-test-canary-5e1f"

Answer = Callable[[socket.socket], None]


def documented(name: str) -> bytes:
    """Return a documented body, byte for byte."""
    return (BODIES / name).read_bytes().rstrip(b"\n")


def http(
    body: bytes | Any,
    *,
    status: int = 200,
    kind: str = "application/json",
    headers: str = "",
    length: int | None = None,
) -> Answer:
    """Answer with `body`; `length` is what the header claims, if not the truth."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    claimed = len(body) if length is None else length
    head = (
        f"HTTP/1.1 {status} Canned\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {claimed}\r\nConnection: close\r\n{headers}\r\n"
    )
    return lambda peer: peer.sendall(head.encode() + body)


def reset(peer: socket.socket) -> None:
    """End the connection with RST after the request was read."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class CannedGateway:
    """Gives each request the next of `answers`, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.is_over = threading.Event()
        # Whole requests, as they came.
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        # Closing alone does not wake the thread that waits for connections.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def client(self, *, seconds: float = 5, mode: str = "test") -> Gateway:
        """Return a client of this gateway."""
        return client_of(self.base_url, seconds=seconds, mode=mode)

    @property
    def lines(self) -> list[str]:
        """The request lines so far, without the version."""
        firsts = [request.partition(b"\r\n")[0].decode() for request in self.requests]
        return [line.rpartition(" ")[0] for line in firsts]

    def sent(self, number: int = 0) -> Any:
        """Return the JSON body of a request."""
        return json.loads(self.requests[number].partition(b"\r\n\r\n")[2])

    def never_answer(self, _: socket.socket) -> None:
        """Hold the connection open, silently, until the test is over."""
        self.is_over.wait(30)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, suppress(OSError):
                self.requests.append(_read_request(peer))
                several = len(self._answers) > 1
                answer = self._answers.pop(0) if several else self._answers[0]
                answer(peer)


def client_of(base_url: str, *, seconds: float = 5, mode: str = "test") -> Gateway:
    """Return a client of whatever listens at `base_url`."""
    config = GatewayConfig(
        base_url=base_url,
        secret_key=SECRET_KEY,
        mode=mode,
        connect_timeout_seconds=seconds,
        read_timeout_seconds=seconds,
    )
    return Gateway(config)


def _read_request(peer: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += peer.recv(65536) or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += peer.recv(65536)
    return head + b"\r\n\r\n" + body
