"""The control surface for programs: look at everything, arm faults, help things on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from payments.simulator import checkout, faults, payouts, webhooks, wire
from payments.simulator.engine import Engine
from payments.simulator.wire import Refused, Reply, Request

_CHANGEABLE = {
    "webhook_url": str,
    "sign_with": str,
    "webhook_secret": str,
    "settle_seconds": float,
    "retry_seconds": float,
    "session_seconds": float,
    "mode": str,
    "payouts_per_page": int,
}


def health(*_: object) -> Reply:
    """Say that the process answers."""
    return Reply(document={"status": "ok"})


def state(engine: Engine, *_: object) -> Reply:
    """Dump everything."""
    return Reply(
        document={
            "payments": engine.store.all("payment"),
            "payouts": engine.store.all("payout"),
            "deliveries": engine.store.all("delivery"),
            "balance": engine.balances(),
            "faults": engine.faults.armed(),
            "counts": engine.counts,
        }
    )


def complete_payment(engine: Engine, request: Request, tx_ref: str) -> Reply:
    """Pay, or fail an attempt, without the page: `{"outcome": "success"|"failed"}`."""
    if engine.store.get("payment", tx_ref) is None:
        return _missing()
    fails = request.document.get("outcome", "success") == "failed"
    payment = checkout.attempt(
        engine,
        tx_ref,
        channel=str(request.document.get("channel", "Mobile Money")),
        number="990000001" if fails else "990000000",
        failure="Payment failed" if fails else "",
    )
    return Reply(document=payment)


def settle_payout(engine: Engine, request: Request, charge_id: str) -> Reply:
    """Give a payout its result now: `{"outcome": "success"|"failed"}`."""
    if engine.store.get("payout", charge_id) is None:
        return _missing()
    outcome = request.document.get("outcome", "success")
    if outcome not in {"success", "failed"}:
        raise Refused({"outcome": ["must be success or failed"]})
    return Reply(document=payouts.settle(engine, charge_id, result=outcome))


def send_again(engine: Engine, _: Request, delivery_id: str) -> Reply:
    """Deliver an event once more, byte for byte."""
    delivery = webhooks.send_again(engine, delivery_id)
    return _missing() if delivery is None else Reply(document=delivery)


def send_event(engine: Engine, request: Request, _: str) -> Reply:
    """Send any event: `{"body": {…} or text, "signature"?: text}`."""
    body = request.document.get("body", {})
    text = body if isinstance(body, str) else wire.php_json(body)
    signature = request.document.get("signature")
    about = str(body.get("tx_ref", "")) if isinstance(body, dict) else ""
    delivery = webhooks.send_text(engine, text, about=about, signature=signature)
    return Reply(document=delivery)


def list_faults(engine: Engine, *_: object) -> Reply:
    """Tell what is armed and what could be."""
    known = {
        "armed": engine.faults.armed(),
        "endpoints": [*faults.ENDPOINTS, *faults.GROUPS],
        "names": sorted(faults.NAMES),
        "by_endpoint": {
            endpoint: sorted(faults.names_for(endpoint))
            for endpoint in (*faults.ENDPOINTS, *faults.GROUPS)
        },
    }
    return Reply(document=known)


def arm_fault(engine: Engine, request: Request, _: str) -> Reply:
    """Arm `{"endpoint", "fault", "times"?: number, …options}`."""
    options = dict(request.document)
    endpoint, name = str(options.pop("endpoint", "")), str(options.pop("fault", ""))
    times = options.pop("times", None)
    if times is not None and not isinstance(times, int):
        raise Refused({"times": ["must be a number above 0"]})
    fault = faults.Fault(endpoint=endpoint, name=name, times=times, options=options)
    engine.faults.arm(fault)
    return Reply(status=201, document=asdict(fault))


def clear_faults(engine: Engine, request: Request, _: str) -> Reply:
    """Disarm all faults, or those of `?endpoint=` or `?fault=`."""
    engine.faults.clear(
        endpoint=request.query.get("endpoint"), name=request.query.get("fault")
    )
    return Reply(status=204)


def set_balance(engine: Engine, request: Request, _: str) -> Reply:
    """Set `{"main"?, "collection"?}`, or move collections over: `{"settle": true}`."""
    with engine.store.lock:
        balances = engine.balances()
        try:
            for name in ("main", "collection"):
                value = request.document.get(name, balances[name])
                balances[name] = f"{Decimal(str(value)):.2f}"
        except InvalidOperation as error:
            raise Refused({"balance": ["must be a number"]}) from error
        if request.document.get("settle"):
            total = Decimal(balances["main"]) + Decimal(balances["collection"])
            balances = {"main": f"{total:.2f}", "collection": "0.00"}
        engine.store.put("balance", "MWK", balances)
    return Reply(document=balances)


def change_options(engine: Engine, request: Request, _: str) -> Reply:
    """Change how the simulator runs while it runs."""
    for name, value in request.document.items():
        if name not in _CHANGEABLE:
            raise Refused({name: ["cannot be changed"]})
        setattr(engine.options, name, _CHANGEABLE[name](value))
    return Reply(document={name: getattr(engine.options, name) for name in _CHANGEABLE})


def reset(engine: Engine, *_: object) -> Reply:
    """Forget everything, faults too."""
    engine.faults.clear()
    # Not under the lock, which the work that is waited for needs.
    engine.scheduler.clear()
    with engine.store.lock:
        engine.store.clear()
        engine.counts.clear()
        engine.held_back.clear()
    return Reply(status=204)


def _missing() -> Reply:
    return Reply(status=404, document={"error": "not found"})


_RECORDS = {"payments": "payment", "payouts": "payout", "deliveries": "delivery"}
_ROUTES: list[tuple[str, str, Callable[[Engine, Request, str], Reply]]] = [
    ("GET", "health", health),
    ("GET", "state", state),
    ("POST", "payments/([^/]+)/complete", complete_payment),
    ("POST", "payouts/([^/]+)/settle", settle_payout),
    ("POST", "deliveries/([^/]+)/resend", send_again),
    ("POST", "events", send_event),
    ("GET", "faults", list_faults),
    ("POST", "faults", arm_fault),
    ("DELETE", "faults", clear_faults),
    ("POST", "balance", set_balance),
    ("POST", "options", change_options),
    ("POST", "reset", reset),
]


def handle(engine: Engine, request: Request) -> Reply:
    """Answer a request below `/_control/`."""
    path = request.path.removeprefix("/_control/")
    if request.method == "POST":
        request.document = _object(request.document)
    for method, pattern, handler in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method == request.method:
            name = wire.unquoted(found[1]) if found.re.groups else ""
            try:
                return handler(engine, request, name)
            except Refused as refusal:
                return Reply(status=400, document={"errors": refusal.errors})
            except (TypeError, ValueError) as error:
                return Reply(status=400, document={"errors": str(error)})
    return _record(engine, request, path)


def _object(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else {}


def _record(engine: Engine, request: Request, path: str) -> Reply:
    """Show one payment, payout or delivery."""
    kind, _, key = path.partition("/")
    if request.method == "GET" and kind in _RECORDS:
        record = engine.store.get(_RECORDS[kind], wire.unquoted(key))
        if record is not None:
            return Reply(document=record)
    return _missing()
