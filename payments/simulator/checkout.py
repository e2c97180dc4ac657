"""Money in: sessions, attempts to pay, and what is said about them."""

from __future__ import annotations

import re
import secrets
import time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit

from payments.simulator import webhooks, wire
from payments.simulator.engine import Engine, new_reference
from payments.simulator.store import Record
from payments.simulator.wire import Refused

_CENT = Decimal("0.01")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
CURRENCIES = ("MWK", "USD")

# PayChangu developer documentation, "Test cards" and "Test phone numbers".
CARD_RESULTS = {
    "4242424242424242": "",
    "4000000000000002": "Card declined",
    "4000000000009995": "Insufficient funds",
    "4000000000003220": "Authentication timed out",
}
FAILING_PHONES = {"990000001", "899817566"}
OPERATORS = {
    "airtel": ("Airtel Money", "20be6c20-adeb-4b5b-a7ba-0769820df4fb", ("99", "98")),
    "tnm": ("TNM Mpamba", "27494cb5-ba9e-437f-a114-4e7a7686bcca", ("88", "89")),
}


def open_session(engine: Engine, document: Any) -> Record:
    """Return a new payment for the body of `POST /payment`.

    Raises:
        Refused: with the messages by field.
    """
    fields = document if isinstance(document, dict) else {}
    errors = _errors(fields)
    if errors:
        raise Refused(errors)
    payment: Record = {
        "tx_ref": fields["tx_ref"],
        "checkout_id": str(10**9 + secrets.randbelow(9 * 10**9)),
        "amount": str(fields["amount"]),
        "currency": fields["currency"],
        "callback_url": fields["callback_url"],
        "return_url": fields["return_url"],
        "email": fields.get("email"),
        "first_name": fields.get("first_name"),
        "last_name": fields.get("last_name"),
        "customization": _customization(fields.get("customization")),
        "meta": fields.get("meta"),
        "status": "pending",
        "attempts": 0,
        "last_failure": None,
        "reference": None,
        "authorization": None,
        "logs": [],
        "opened_at": time.time(),
        "created_at": wire.now(),
        "updated_at": wire.now(),
    }
    with engine.store.lock:
        if not engine.store.add("payment", payment["tx_ref"], payment):
            raise Refused({"tx_ref": ["The tx ref has already been taken."]})
        session = {"tx_ref": payment["tx_ref"]}
        engine.store.put("session", payment["checkout_id"], session)
    return payment


def _customization(given: Any) -> Record:
    titles = given if isinstance(given, dict) else {}
    shown = {name: titles.get(name) for name in ("title", "description")}
    return {**shown, "logo": None}


def _errors(fields: dict[str, Any]) -> dict[str, list[str]]:
    names = ("amount", "currency", "callback_url", "return_url", "tx_ref")
    missing = [name for name in names if fields.get(name) in (None, "")]
    errors = {
        name: [f"The {name.replace('_', ' ')} field is required."] for name in missing
    }
    amount = str(fields.get("amount"))
    if not _AMOUNT.fullmatch(amount) or Decimal(amount) <= 0:
        errors.setdefault("amount", ["The amount must be a number above 0."])
    if fields.get("currency") not in CURRENCIES:
        errors.setdefault("currency", ["The selected currency is invalid."])
    if not _REFERENCE.fullmatch(str(fields.get("tx_ref"))):
        errors.setdefault("tx_ref", ["The tx ref format is invalid."])
    for name in ("callback_url", "return_url"):
        if not _is_web_address(fields.get(name)):
            label = name.replace("_", " ")
            errors.setdefault(name, [f"The {label} must be a valid URL."])
    return errors


def _is_web_address(value: Any) -> bool:
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def payment_of_session(engine: Engine, checkout_id: str) -> Record | None:
    """Return the payment that a checkout page is for."""
    session = engine.store.get("session", checkout_id)
    return None if session is None else engine.store.get("payment", session["tx_ref"])


def is_open(engine: Engine, payment: Record) -> bool:
    """Whether the page can still be used to pay."""
    age = time.time() - payment["opened_at"]
    is_young = bool(age < engine.options.session_seconds)
    return is_young and payment["status"] == "pending"


def attempt(
    engine: Engine, tx_ref: str, *, channel: str, number: str, failure: str
) -> Record:
    """Note an attempt to pay and tell the merchant; `failure` is empty for success.

    A payment that is paid stays as it is: it cannot be paid or failed again.
    """
    faults = {fault.name for fault in engine.faults.take("attempt")}
    if "failed-first" in faults and not failure:
        first = "The first attempt failed"
        _attempt(engine, tx_ref, channel=channel, number=number, failure=first)
    return _attempt(engine, tx_ref, channel=channel, number=number, failure=failure)


def _attempt(
    engine: Engine, tx_ref: str, *, channel: str, number: str, failure: str
) -> Record:
    with engine.store.lock:
        payment = engine.store.get("payment", tx_ref)
        assert payment is not None, tx_ref
        if payment["status"] == "success":
            return payment
        payment["attempts"] += 1
        payment["updated_at"] = wire.now()
        payment["reference"] = new_reference()
        payment["last_failure"] = failure or None
        payment["authorization"] = _authorization(channel, number)
        _log(payment, f"Attempted to pay with {channel.lower()}")
        if failure:
            _log(payment, failure)
        else:
            payment["status"] = "success"
            _log(payment, "Payment successful")
            received = Decimal(payment["amount"]) - _charges(engine, payment)
            engine.move("collection", received)
        engine.store.put("payment", tx_ref, payment)
    status = "failed" if failure else "success"
    webhooks.send_event(engine, event(engine, payment, status=status), about=tx_ref)
    return payment


def _log(payment: Record, text: str) -> None:
    entry = {"type": "log", "message": text, "created_at": wire.now()}
    payment["logs"].append(entry)


def _authorization(channel: str, number: str) -> Record:
    is_card = channel == "Card"
    is_mobile = channel == "Mobile Money"
    masked = f"{number[:6]}******{number[-4:]}" if is_card else None
    return {
        "channel": channel,
        "card_number": masked,
        "expiry": "2035-12" if is_card else None,
        "brand": "VISA" if is_card else None,
        "provider": operator_of(number) if is_mobile else None,
        "mobile_number": f"+265{number[:2]}xxxx{number[-3:]}" if is_mobile else None,
        "completed_at": wire.now(),
    }


def operator_of(phone: str) -> str | None:
    """Return the name of the operator that a phone of 9 digits belongs to."""
    for name, _, prefixes in OPERATORS.values():
        if phone.startswith(prefixes):
            return name
    return None


def _charges(engine: Engine, payment: Record) -> Decimal:
    charges = Decimal(payment["amount"]) * engine.options.fee_rate
    return charges.quantize(_CENT, rounding=ROUND_HALF_UP)


def verification(engine: Engine, payment: Record) -> Record:
    """Return the `data` of `GET /verify-payment/{tx_ref}` for a payment that is paid.

    PayChangu developer documentation, "Verify transaction status".
    """
    return {
        "event_type": "checkout.payment",
        "tx_ref": payment["tx_ref"],
        "mode": engine.options.mode,
        "type": "API Payment (Checkout)",
        "status": payment["status"],
        "number_of_attempts": payment["attempts"],
        "reference": payment["reference"],
        "currency": payment["currency"],
        "amount": wire.number(payment["amount"]),
        "charges": wire.number(_charges(engine, payment)),
        "customization": payment["customization"],
        "meta": payment["meta"],
        "authorization": payment["authorization"],
        "customer": {
            name: payment[name] for name in ("email", "first_name", "last_name")
        },
        "logs": payment["logs"],
        "created_at": payment["created_at"],
        "updated_at": payment["updated_at"],
    }


def session_data(engine: Engine, payment: Record) -> Record:
    """Return what is told of a payment that is not paid."""
    mode = "sandbox" if engine.options.mode == "test" else engine.options.mode
    return {
        "tx_ref": payment["tx_ref"],
        "currency": payment["currency"],
        "amount": wire.number(payment["amount"]),
        "mode": mode,
        "status": "pending",
    }


def event(engine: Engine, payment: Record, *, status: str) -> Record:
    """Return the flat `checkout.payment` body.

    PayChangu developer documentation, "Webhooks"; `meta` is JSON inside the JSON.
    """
    person = {name: payment[name] for name in ("email", "first_name", "last_name")}
    authorization = payment["authorization"] or {}
    return {
        "event_type": "checkout.payment",
        **person,
        "currency": payment["currency"],
        **_sums(engine, payment),
        "mode": engine.options.mode,
        "type": "API Payment (Checkout)",
        "status": status,
        "reference": payment["reference"],
        "tx_ref": payment["tx_ref"],
        "customization": payment["customization"],
        "meta": wire.php_json(payment["meta"]),
        "customer": {
            "customer_ref": f"cs_{payment['checkout_id']}",
            **person,
            "phone": None,
            "created_at": int(payment["opened_at"]),
        },
        "authorization": {
            "channel": authorization.get("channel"),
            "card_details": _card_details(authorization),
            "bank_payment_details": None,
            "mobile_money": _mobile_money(authorization),
            "completed_at": authorization.get("completed_at"),
        },
        "created_at": payment["created_at"],
        "updated_at": payment["updated_at"],
    }


def _sums(engine: Engine, payment: Record) -> Record:
    amount = Decimal(payment["amount"])
    charge = _charges(engine, payment)
    return {
        "amount": wire.number(amount),
        "charge": wire.number(charge),
        "amount_split": {
            "fee_paid_by_customer": 0,
            "fee_paid_by_merchant": wire.number(charge),
            "total_amount_paid_by_customer": wire.number(amount),
            "amount_received_by_merchant": wire.number(amount - charge),
        },
        "total_amount_paid": wire.number(amount),
    }


def _card_details(authorization: Record) -> Record | None:
    if authorization.get("channel") != "Card":
        return None
    return {name: authorization[name] for name in ("card_number", "expiry", "brand")}


def _mobile_money(authorization: Record) -> Record | None:
    if authorization.get("channel") != "Mobile Money":
        return None
    return {
        "mobile_number": authorization["mobile_number"],
        "operator": authorization["provider"],
        "trans_id": new_reference(),
    }
