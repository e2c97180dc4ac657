"""Rates: what a credit pays out, from when on."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from credits_project import audit
from credits_project.exceptions import PermissionDenied
from withdrawals.models import PayoutRate
from withdrawals.policy import CURRENCY

_PERMISSION: Final = "withdrawals.add_payoutrate"


@transaction.atomic
def add_payout_rate(
    *, rate: Decimal, effective_from: datetime | None = None, actor: Any = None
) -> PayoutRate:
    """Let one credit pay out `rate` kwacha, from now on or from a moment.

    Withdrawals that were requested before keep the rate that they have.

    Raises:
        PermissionDenied: the actor may not add rates.
    """
    if actor is not None and not (actor.is_active and actor.has_perm(_PERMISSION)):
        raise PermissionDenied("You may not add payout rates.")
    row = PayoutRate.objects.create(
        currency=CURRENCY,
        rate=rate,
        effective_from=effective_from or timezone.now(),
        created_by=actor,
    )
    audit.record(actor=actor, row=row, action="add payout rate", rate=str(rate))
    return row
