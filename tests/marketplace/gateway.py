"""A gateway over real HTTP that says what a story wants it to, and quickly.

A thread of the test's own process, as a story may ask it thousands of times. The bodies
are those that PayChangu documents.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

AIRTEL = "20be6c20-adeb-4b5b-a7ba-0769820df4fb"
NATIONAL_BANK = "82310dd1-ec9b-4fe7-a32c-2f262ef08681"

Answer = tuple[int, Any]
_NOTHING: Answer = (404, {"status": "failed", "message": "Not found", "data": None})


class StoryGateway:
    """What it knows, and how it fails; a story writes both."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        # By our names for them: status, amount and currency.
        self.payments: dict[str, dict[str, Any]] = {}
        self.payouts: dict[str, dict[str, Any]] = {}
        # The fault of one step; see `purchases` and `payouts` for what they mean.
        self.fault = ""

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Answer until the listener is closed."""
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer, suppress(OSError):
                peer.settimeout(20)
                status, document = self._answer(*_read(peer))
                body = json.dumps(document).encode()
                head = (
                    f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                peer.sendall(head.encode() + body)

    def _answer(self, method: str, path: str, sent: Any) -> Answer:
        if self.fault == "down":
            return 503, {"message": "Service Unavailable"}
        parts = path.partition("?")[0].strip("/").split("/")
        if method == "POST":
            known = self.payments if parts == ["payment"] else self.payouts
            return self._take(known, sent)
        if parts[0] == "verify-payment":
            return self._payment(parts[1])
        if parts[0] == "wallet-balance":
            return self._balance()
        if parts == ["direct-charge", "payouts"]:
            return self._list()
        if parts[-1] == "details":
            return self._payout(parts[-2])
        return self._destinations(parts)

    def _take(self, known: dict[str, dict[str, Any]], sent: Any) -> Answer:
        if self.fault == "refuse":
            refused = {"amount": ["The amount is not accepted."]}
            return 400, {"status": "failed", "message": refused, "data": None}
        if self.fault == "busy":
            return 429, {"message": "Too Many Requests"}
        if self.fault == "void":
            return 500, {"message": "Server Error"}
        name = sent.get("tx_ref") or sent["charge_id"]
        facts = {"amount": sent["amount"], "currency": sent.get("currency", "MWK")}
        known[name] = {"status": "pending", **facts}
        if self.fault == "lost":
            return 500, {"message": "Server Error"}
        if known is self.payouts:
            return self._payout(name)
        session = {"tx_ref": name, "mode": "sandbox", "status": "pending", **facts}
        page = f"https://checkout.example.com/{name}"
        return 200, _success(
            {
                "event": "checkout.session:created",
                "checkout_url": page,
                "data": session,
            }
        )

    def _payment(self, tx_ref: str) -> Answer:
        payment = self.payments.get(tx_ref)
        if payment is None:
            return _NOTHING
        data = {
            "event_type": "checkout.payment",
            "tx_ref": tx_ref,
            "mode": "sandbox",
            "reference": "26262633201",
            "charges": 30,
            **payment,
        }
        if payment["status"] == "success":
            return 200, _success(data)
        message = "Payment transaction not created."
        return 400, {"status": "failed", "message": message, "data": data}

    def _payout(self, charge_id: str) -> Answer:
        payout = self.payouts.get(charge_id)
        if payout is None:
            return _NOTHING
        transaction = {"charge_id": charge_id, "mode": "sandbox", **payout}
        return 200, _success({"transaction": transaction})

    def _list(self) -> Answer:
        rows = [
            {"charge_id": charge_id, "mode": "sandbox", **payout}
            for charge_id, payout in self.payouts.items()
        ]
        return 200, _success({"current_page": 1, "total_pages": 1, "data": rows})

    def _balance(self) -> Answer:
        main = "0.00" if self.fault == "poor" else "900000000.00"
        return 200, _success(
            {"environment": "sandbox", "currency": "MWK", "main_balance": main}
        )

    def _destinations(self, parts: list[str]) -> Answer:
        if parts == ["mobile-money"]:
            airtel = {"ref_id": AIRTEL, "name": "Airtel Money", "short_code": "airtel"}
            return 200, _success([{**airtel, "supports_withdrawals": True}])
        return 200, _success([{"uuid": NATIONAL_BANK, "name": "National Bank"}])


@contextmanager
def running() -> Iterator[StoryGateway]:
    """A gateway that answers for as long as the block lasts."""
    gateway = StoryGateway()
    thread = threading.Thread(target=gateway.serve, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        # Closing alone does not wake the thread that waits for connections.
        gateway.listener.shutdown(socket.SHUT_RDWR)
        gateway.listener.close()
        thread.join(timeout=20)


def _success(data: Any) -> dict[str, Any]:
    return {"status": "success", "message": "Done.", "data": data}


def _read(peer: socket.socket) -> tuple[str, str, Any]:
    """Return method, path and document of a request."""
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
    method, path, _ = head.partition(b"\r\n")[0].decode().split(" ", 2)
    return method, path, json.loads(body) if body else None
