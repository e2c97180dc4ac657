"""The steps of a locked payout, and the record of what was said about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from credits_project import leases
from withdrawals.models import Payout, PayoutAttempt, WithdrawalRequest
from withdrawals.services.leases import Claim

# Seconds until the next look or try; the last one is for all that follow. Where the
# gateway is silent or odd it may be well again at any moment.
SOON: Final = (5, 10, 20)
PENDING: Final = (3, 5, 10, 20, 60, 120, 300)
CONTRADICTED: Final = (5, 10, 20, 60, 300, 900)
FLAGGED: Final = (900,)
# How long after its end a payout is asked about again: gateways change their minds.
LATE: Final = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 72, 168))

_ENDED: Final = (Payout.Status.PAID, Payout.Status.FAILED)
STATE_FIELDS: Final = [
    "status",
    "gateway_reference",
    "note",
    "sent_at",
    "ended_at",
    "checks",
    "sendings",
    "next_check_at",
    "leased_until",
    "lease_token",
]


def begin(withdrawal: WithdrawalRequest, payout: Payout, *, now: datetime) -> None:
    """Move a locked ready payout to sent; the caller saves the payout."""
    payout.move_to(Payout.Status.SENT)
    payout.sent_at = now
    payout.sendings += 1
    payout.note = ""
    payout.checks = 0
    payout.next_check_at = now + timedelta(seconds=PENDING[0])
    if withdrawal.status == WithdrawalRequest.Status.APPROVED:
        withdrawal.move_to(WithdrawalRequest.Status.SENDING)
        withdrawal.save(update_fields=["status"])


def again(payout: Payout, *, now: datetime, pauses: tuple[int, ...]) -> None:
    """Save a locked payout that is to be worked on later; the lease ends."""
    pause = pauses[min(payout.checks, len(pauses) - 1)]
    payout.checks += 1
    payout.next_check_at = now + timedelta(seconds=pause)
    leases.release(payout)
    payout.save(update_fields=STATE_FIELDS)


def end(payout: Payout, *, now: datetime, status: str) -> None:
    """Save a locked payout in its last state; the lease ends."""
    payout.move_to(status)
    payout.ended_at = now
    rest(payout, now=now)


def rest(payout: Payout, *, now: datetime) -> None:
    """Save a locked payout that has ended; it is asked about a few times more."""
    payout.next_check_at = None
    if payout.ended_at is not None and payout.status in _ENDED:
        times = (payout.ended_at + pause for pause in LATE)
        payout.next_check_at = next((time for time in times if time > now), None)
    leases.release(payout)
    payout.save(update_fields=STATE_FIELDS)


def keep_attempt(
    claim: Claim,
    *,
    kind: str,
    outcome: str,
    sending: int,
    summary: Mapping[str, Any],
    http_status: int | None = None,
    is_ours: bool = True,
) -> None:
    """Keep an exchange with the gateway, whoever has the payout by now: it happened."""
    response = dict(summary)
    request = response.pop("sent", None) or {}
    if not is_ours:
        response["lease"] = "lost: nothing followed from this"
    PayoutAttempt.objects.create(
        payout_id=claim.payout_id,
        kind=kind,
        outcome=outcome,
        sending=sending,
        http_status=http_status,
        request=request,
        response=response,
    )
