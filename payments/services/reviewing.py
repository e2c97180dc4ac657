"""Closing the cases that staff had to look at."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from credits_project import audit
from credits_project.money import ZERO
from payments.exceptions import NotRefundable, PurchaseNotFound
from payments.models import CreditPurchase
from payments.services.refunding import checked_reason

_Status = CreditPurchase.Status


@transaction.atomic
def close_review(
    *, purchase_id: uuid.UUID, actor: Any, reason: str, money_returned: bool = False
) -> CreditPurchase:
    """Note that staff dealt with a purchase that was put before them. No credits move.

    One that is under review, and so has no credits, ends: `refunded` where its payer
    got the money back, else `expired`. A paid one stays paid. Should the gateway later
    say that it was paid as ordered, an expired one is credited like any other.

    Raises:
        PurchaseNotFound: there is no such purchase.
        NotRefundable: staff are not asked to look at it.
        InvalidInput: no reason is given.
    """
    reason = checked_reason(reason)
    rows = CreditPurchase.objects.select_for_update(no_key=True)
    purchase = rows.filter(pk=purchase_id).first()
    if purchase is None:
        raise PurchaseNotFound
    if not purchase.review_reason or purchase.reviewed_at is not None:
        raise NotRefundable("Nothing about this purchase is under review.")
    purchase.reviewed_at = timezone.now()
    changed = ["reviewed_at"]
    if purchase.status == _Status.REVIEW:
        changed += _end(purchase, money_returned=money_returned)
    purchase.save(update_fields=changed)
    audit.record(
        actor=actor,
        row=purchase,
        action="close review",
        reason=reason,
        money_returned=money_returned,
    )
    return purchase


def _end(purchase: CreditPurchase, *, money_returned: bool) -> list[str]:
    if not money_returned:
        purchase.move_to(_Status.EXPIRED)
        return ["status"]
    purchase.move_to(_Status.REFUNDED)
    purchase.refunded_at = purchase.reviewed_at
    purchase.refunded_money = purchase.amount_paid or ZERO
    return ["status", "refunded_at", "refunded_money"]
