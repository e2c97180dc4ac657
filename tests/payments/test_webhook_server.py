"""The webhook behind the real web server, for what a test client cannot send."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from payments import gateway, webhooks
from payments.models import GatewayEvent
from tests.payments.buying import WEBHOOK
from tests.simulator_process import WEBHOOK_SECRET
from tests.system import System, start_system

BODY = b'{"event_type": "checkout.payment"}'
RIGHT = f"Signature: {gateway.sign(BODY, WEBHOOK_SECRET)}"
WRONG = f"Signature: {'0' * 64}"


@pytest.fixture
def system(committed: str) -> Iterator[System]:
    with start_system(committed) as system:
        yield system


def send(system: System, *headers: str, body: bytes = BODY) -> int:
    """Send a request as written; return the status of the answer."""
    head = "\r\n".join(
        [
            f"POST {WEBHOOK} HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            "Connection: close",
            *headers,
        ]
    )
    with socket.create_connection(("127.0.0.1", system.port), timeout=20) as peer:
        peer.sendall(f"{head}\r\n\r\n".encode() + body)
        answer = peer.makefile("rb").readline()
    return int(answer.split()[1])


def test_odd_requests_are_refused_by_the_running_server(system):
    length = f"Content-Length: {len(BODY)}"
    chunked = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    large = webhooks.BODY_LENGTH_MAX + 1

    assert send(system, length, RIGHT) == 200
    # W07: whichever of the two a server would hand on.
    assert send(system, length, WRONG, RIGHT) == 401
    assert send(system, length, RIGHT, WRONG) == 401
    assert send(system, length, RIGHT, RIGHT) == 401
    assert send(system, length, WRONG) == 401
    # W18: answered without waiting for the body, which never comes.
    assert send(system, f"Content-Length: {large}", RIGHT, body=b"") == 413
    assert send(system, "Transfer-Encoding: chunked", RIGHT, body=chunked) in {200, 401}
    assert send(system, length, "Content-Encoding: gzip", RIGHT) == 415

    assert GatewayEvent.objects.count() == 1
