"""Putting cases before staff, once each, and ending those that settle themselves."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from django.db.models import QuerySet

from credits_project.money import CENT, MAX_CREDITS
from payments.models import CreditPurchase, GatewayEvent, ReviewCase
from payments.models.reviews import TEXT_LENGTH_MAX

logger = logging.getLogger(__name__)


def put_before_staff(
    *,
    kind: ReviewCase.Kind,
    reference: str,
    expected: str,
    came: str,
    purchase: CreditPurchase | None = None,
    event: GatewayEvent | None = None,
    amount: Decimal | None = None,
    currency: str = "",
) -> tuple[ReviewCase, bool]:
    """Return the case, and whether it is new: the same is put before staff once.

    The constraint `payments_reviewcase_once` decides among those who try at once.

    Args:
        expected: in words, what should have come.
        came: in words, what came instead. Other words are another case.
        amount: the money that it is about, if known, in `currency`.
    """
    case, is_new = ReviewCase.objects.get_or_create(
        kind=kind,
        reference=reference,
        came=came[:TEXT_LENGTH_MAX],
        defaults={
            "purchase": purchase,
            "event": event,
            "expected": expected[:TEXT_LENGTH_MAX],
            "amount": None if amount is None else to_cents(amount),
            "currency": currency if amount is not None else "",
        },
    )
    if is_new:
        logger.warning("review case %s: %s of %s", case.pk, kind, reference)
    return case, is_new


def settle_cases(
    cases: QuerySet[ReviewCase],
    *,
    now: datetime,
    status: ReviewCase.Status = ReviewCase.Status.SETTLED,
    apart_from: Collection[ReviewCase.Kind] = (),
) -> None:
    """End those of the cases that are open, without anybody having decided them."""
    waiting = cases.filter(status=ReviewCase.Status.OPEN).exclude(kind__in=apart_from)
    waiting.update(status=status, decided_at=now)


def to_cents(amount: Decimal) -> Decimal:
    """Return a sum of the gateway's with two decimals, never more than it was."""
    return min(amount, MAX_CREDITS - CENT).quantize(CENT, rounding=ROUND_DOWN)
