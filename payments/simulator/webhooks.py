"""Events: signed, delivered, retried."""

from __future__ import annotations

import http.client
import time
import uuid
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from payments.simulator import wire
from payments.simulator.engine import Engine
from payments.simulator.faults import SAID, Fault
from payments.simulator.store import Record

# PayChangu developer documentation, "Webhooks": three more tries, then nothing.
RETRIES = 3


def send_event(engine: Engine, event: dict[str, Any], *, about: str) -> Record:
    """Send an event about the transaction `about`, as the armed faults will have it."""
    faults = {fault.name: fault for fault in engine.faults.take("webhook")}
    for name, fault in faults.items():
        if name in SAID:
            SAID[name](event, fault.options)
    text = wire.php_json(event)
    return send_text(engine, text, about=about, faults=faults)


def send_text(
    engine: Engine,
    text: str,
    *,
    about: str,
    faults: dict[str, Fault] | None = None,
    signature: str | None = None,
) -> Record:
    """Send any text as an event. Without `signature` it is signed as it should be."""
    faults = faults or {}
    if signature is None:
        signature = _signature(engine, text, faults)
    delivery: Record = {
        "id": str(uuid.uuid4()),
        "about": about,
        "body": text,
        "signature": signature,
        "state": "lost" if "lost" in faults else "pending",
        "attempts": [],
        "created_at": wire.now(),
    }
    if not engine.options.webhook_url:
        delivery["state"] = "no-address"
    engine.store.put("delivery", delivery["id"], delivery)
    if delivery["state"] == "pending":
        _release(engine, delivery, faults)
    return delivery


def send_again(engine: Engine, delivery_id: str) -> Record | None:
    """Deliver an event once more, byte for byte; None if there is no such delivery."""
    with engine.store.lock:
        delivery = engine.store.get("delivery", delivery_id)
        if delivery is None:
            return None
        delivery["state"] = "pending"
        engine.store.put("delivery", delivery_id, delivery)
    engine.scheduler.later(0, partial(deliver, engine, delivery_id))
    return delivery


def deliver(engine: Engine, delivery_id: str, *, retries: int = RETRIES) -> None:
    """Try once; plan the next try where the answer is not 200."""
    delivery = engine.store.get("delivery", delivery_id)
    if delivery is None:
        return
    attempt = _post(engine, delivery)
    with engine.store.lock:
        delivery = engine.store.get("delivery", delivery_id)
        if delivery is None:
            return
        delivery["attempts"].append(attempt)
        if attempt["status"] == 200:
            delivery["state"] = "delivered"
        elif delivery["state"] != "delivered":
            delivery["state"] = "pending" if retries else "given-up"
        delivery["retries_left"] = retries
        engine.store.put("delivery", delivery_id, delivery)
    if delivery["state"] == "pending" and retries:
        again = partial(deliver, engine, delivery_id, retries=retries - 1)
        engine.scheduler.later(engine.options.retry_seconds, again)


def resume(engine: Engine) -> None:
    """Go on with the deliveries that an earlier process left."""
    for delivery in engine.store.all("delivery"):
        if delivery["state"] == "pending":
            retries = int(delivery.get("retries_left", RETRIES))
            again = partial(deliver, engine, delivery["id"], retries=retries)
            engine.scheduler.later(0, again)
        elif delivery["state"] == "held-back":
            engine.held_back.append(delivery["id"])


def wait_for(engine: Engine, *, about: str, seconds: float) -> None:
    """Wait until every event about a transaction was tried at least once."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        waiting = [
            delivery
            for delivery in engine.store.all("delivery")
            if delivery["about"] == about
            and delivery["state"] == "pending"
            and not delivery["attempts"]
        ]
        if not waiting:
            return
        time.sleep(0.02)


def _signature(engine: Engine, text: str, faults: dict[str, Fault]) -> str:
    if "unsigned" in faults:
        return ""
    if "forged" in faults:
        return wire.signature(text.encode(), "not-the-secret")
    options = engine.options
    with_api_key = options.sign_with == "api" or "signed-with-api-key" in faults
    secret = options.secret_key if with_api_key else options.webhook_secret
    return wire.signature(text.encode(), secret)


def _release(engine: Engine, delivery: Record, faults: dict[str, Fault]) -> None:
    """Start the delivery: now, later, many times, or after the next one."""
    with engine.store.lock:
        if "held-back" in faults:
            delivery["state"] = "held-back"
            engine.store.put("delivery", delivery["id"], delivery)
            engine.held_back.append(delivery["id"])
            return
        held_back, engine.held_back = engine.held_back, []
    delay = faults["delay"].options.get("seconds", 2) if "delay" in faults else 0
    engine.scheduler.later(
        float(delay),
        partial(
            _deliver_all,
            engine,
            delivery["id"],
            copies=_count(faults, "copies"),
            rounds=_count(faults, "repeated"),
        ),
    )
    for delivery_id in held_back:
        # Late enough for the newer event to be there first.
        later = float(delay) + 0.5
        engine.scheduler.later(later, partial(deliver, engine, delivery_id))


def _count(faults: dict[str, Fault], name: str) -> int:
    return int(faults[name].options.get("count", 2)) if name in faults else 1


def _deliver_all(engine: Engine, delivery_id: str, *, copies: int, rounds: int) -> None:
    """Deliver at the same moment as often as wanted, and then so often more in turn.

    Only the first is retried.
    """
    for _ in range(copies - 1):
        extra = partial(deliver, engine, delivery_id, retries=0)
        engine.scheduler.later(0, extra)
    deliver(engine, delivery_id)
    for _ in range(rounds - 1):
        deliver(engine, delivery_id, retries=0)


def _post(engine: Engine, delivery: Record) -> dict[str, Any]:
    """Post the event; return when, and the status or what went wrong."""
    parts = urlsplit(engine.options.webhook_url)
    make = (
        http.client.HTTPSConnection
        if parts.scheme == "https"
        else http.client.HTTPConnection
    )
    headers = {"Content-Type": "application/json", "User-Agent": "PayChangu-Simulator"}
    if delivery["signature"]:
        headers["Signature"] = delivery["signature"]
    path = parts.path or "/"
    attempt: dict[str, Any] = {"at": wire.now(), "status": None, "error": None}
    try:
        connection = make(
            parts.hostname or "",
            parts.port,
            timeout=engine.options.webhook_timeout_seconds,
        )
        try:
            target = f"{path}?{parts.query}" if parts.query else path
            connection.request("POST", target, delivery["body"].encode(), headers)
            attempt["status"] = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        attempt["error"] = f"{type(error).__name__}: {error}"[:200]
    return attempt
