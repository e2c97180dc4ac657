"""A proxy in front of PostgreSQL that loses a connection at its COMMIT."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

# What becomes of the first COMMIT:
# - "lost": the server never sees it;
# - "answer lost": the server commits, and nobody hears of it;
# - "late": the client is cut off at once, and the server sees the COMMIT only when
#   somebody is asking, on another connection, what became of it.
Fate = Literal["lost", "answer lost", "late"]

_COMMIT = b"COMMIT\x00"
_ASKING = b"pg_stat_activity"


class CuttingProxy:
    """Forwards connections to `server`, a host and port or the path of a socket."""

    def __init__(self, server: tuple[str, int] | str, *, fate: Fate) -> None:
        self._server = server
        self._fate = fate
        self._has_cut = threading.Event()
        self._is_committed = threading.Event()
        self._somebody_asks = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    @contextlib.contextmanager
    def running(self) -> Iterator[CuttingProxy]:
        """Accept connections until the end of the block."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            # Wakes the thread that accepts, which a close alone does not.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                threads = [
                    threading.Thread(target=work, args=(client, server), daemon=True)
                    for work in (self._from_client, self._from_server)
                ]
                for thread in threads:
                    thread.start()
                threading.Thread(
                    target=_close_after, args=(threads, client, server), daemon=True
                ).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._server, str):
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            return server
        return socket.create_connection(self._server)

    def _from_client(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if _ASKING in data:
                    self._somebody_asks.set()
                if _COMMIT in data and not self._has_cut.is_set():
                    self._cut(client, server, data)
                    break
                server.sendall(data)
        _shut(client, server)

    def _cut(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        self._has_cut.set()
        if self._fate == "lost":
            return
        if self._fate == "late":
            _shut(client)
            self._somebody_asks.wait(timeout=10)
        server.sendall(data)
        self._is_committed.wait(timeout=10)

    def _from_server(self, client: socket.socket, server: socket.socket) -> None:
        is_first = not self._has_cut.is_set()
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if is_first and self._has_cut.is_set():
                    # The answer to the COMMIT, which nobody gets to hear.
                    self._is_committed.set()
                    break
                client.sendall(data)
        _shut(client, server)


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _close_after(threads: list[threading.Thread], *sockets: socket.socket) -> None:
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()
