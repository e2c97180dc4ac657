"""What a worker does with payouts, now or later."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from payments.gateway import PayoutStatus
from withdrawals import services
from withdrawals.models import Payout
from withdrawals.services import leases


def send(payout: Payout, **later: float) -> bool:
    now = timezone.now() + timedelta(**later)
    return services.send_payout(payout_id=payout.pk, now=now)


def look_up(payout: Payout, **later: float) -> PayoutStatus | None:
    now = timezone.now() + timedelta(**later)
    return services.look_up_payout(payout_id=payout.pk, now=now)


def sweep(**later: float) -> None:
    """Work on everything that is due, or that could be."""
    services.sweep(now=timezone.now() + timedelta(**later), everything=True)


def claimed(payout: Payout, status: str) -> leases.Claim:
    """The payout, in this status, leased to a worker now."""
    claim = leases.claim(payout.pk, now=timezone.now(), statuses=[status])
    assert claim is not None
    return claim
