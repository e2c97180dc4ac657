"""Comparing our books with the gateway's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from payments import gateway
from payments.gateway import Outcome, PaymentStatus
from payments.models import CreditPurchase
from payments.services.transactions import assert_none_open


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One purchase of which the gateway says something else."""

    tx_ref: str
    detail: str


def differences(*, start: datetime, end: datetime) -> Iterator[Difference]:
    """Yield where the gateway differs, for purchases of `start` <= time < `end`.

    Asks the gateway about each of them, and changes nothing.

    Raises:
        GatewayUnavailable: the gateway did not answer; nothing is proven.
    """
    assert_none_open()
    client = gateway.from_settings()
    purchases = CreditPurchase.objects.filter(
        created_at__gte=start, created_at__lt=end
    ).order_by("pk")
    # The ids first: a cursor would keep a transaction open while the gateway is asked.
    for pk in list(purchases.values_list("pk", flat=True)):
        purchase = CreditPurchase.objects.get(pk=pk)
        detail = _difference(purchase, client.verify(purchase.tx_ref))
        if detail:
            yield Difference(tx_ref=purchase.tx_ref, detail=detail)


def _difference(purchase: CreditPurchase, answer: PaymentStatus) -> str:
    ours, theirs = purchase.status, answer.outcome
    if purchase.transfer_id is None:
        if theirs is not Outcome.PAID:
            return ""
        return f"{ours} here, paid there: {answer.amount} {answer.currency}"
    if theirs is not Outcome.PAID:
        # Money that staff gave back may be reversed there.
        is_refunded = ours == CreditPurchase.Status.REFUNDED
        return "" if is_refunded else f"{ours} here, {answer.status or theirs} there"
    if answer.tx_ref != purchase.tx_ref:
        return f"answered about {answer.tx_ref or 'nothing'}"
    if answer.currency != purchase.currency or answer.amount is None:
        return f"{purchase.currency} here, {answer.currency or 'nothing'} there"
    if answer.amount < purchase.price:
        return f"{purchase.price} here, {answer.amount} there"
    return ""
