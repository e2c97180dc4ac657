"""The gateway's own endpoints, as documented."""

from __future__ import annotations

import re
from collections.abc import Callable

from payments.simulator import checkout, payouts, webhooks, wire
from payments.simulator.engine import Engine
from payments.simulator.faults import answer
from payments.simulator.store import Record
from payments.simulator.wire import Refused, Reply, Request, failure, success

Handler = Callable[[Engine, Request, str], Reply]


def start_payment(engine: Engine, request: Request, _: str) -> Reply:
    """Answer `POST /payment`."""
    payment = checkout.open_session(engine, request.document)
    data = {
        "event": "checkout.session:created",
        "checkout_url": f"{engine.public_url}/checkout/{payment['checkout_id']}",
        "data": checkout.session_data(engine, payment),
    }
    return success("Hosted payment session generated successfully.", data)


def verify(engine: Engine, _: Request, tx_ref: str) -> Reply:
    """Answer `GET /verify-payment/{tx_ref}`; not yet paid is HTTP 400."""
    payment = engine.store.get("payment", tx_ref)
    if payment is None:
        return failure("Payment transaction not found.")
    if payment["status"] == "success":
        data = checkout.verification(engine, payment)
        return success("Payment details retrieved successfully.", data)
    data = {**checkout.session_data(engine, payment), "popup": False}
    return failure("Payment transaction not created.", data=data)


def operators(*_: object) -> Reply:
    """Answer `GET /mobile-money`."""
    country = {"name": "Malawi", "currency": "MWK"}
    rows = [
        {
            "id": number,
            "name": name,
            "ref_id": ref_id,
            "short_code": code,
            "logo": None,
            "supports_withdrawals": True,
            "supported_country": country,
        }
        for number, (code, (name, ref_id, _prefixes)) in enumerate(
            checkout.OPERATORS.items(), start=1
        )
    ]
    return success("Mobile money operators fetched successfully.", rows)


def banks(*_: object) -> Reply:
    """Answer `GET /direct-charge/payouts/supported-banks`."""
    rows = [{"uuid": key, "name": name} for key, name in payouts.BANKS.items()]
    return success("Banks retrieved successfully.", rows)


def send_mobile_payout(engine: Engine, request: Request, _: str) -> Reply:
    """Answer `POST /mobile-money/payouts/initialize`: the payout flat in `data`."""
    payout = _accepted(engine, request, kind="mobile_money")
    transaction = payouts.transaction(engine, payout)
    _settle_at_once(engine, request, payout["charge_id"])
    return success("Mobile money payout initiated successfully.", transaction)


def send_bank_payout(engine: Engine, request: Request, _: str) -> Reply:
    """Answer `POST /direct-charge/payouts/initialize`: in `data.transaction`."""
    payout = _accepted(engine, request, kind="bank")
    data = {"transaction": payouts.transaction(engine, payout)}
    _settle_at_once(engine, request, payout["charge_id"])
    return success("Payout initiated successfully.", data)


def _accepted(engine: Engine, request: Request, *, kind: str) -> Record:
    pays_again = "pays-again" in request.faults
    return payouts.accept(engine, request.document, kind=kind, pays_again=pays_again)


def _settle_at_once(engine: Engine, request: Request, charge_id: str) -> None:
    """Deliver the event before the answer, where that fault is armed."""
    if "webhook-first" not in request.faults:
        return
    payouts.settle_next(engine, charge_id)
    webhooks.wait_for(engine, about=charge_id, seconds=5)


def mobile_payout_details(engine: Engine, _: Request, charge_id: str) -> Reply:
    """Answer `GET /mobile-money/payments/{charge_id}/details`."""
    payout = engine.store.get("payout", charge_id)
    if payout is None or payout["kind"] != "mobile_money":
        return failure("Transaction not found.", status=404)
    transaction = payouts.transaction(engine, payout)
    return success("Mobile money payment details.", transaction)


def payout_details(engine: Engine, _: Request, charge_id: str) -> Reply:
    """Answer `GET /direct-charge/payouts/{charge_id}/details`."""
    payout = engine.store.get("payout", charge_id)
    if payout is None:
        return failure("Transaction not found.", status=404)
    data = {"transaction": payouts.transaction(engine, payout)}
    return success("Payout details retrieved successfully.", data)


def payout_list(engine: Engine, request: Request, _: str) -> Reply:
    """Answer `GET /direct-charge/payouts`, newest first."""
    number = _positive(request.query.get("page"), default=1)
    default = engine.options.payouts_per_page
    length = min(_positive(request.query.get("per_page"), default=default), 100)
    rows, count = engine.store.page("payout", number=number, length=length)
    pages = max((count + length - 1) // length, 1)
    next_url = f"{engine.public_url}/direct-charge/payouts?page={number + 1}"
    data = {
        "current_page": number,
        "total_pages": pages,
        "per_page": length,
        "next_page_url": next_url if number < pages else None,
        "data": [payouts.transaction(engine, payout) for payout in rows],
    }
    return success("Payouts retrieved successfully.", data)


def _positive(text: str | None, *, default: int) -> int:
    if text is None or not text.isascii() or not text.isdigit():
        return default
    return max(int(text[:6]), 1)


def balance(engine: Engine, request: Request, _: str) -> Reply:
    """Answer `GET /wallet-balance`: one sum as text, the other as a number."""
    balances = engine.balances()
    data = {
        "environment": engine.options.mode,
        "currency": request.query.get("currency", "MWK"),
        "main_balance": balances["main"],
        "collection_balance": wire.number(balances["collection"]),
    }
    return success("Wallet balance retrieved successfully.", data)


# Method, path, the name of the endpoint for faults and counts, handler.
_NAME = r"([^/]+)"
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = [
    (method, re.compile(path), endpoint, handler)
    for method, path, endpoint, handler in (
        ("POST", "/payment", "checkout", start_payment),
        ("GET", f"/verify-payment/{_NAME}", "verify", verify),
        ("GET", "/mobile-money", "operators", operators),
        ("GET", "/direct-charge/payouts/supported-banks", "banks", banks),
        (
            "POST",
            "/mobile-money/payouts/initialize",
            "payout",
            send_mobile_payout,
        ),
        ("POST", "/direct-charge/payouts/initialize", "payout", send_bank_payout),
        (
            "GET",
            f"/mobile-money/payments/{_NAME}/details",
            "mobile-lookup",
            mobile_payout_details,
        ),
        (
            "GET",
            f"/direct-charge/payouts/{_NAME}/details",
            "bank-lookup",
            payout_details,
        ),
        ("GET", "/direct-charge/payouts", "payout-list", payout_list),
        ("GET", "/wallet-balance", "balance", balance),
    )
]


def handle(engine: Engine, request: Request, *, authorization: str) -> Reply | None:
    """Answer a request to the gateway's API; None where the path is none of it.

    `request.path` must still be quoted, so that a slash in a reference stays in it.
    """
    for method, pattern, endpoint, handler in ROUTES:
        found = pattern.fullmatch(request.path)
        if found is None or method != request.method:
            continue
        engine.count(endpoint)
        if authorization != f"Bearer {engine.options.secret_key}":
            return failure("Unauthorized request, invalid API key.", status=401)
        reference = found[1] if pattern.groups else ""
        faults = engine.faults.take(endpoint)
        request.faults = tuple(fault.name for fault in faults)

        def process(handler: Handler = handler, reference: str = reference) -> Reply:
            try:
                return handler(engine, request, wire.unquoted(reference))
            except Refused as refusal:
                return failure(refusal.errors)

        return answer(faults, process, later=engine.scheduler.later)
    return None
