"""What people do on the pages: pay, fail, cancel; and the buttons of the list."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit, urlunsplit

from payments.simulator import checkout, pages, panel, payouts, webhooks, wire
from payments.simulator.engine import Engine
from payments.simulator.store import Record
from payments.simulator.wire import Refused, Reply, Request

_CARD = re.compile(r"[0-9]{12,19}", re.ASCII)
_PHONE = re.compile(r"(?:\+?265|0)?([0-9]{9})", re.ASCII)
_CHANNELS = {
    "mobile_money": "Mobile Money",
    "card": "Card",
    "bank": "Mobile Bank Transfer",
}


def handle(engine: Engine, request: Request) -> Reply:
    """Answer a request for a page or from one."""
    if found := re.fullmatch(r"/checkout/([0-9]{10})", request.path):
        payment = checkout.payment_of_session(engine, found[1])
        if payment is not None:
            return _checkout(engine, request, payment)
    elif request.path == "/" and request.method == "GET":
        return pages.dashboard(engine)
    elif request.path == "/_static/simulator.css":
        return pages.stylesheet()
    elif request.path == "/_dashboard" and request.method == "POST":
        return _press(engine, request.form)
    return pages.missing()


def back(url: str, *, tx_ref: str, status: str) -> str:
    """Return the merchant's address with what the gateway adds to it, unsigned."""
    parts = urlsplit(url)
    added = urlencode({"tx_ref": tx_ref, "status": status})
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))


def _checkout(engine: Engine, request: Request, payment: Record) -> Reply:
    success = back(payment["callback_url"], tx_ref=payment["tx_ref"], status="success")
    failed = back(payment["return_url"], tx_ref=payment["tx_ref"], status="failed")
    if request.method == "POST" and request.form.get("action") == "cancel":
        return wire.redirect(failed)
    if not checkout.is_open(engine, payment):
        is_paid = payment["status"] == "success"
        return pages.closed(payment, link=success if is_paid else failed)
    if request.method != "POST":
        return pages.checkout(payment, form={})
    try:
        number, failure = _entered(request.form)
    except Refused as refusal:
        error = str(refusal.errors)
        return pages.checkout(payment, form=request.form, error=error, status=422)
    payment = checkout.attempt(
        engine,
        payment["tx_ref"],
        channel=_CHANNELS[request.form.get("method", "mobile_money")],
        number=number,
        failure=failure,
    )
    if payment["status"] == "success":
        return wire.redirect(success)
    return pages.checkout(payment, form=request.form)


def _entered(form: dict[str, str]) -> tuple[str, str]:
    """Return the number that pays, and why it fails, if it does.

    Raises:
        Refused: what was entered has not the form of a number.
    """
    method = form.get("method", "mobile_money")
    wants_failure = form.get("action") == "fail"
    if method not in _CHANNELS:
        raise Refused("Choose a way to pay.")
    if method == "bank":
        return "", "The bank declined the transfer" if wants_failure else ""
    if method == "card":
        number = re.sub(r"[ -]", "", form.get("card_number", ""))
        if not _CARD.fullmatch(number) or not _passes_luhn(number):
            raise Refused("This is not the number of a card.")
        failure = checkout.CARD_RESULTS.get(number, "")
        return number, failure or ("Card declined" if wants_failure else "")
    found = _PHONE.fullmatch(re.sub(r"[ -]", "", form.get("phone", "")))
    if not found or checkout.operator_of(found[1]) is None:
        raise Refused("Enter a mobile number of Airtel or TNM, 9 digits.")
    fails = wants_failure or found[1] in checkout.FAILING_PHONES
    return found[1], "The mobile money payment was not approved" if fails else ""


def _passes_luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _press(engine: Engine, form: dict[str, str]) -> Reply:
    """Do what a button of the list says."""
    action, key = form.get("action", ""), form.get("key", "")
    outcome = "failed" if form.get("outcome") == "failed" else "success"
    if action == "complete" and engine.store.get("payment", key):
        checkout.attempt(
            engine,
            key,
            channel="Mobile Money",
            number="990000001" if outcome == "failed" else "990000000",
            failure="Payment failed" if outcome == "failed" else "",
        )
    elif action == "settle" and engine.store.get("payout", key):
        payouts.settle(engine, key, result=outcome)
    elif action == "resend":
        webhooks.send_again(engine, key)
    elif action == "clear-faults":
        engine.faults.clear()
    elif action == "disarm":
        endpoint, _, name = key.partition(":")
        engine.faults.clear(endpoint=endpoint, name=name)
    elif action == "arm":
        try:
            engine.faults.arm(panel.fault_of(form))
        except Refused as refusal:
            return pages.dashboard(engine, error=refusal.errors)
    return wire.redirect("/", status=303)
