"""Answers about money that goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from payments.gateway import dialect
from payments.gateway.masking import masked, masked_text
from payments.gateway.results import (
    Exchange,
    Failure,
    Outcome,
    PayoutOutcome,
    PayoutResult,
    PayoutStatus,
)

# A rejection for a charge_id that was used before says that an earlier request for the
# same payout did arrive: the money may well be gone.
_USED_BEFORE = re.compile(r"charge.?id|already|duplicate", re.IGNORECASE)


def read_result(exchange: Exchange, *, charge_id: str) -> PayoutResult:
    """Return what the answer to sending a payout means.

    PayChangu documents no idempotency for the request, so an outcome is certain or it
    is unknown, and a payout with an unknown one is never sent again.
    """
    document = exchange.document
    transaction = _transaction(document)
    return PayoutResult(
        charge_id=charge_id,
        outcome=_result_outcome(exchange),
        status=dialect.word(transaction.get("status")),
        amount=dialect.amount(transaction.get("amount")),
        currency=dialect.currency(transaction.get("currency")),
        mode=dialect.mode(transaction.get("mode")),
        reference=_reference(transaction),
        message=masked_text(dialect.message(document)),
        retry_after=exchange.retry_after,
        http_status=exchange.http_status,
        failure=exchange.failure,
        raw=document or {},
        summary=exchange.summary,
    )


def _result_outcome(exchange: Exchange) -> PayoutOutcome:
    if exchange.failure is Failure.NOT_CONNECTED or exchange.http_status == 429:
        return PayoutOutcome.NOT_SENT
    if exchange.is_success:
        # Also with a body that cannot be read: the look-up tells the rest.
        return PayoutOutcome.ACCEPTED
    if exchange.http_status in {400, 422} and _is_rejection(exchange.document):
        return PayoutOutcome.REJECTED
    return PayoutOutcome.UNKNOWN


def _is_rejection(document: Mapping[str, Any] | None) -> bool:
    if document is None or dialect.word(document.get("status")) != "failed":
        return False
    # "Errors": a refused request has no data. One that tells of a transaction is not
    # refused: a payment that is not paid yet comes as HTTP 400 and "failed", too.
    return not document.get("data") and not _USED_BEFORE.search(
        dialect.message(document)
    )


def read_status(exchange: Exchange, *, charge_id: str) -> PayoutStatus:
    """Return what a look-up of the payout `charge_id` says."""
    transaction = _transaction(exchange.document)
    outcome = dialect.outcome(transaction.get("status"))
    if exchange.http_status == 404 or not transaction:
        outcome = Outcome.NOT_FOUND if not exchange.is_success else Outcome.UNKNOWN
    elif _names_another(transaction, charge_id):
        outcome = Outcome.UNKNOWN
    elif not exchange.is_success and outcome is not Outcome.PENDING:
        # An error that tells of a final state contradicts itself.
        outcome = Outcome.UNKNOWN
    return _status(
        transaction,
        charge_id=charge_id,
        outcome=outcome,
        http_status=exchange.http_status,
        message=masked_text(dialect.message(exchange.document)),
        summary=exchange.summary,
    )


def read_listed(transaction: Mapping[str, Any]) -> PayoutStatus:
    """Return a payout as it stands in the gateway's list."""
    return _status(
        transaction,
        charge_id=dialect.reference(transaction.get("charge_id")),
        outcome=dialect.outcome(transaction.get("status")),
        http_status=200,
        message="",
        summary={"received": masked(transaction)},
    )


def _status(
    transaction: Mapping[str, Any],
    *,
    charge_id: str,
    outcome: Outcome,
    http_status: int | None,
    message: str,
    summary: Mapping[str, Any],
) -> PayoutStatus:
    charges = dialect.members(transaction.get("transaction_charges")).get("amount")
    return PayoutStatus(
        charge_id=charge_id,
        outcome=outcome,
        status=dialect.word(transaction.get("status")),
        amount=dialect.amount(transaction.get("amount")),
        currency=dialect.currency(transaction.get("currency")),
        mode=dialect.mode(transaction.get("mode")),
        reference=_reference(transaction),
        charges=dialect.amount(charges),
        completed_at=dialect.moment(transaction.get("completed_at")),
        message=message,
        http_status=http_status,
        raw=transaction,
        summary=summary,
    )


def _transaction(document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the transaction, which is in `data.transaction` or is `data` itself.

    PayChangu developer documentation, "Mobile money payout" and "Bank payout", show
    one form each, and not consistently.
    """
    data = dialect.members((document or {}).get("data"))
    return dialect.members(data.get("transaction")) or data


def _names_another(transaction: Mapping[str, Any], charge_id: str) -> bool:
    named = transaction.get("charge_id")
    return named is not None and dialect.reference(named) != charge_id


def _reference(transaction: Mapping[str, Any]) -> str:
    names = ("ref_id", "reference", "trans_id")
    found = (dialect.reference(transaction.get(name)) for name in names)
    return next((name for name in found if name), "")
