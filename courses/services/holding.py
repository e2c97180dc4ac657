"""The hold on what a coach earns by a sale, until it matures."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from courses.models import Enrollment
from credits_project.money import ZERO
from wallets.models import CreditHold
from wallets.services import place_hold, release_hold


def hold_key(enrollment: Enrollment, *, refunds: int) -> str:
    """Return the key of the hold on the earnings after that many refunds."""
    key = f"enrollment:{enrollment.pk}"
    return f"{key}:rest:{refunds}" if refunds else key


def hold_earnings(
    enrollment: Enrollment,
    amount: Decimal,
    *,
    wallet_id: uuid.UUID,
    refunds: int,
    now: datetime,
) -> None:
    """Hold earnings in the coach's wallet until they mature, if that is to come.

    Args:
        amount: what is earned after that many refunds, in credits.
    """
    if amount > ZERO and enrollment.matures_at > now:
        place_hold(
            wallet_id=wallet_id,
            amount=amount,
            key=hold_key(enrollment, refunds=refunds),
            reason="Earnings within the refund window",
            releases_at=enrollment.matures_at,
        )


def release_earnings(enrollment: Enrollment) -> bool:
    """Release the hold on the earnings. Return whether there was an open one."""
    key = hold_key(enrollment, refunds=enrollment.refunds)
    if not CreditHold.objects.open().filter(key=key).exists():
        return False
    return release_hold(key=key)
