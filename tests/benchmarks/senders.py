"""Senders of webhooks, many in one process: what was answered, and after how long."""

from __future__ import annotations

import hashlib
import json
import selectors
import socket
import sys
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from payments.gateway import sign

_ANSWER_SECONDS_MAX = 60.0
_OK = b"HTTP/1.1 200 "
_SPLIT = {
    "fee_paid_by_customer": 0,
    "fee_paid_by_merchant": 300,
    "total_amount_paid_by_customer": 10000,
    "amount_received_by_merchant": 9700,
}


@dataclass(kw_only=True)
class Sender:
    """A connection that is kept open: sends an event, awaits the answer, and so on."""

    connection: socket.socket
    sent_at: float = 0.0
    digest: str = ""
    received: bytearray = field(default_factory=bytearray)

    def send(self, host: str, path: str, secret: str) -> None:
        """Send an event that nobody has sent before."""
        body = new_event()
        self.digest = hashlib.sha256(body).hexdigest()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nSignature: {sign(body, secret)}\r\n\r\n"
        )
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.connection.sendall(head.encode() + body)

    def has_answer(self) -> bool:
        """Take in what has come; return whether the answer is whole."""
        part = self.connection.recv(65536)
        assert part, "the server closed the connection"
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return False
        if b"transfer-encoding: chunked" in head.lower():
            return body.endswith(b"0\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return len(body) >= int(line.partition(b":")[2])
        raise AssertionError(f"an answer without a length: {head!r}")


def new_event() -> bytes:
    """Return a `checkout.payment` of the documented form, as the gateway writes it."""
    number = uuid.uuid4().hex
    person = {"email": "payer@example.com", "first_name": "Payer", "last_name": None}
    event = {
        "event_type": "checkout.payment",
        **person,
        "currency": "MWK",
        "amount": 10000,
        "charge": 300,
        "amount_split": _SPLIT,
        "total_amount_paid": 10000,
        "mode": "test",
        "type": "API Payment (Checkout)",
        "status": "success",
        "reference": str(int(number[:10], 16)),
        "tx_ref": f"credits-{number}",
        "customization": {"title": "Credits", "description": None, "logo": None},
        "meta": "[]",
        "customer": {
            "customer_ref": f"cs_{number[:10]}",
            **person,
            "phone": None,
            "created_at": 1763800000,
        },
        "authorization": {
            "channel": "Mobile Money",
            "card_details": None,
            "bank_payment_details": None,
            "mobile_money": {
                "mobile_number": "+26599xxxx000",
                "operator": "Airtel Money",
                "trans_id": number[:11],
            },
            "completed_at": "2026-11-20T08:00:00.000000Z",
        },
        "created_at": "2026-11-20T07:59:00.000000Z",
        "updated_at": "2026-11-20T08:00:00.000000Z",
    }
    return json.dumps(event, separators=(",", ":")).replace("/", "\\/").encode()


def _connected(address: tuple[str, int], senders: int) -> selectors.BaseSelector:
    selector = selectors.DefaultSelector()
    for _ in range(senders):
        connection = socket.create_connection(address, timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(
            connection, selectors.EVENT_READ, Sender(connection=connection)
        )
    return selector


def main(url: str, senders: int, seconds: float, secret: str) -> None:
    """Send for `seconds` and wait for the last answers; print what came of it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    selector = _connected((parts.hostname, parts.port), senders)
    acknowledged: list[str] = []
    waits: list[float] = []
    refused: list[str] = []
    started = time.perf_counter()
    for key in selector.get_map().values():
        key.data.send(parts.netloc, parts.path, secret)
    waiting = senders
    while waiting:
        ready = selector.select(timeout=_ANSWER_SECONDS_MAX)
        assert ready, "no answer"
        for key, _mask in ready:
            sender: Sender = key.data
            if not sender.has_answer():
                continue
            now = time.perf_counter()
            if sender.received.startswith(_OK):
                acknowledged.append(sender.digest)
                waits.append(now - sender.sent_at)
            else:
                refused.append(bytes(sender.received[:500]).decode())
            if now - started < seconds:
                sender.send(parts.netloc, parts.path, secret)
            else:
                waiting -= 1
    result = {
        "seconds": time.perf_counter() - started,
        "acknowledged": acknowledged,
        "waits": waits,
        "refused": refused,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
