"""What the gateway's answers do to a payout and its withdrawal.

Each function is one short transaction: it locks the withdrawal and then the payout,
looks whether the lease is still ours, and writes. The exchange itself is kept in any
case: it happened.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from payments.gateway import (
    GatewayUnavailable,
    Outcome,
    PayoutOutcome,
    PayoutResult,
    PayoutStatus,
)
from withdrawals.models import Payout, PayoutAttempt, WithdrawalRequest
from withdrawals.services import leases
from withdrawals.services.approval import wake
from withdrawals.services.closing import book_paid, flag, give_back
from withdrawals.services.decisions import locked
from withdrawals.services.leases import Claim
from withdrawals.services.switch import locked_switch

logger = logging.getLogger(__name__)

# Seconds until the next look or try; the last one is for all that follow. Where the
# gateway is silent or odd it may be well again at any moment.
_SOON: Final = (5, 10, 20)
_PENDING: Final = (3, 5, 10, 20, 60, 120, 300)
_FLAGGED: Final = (900,)
_LOW_BALANCE: Final = (30,)
_RETRY_SECONDS_MAX: Final = 300
_LONG_PENDING: Final = timedelta(days=1)

# For the coach; what the gateway said exactly is for staff.
REFUSED: Final = "The payout was refused by the payment gateway."
FAILED: Final = "The payout failed at the payment gateway."
NOT_SENT: Final = "The payout could not be sent."

_Status = Payout.Status
_STATE_FIELDS: Final = [
    "status",
    "gateway_reference",
    "note",
    "sent_at",
    "ended_at",
    "checks",
    "next_check_at",
    "leased_until",
    "lease_token",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the gateway's own list of payouts says about one of them."""

    found: PayoutStatus | None
    # How many rows were read, and whether they were all.
    rows: int
    is_complete: bool


@transaction.atomic(durable=True)
def put_off(claim: Claim, *, note: str, low_balance: bool = False) -> None:
    """Leave a ready payout for later, saying why."""
    payout = leases.locked(claim)
    if payout is not None:
        payout.note = note[:500]
        _again(payout, claim, _LOW_BALANCE if low_balance else _SOON)


@transaction.atomic(durable=True)
def report_unreadable(claim: Claim) -> None:
    """Have staff look at a payout whose account number cannot be decrypted."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    if payout is not None:
        payout.note = "The account number cannot be decrypted."
        _again(payout, claim, _FLAGGED)
        flag(withdrawal, payout.note)


@transaction.atomic
def record_sending(claim: Claim, result: PayoutResult) -> None:
    """Keep what the gateway answered to a payout; act on it if the lease is ours."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    is_ours = payout is not None and payout.status == _Status.SENT
    _keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.SEND,
        outcome=result.outcome.value,
        http_status=result.http_status,
        summary=result.summary,
        is_ours=is_ours,
    )
    if payout is None or not is_ours:
        return
    payout.gateway_reference = result.reference[:100]
    if result.outcome is PayoutOutcome.REJECTED:
        payout.note = f"Rejected: {result.message}"[:500]
        _end(payout, claim, _Status.FAILED)
        give_back(withdrawal, status=WithdrawalRequest.Status.FAILED, reason=REFUSED)
    elif result.outcome is PayoutOutcome.NOT_SENT:
        payout.note = "The gateway could not be reached, or asked for fewer requests."
        take_back(payout, claim, retry_after=result.retry_after)
    else:
        is_accepted = result.outcome is PayoutOutcome.ACCEPTED
        payout.note = "" if is_accepted else "It is not known whether it was sent."
        _again(payout, claim, _PENDING)
        transaction.on_commit(
            partial(wake, payout.pk, schedule_in={"seconds": _PENDING[0]})
        )


@transaction.atomic
def record_unsent(claim: Claim, *, note: str) -> None:
    """Make a payout ready again whose call was never begun."""
    locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    if payout is not None and payout.status == _Status.SENT:
        payout.note = note
        take_back(payout, claim)


@transaction.atomic
def record_silence(claim: Claim, error: GatewayUnavailable) -> None:
    """Keep that the gateway gave no answer about a payout; it is asked again soon."""
    payout = leases.locked(claim)
    exchange = error.exchange
    _keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.LOOK_UP,
        outcome="unavailable",
        http_status=None if exchange is None else exchange.http_status,
        summary={} if exchange is None else exchange.summary,
        is_ours=payout is not None,
    )
    if payout is not None:
        _again(payout, claim, _SOON)


@transaction.atomic
def record_look_up(
    claim: Claim, status: PayoutStatus, listing: Listing | None
) -> PayoutStatus:
    """Keep what the gateway says about a payout, and act on it if the lease is ours."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    summary = dict(status.summary)
    if listing is not None:
        summary["list"] = {
            "found": None if listing.found is None else listing.found.status,
            "rows": listing.rows,
            "complete": listing.is_complete,
        }
    _keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.LOOK_UP,
        outcome=status.outcome.value,
        http_status=status.http_status,
        summary=summary,
        is_ours=payout is not None,
    )
    if payout is None:
        return status
    if payout.status == _Status.SENT:
        _act_on(withdrawal, payout, claim, status, listing)
    else:
        _compare(withdrawal, payout, claim, status)
    return status


def take_back(payout: Payout, claim: Claim, *, retry_after: int | None = None) -> None:
    """Make a locked payout ready again: the call surely did not reach the gateway."""
    payout.move_to(_Status.READY)
    payout.sent_at = None
    # The gateway's wish, within reason.
    pauses = _SOON if retry_after is None else (min(retry_after, _RETRY_SECONDS_MAX),)
    _again(payout, claim, pauses)


def end_as_not_sent(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim, *, note: str
) -> None:
    """End a locked payout that the gateway does not know; the credits go back."""
    payout.note = note[:500]
    _end(payout, claim, _Status.FAILED)
    withdrawal.flag = ""
    give_back(withdrawal, status=WithdrawalRequest.Status.FAILED, reason=NOT_SENT)


def mismatch(payout: Payout, status: PayoutStatus) -> str:
    """Return how a paid payout differs from what was ordered; blank if it does not."""
    if status.amount != payout.amount:
        return f"The gateway paid {status.amount}, not {payout.amount}."
    if status.currency != payout.currency:
        return f"The gateway paid in {status.currency}, not {payout.currency}."
    if status.mode not in {"", settings.PAYCHANGU_MODE}:
        return f"The gateway paid in {status.mode} mode."
    return ""


def _act_on(
    withdrawal: WithdrawalRequest,
    payout: Payout,
    claim: Claim,
    status: PayoutStatus,
    listing: Listing | None,
) -> None:
    """Do what a look-up of a payout on its way means."""
    payout.gateway_reference = (status.reference or payout.gateway_reference)[:100]
    if status.outcome is Outcome.PAID:
        if difference := mismatch(payout, status):
            payout.note = difference
            _again(payout, claim, _FLAGGED)
            flag(withdrawal, difference)
            return
        payout.note = ""
        _end(payout, claim, _Status.PAID)
        withdrawal.flag = ""
        book_paid(withdrawal, now=claim.now)
    elif status.outcome is Outcome.FAILED:
        payout.note = f"The gateway says {status.status}. {status.message}"[
            :500
        ].strip()
        _end(payout, claim, _Status.FAILED)
        withdrawal.flag = ""
        give_back(withdrawal, status=WithdrawalRequest.Status.FAILED, reason=FAILED)
    elif status.outcome is Outcome.PENDING:
        payout.note = ""
        _again(payout, claim, _PENDING)
        if payout.sent_at is not None and claim.now - payout.sent_at > _LONG_PENDING:
            flag(withdrawal, "The payout has been pending for more than a day.")
    elif listing is not None and status.outcome is Outcome.NOT_FOUND:
        _act_on_witnesses(withdrawal, payout, claim, listing)
    else:
        _again(payout, claim, _SOON)
        if claim.is_settled and status.outcome is Outcome.UNKNOWN:
            flag(
                withdrawal,
                f"The gateway's answer is not understood ({status.status[:50]}).",
            )


def _act_on_witnesses(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim, listing: Listing
) -> None:
    """Decide on a payout that the look-up does not know after the settling time."""
    if listing.found is not None:
        says = f"the list says {listing.found.status or 'nothing'}"
    elif listing.is_complete:
        says = "the list does not have it"
    else:
        says = "the list could not be read whole"
    note = f"Look-up: not known to the gateway; {says}."
    agree = listing.found is None and listing.is_complete
    if agree and settings.PAYOUT_AUTO_RESOLVE:
        end_as_not_sent(withdrawal, payout, claim, note=note)
        return
    payout.note = note
    _again(payout, claim, _FLAGGED)
    flag(withdrawal, note)


def _compare(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim, status: PayoutStatus
) -> None:
    """Have staff look where the gateway contradicts the books; nothing is undone."""
    _release(payout)
    payout.save(update_fields=["leased_until", "lease_token"])
    if status.outcome not in {Outcome.PAID, Outcome.FAILED, Outcome.PENDING}:
        return
    if payout.status == _Status.READY:
        _take_for_sent(withdrawal, payout, claim)
    elif payout.status == _Status.PAID:
        if status.outcome is not Outcome.PAID:
            flag(withdrawal, f"It was paid, and now the gateway says {status.status}.")
        elif difference := mismatch(payout, status):
            flag(withdrawal, difference)
    elif status.outcome is not Outcome.FAILED:
        flag(
            withdrawal,
            f"The credits were given back, and the gateway says {status.status}.",
        )


def _take_for_sent(withdrawal: WithdrawalRequest, payout: Payout, claim: Claim) -> None:
    """Never send what the gateway knows, though we thought that it does not."""
    flag(withdrawal, "The gateway knows the payout before it was sent.")
    if locked_switch().frozen_at is not None:
        # Nothing is sent meanwhile; and a second call would be of the same charge_id.
        return
    begin(withdrawal, payout, now=claim.now)
    payout.save(update_fields=_STATE_FIELDS)


def begin(withdrawal: WithdrawalRequest, payout: Payout, *, now: datetime) -> None:
    """Move a locked ready payout to sent; the caller saves the payout."""
    payout.move_to(_Status.SENT)
    payout.sent_at = now
    payout.note = ""
    payout.checks = 0
    payout.next_check_at = now + timedelta(seconds=_PENDING[0])
    if withdrawal.status == WithdrawalRequest.Status.APPROVED:
        withdrawal.move_to(WithdrawalRequest.Status.SENDING)
        withdrawal.save(update_fields=["status"])


def _again(payout: Payout, claim: Claim, pauses: tuple[int, ...]) -> None:
    """Save a locked payout that is to be worked on later; the lease ends."""
    pause = pauses[min(payout.checks, len(pauses) - 1)]
    payout.checks += 1
    payout.next_check_at = claim.now + timedelta(seconds=pause)
    _release(payout)
    payout.save(update_fields=_STATE_FIELDS)


def _end(payout: Payout, claim: Claim, status: str) -> None:
    """Save a locked payout in its last state."""
    payout.move_to(status)
    payout.ended_at = claim.now
    payout.next_check_at = None
    _release(payout)
    payout.save(update_fields=_STATE_FIELDS)


def _release(payout: Payout) -> None:
    payout.leased_until = None
    payout.lease_token = None


def _keep_attempt(
    claim: Claim,
    *,
    kind: str,
    outcome: str,
    http_status: int | None,
    summary: Mapping[str, Any],
    is_ours: bool,
) -> None:
    response = dict(summary)
    request = response.pop("sent", None) or {}
    if not is_ours:
        response["lease"] = "lost: nothing followed from this"
    PayoutAttempt.objects.create(
        payout_id=claim.payout_id,
        kind=kind,
        outcome=outcome,
        http_status=http_status,
        request=request,
        response=response,
    )
