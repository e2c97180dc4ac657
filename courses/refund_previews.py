"""What refunds would take from whom, shown before staff decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from courses.models import Enrollment
from courses.services.holding import hold_key
from courses.services.refunding import refund_parts
from credits_project.money import ZERO
from wallets.models import CreditHold, CreditWallet


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPreview:
    """What giving back `amount` would take from the coach and from the platform."""

    enrollment: Enrollment
    # In credits: what goes back, of it the platform's and the coach's part.
    amount: Decimal
    fee: Decimal
    earnings: Decimal
    # What the coach has for it: what is available, and the hold on these earnings.
    coach_has: Decimal
    # What the coach no longer has of their part.
    shortfall: Decimal


def preview_refunds(
    enrollments: Sequence[Enrollment], *, amount: Decimal | None = None
) -> list[RefundPreview]:
    """Return what refunding them one after the other would take now.

    Those of one coach are counted on top of each other. Two queries, however many.

    Args:
        enrollments: with their courses, in the order in which they will be refunded.
        amount: of each, in credits; None is all that is left.
    """
    coach_ids = {enrollment.course.coach_id for enrollment in enrollments}
    wallets = CreditWallet.objects.filter(user_id__in=coach_ids)
    has = {wallet.user_id: wallet.available for wallet in wallets}
    keys = [hold_key(one, refunds=one.refunds) for one in enrollments]
    held = dict(
        CreditHold.objects.open().filter(key__in=keys).values_list("key", "amount")
    )
    previews = []
    for enrollment, key in zip(enrollments, keys, strict=True):
        coach_id = enrollment.course.coach_id
        on_hold = held.get(key, ZERO)
        coach_has = max(has.get(coach_id, ZERO), ZERO) + on_hold
        preview = _preview(enrollment, amount, coach_has)
        taken = preview.earnings - preview.shortfall
        # What stays earned is put on hold again.
        still_held = max(on_hold - preview.earnings, ZERO)
        has[coach_id] = coach_has - taken - still_held
        previews.append(preview)
    return previews


def _preview(
    enrollment: Enrollment, amount: Decimal | None, coach_has: Decimal
) -> RefundPreview:
    left = enrollment.refundable_amount
    amount = left if amount is None else min(amount, left)
    fee, earnings = ZERO, ZERO
    if amount:
        fee, earnings = refund_parts(
            amount=amount,
            refunded=enrollment.refunded_amount,
            price=enrollment.price,
            fee=enrollment.fee,
        )
    return RefundPreview(
        enrollment=enrollment,
        amount=amount,
        fee=fee,
        earnings=earnings,
        coach_has=coach_has,
        shortfall=max(earnings - coach_has, ZERO),
    )
