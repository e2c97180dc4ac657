"""Answers about money that comes in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from payments.gateway import dialect
from payments.gateway.exceptions import GatewayUnavailable
from payments.gateway.masking import masked_text
from payments.gateway.results import CheckoutSession, Exchange, Outcome, PaymentStatus


def amount_text(amount: Decimal) -> str:
    """Return a sum as the gateway takes it: digits, and decimals only where needed.

    PayChangu developer documentation, "Initiate transaction": a numeric string;
    for kwacha, integrators send it without decimals.
    """
    assert amount.is_finite(), "not a sum of money"
    assert amount > 0, "not a sum of money"
    if amount == amount.to_integral_value():
        return f"{amount:.0f}"
    return f"{amount:.2f}"


def read_session(exchange: Exchange, *, tx_ref: str) -> CheckoutSession:
    """Return the checkout page of an answer to `POST /payment`.

    Raises:
        GatewayUnavailable: the answer has no page that a payer could be sent to, or
            is about another payment.
    """
    data = dialect.members((exchange.document or {}).get("data"))
    session = dialect.members(data.get("data"))
    checkout_url = data.get("checkout_url")
    if not isinstance(checkout_url, str) or not _is_web_address(checkout_url):
        raise GatewayUnavailable(
            "The payment gateway's answer has no checkout page.", exchange=exchange
        )
    if dialect.reference(session.get("tx_ref", tx_ref)) != tx_ref:
        raise GatewayUnavailable(
            "The payment gateway answered about another payment.", exchange=exchange
        )
    return CheckoutSession(
        tx_ref=tx_ref,
        checkout_url=checkout_url,
        amount=dialect.amount(session.get("amount")),
        currency=dialect.currency(session.get("currency")),
        mode=dialect.mode(session.get("mode")),
        status=dialect.word(session.get("status")),
        http_status=exchange.http_status,
        summary=exchange.summary,
    )


def _is_web_address(url: str) -> bool:
    # The payer's browser is sent there: anything but a web address would be run by it.
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_clean = len(url) <= 2000 and re.fullmatch(r"[!-~]+", url) is not None
    return is_clean and parts.scheme in {"http", "https"} and bool(parts.hostname)


def read_status(exchange: Exchange) -> PaymentStatus:
    """Return what an answer to `GET /verify-payment/{tx_ref}` says.

    PayChangu developer documentation, "Verify transaction status".
    """
    document = exchange.document
    data = dialect.members((document or {}).get("data"))
    authorization = dialect.members(data.get("authorization"))
    return PaymentStatus(
        tx_ref=dialect.reference(data.get("tx_ref")),
        outcome=_outcome(exchange, data),
        status=dialect.word(data.get("status")),
        amount=dialect.amount(data.get("amount")),
        currency=dialect.currency(data.get("currency")),
        mode=dialect.mode(data.get("mode")),
        reference=dialect.reference(data.get("reference")),
        channel=dialect.text(authorization.get("channel"), length_max=50),
        charges=dialect.amount(data.get("charges", data.get("charge"))),
        completed_at=dialect.moment(authorization.get("completed_at")),
        message=masked_text(dialect.message(document)),
        http_status=exchange.http_status,
        raw=document or {},
        summary=exchange.summary,
    )


def _outcome(exchange: Exchange, data: Mapping[str, Any]) -> Outcome:
    if exchange.http_status == 404:
        return Outcome.NOT_FOUND
    if not data:
        return Outcome.UNKNOWN if exchange.is_success else Outcome.NOT_FOUND
    outcome = dialect.outcome(data.get("status"))
    if outcome is not Outcome.PAID:
        # "Not paid yet" is HTTP 400 with the envelope saying failed and the payment
        # saying pending: of the three only the payment's word counts.
        return outcome
    # Paid is what money follows from, so that nothing in the answer may contradict it.
    envelope = (exchange.document or {}).get("status")
    says_paid = exchange.is_success and dialect.is_success(envelope)
    return Outcome.PAID if says_paid else Outcome.UNKNOWN
