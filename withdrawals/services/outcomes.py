"""What the gateway's answers do to a payout and its withdrawal.

Each function is one short transaction: it locks the withdrawal and then the payout,
looks whether the lease is still ours, and writes. The exchange itself is kept in any
case: it happened.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import transaction

from credits_project.leases import release
from payments.gateway import (
    GatewayUnavailable,
    Outcome,
    PayoutOutcome,
    PayoutResult,
    PayoutStatus,
)
from withdrawals.models import Payout, PayoutAttempt, PayoutCase, WithdrawalRequest
from withdrawals.services import cases, leases, steps
from withdrawals.services.approval import wake
from withdrawals.services.closing import book_paid, flag, give_back
from withdrawals.services.decisions import locked
from withdrawals.services.leases import Claim
from withdrawals.services.listing import Listing
from withdrawals.services.switch import may_send

logger = logging.getLogger(__name__)

_RETRY_SECONDS_MAX: Final = 300
_LONG_PENDING: Final = timedelta(days=1)

# For the coach; what the gateway said exactly is for staff.
REFUSED: Final = "The payout was refused by the payment gateway."
FAILED: Final = "The payout failed at the payment gateway."
NOT_SENT: Final = "The payout could not be sent."

_Status = Payout.Status


@transaction.atomic(durable=True)
def put_off(claim: Claim, *, note: str) -> None:
    """Leave a ready payout for later, saying why."""
    payout = leases.locked(claim)
    if payout is not None:
        payout.note = note[:500]
        steps.again(payout, now=claim.now, pauses=steps.SOON)


@transaction.atomic(durable=True)
def report_unsendable(claim: Claim, *, note: str) -> None:
    """Have staff look at a ready payout that cannot be sent as it is."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    if payout is not None:
        payout.note = note
        steps.again(payout, now=claim.now, pauses=steps.FLAGGED)
        flag(withdrawal, note)


@transaction.atomic(durable=True)
def record_known(claim: Claim, status: PayoutStatus) -> None:
    """Keep that the gateway knows a payout that is ready here: it is not sent."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    _keep_look_up(claim, status, None, is_ours=payout is not None)
    if payout is not None:
        _release_and_take_for_sent(withdrawal, payout, claim)


@transaction.atomic
def record_sending(claim: Claim, result: PayoutResult) -> None:
    """Keep what the gateway answered to a payout; act on it if the lease is ours."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    is_ours = payout is not None and payout.status == _Status.SENT
    steps.keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.SEND,
        outcome=result.outcome.value,
        sending=claim.sendings + 1,
        http_status=result.http_status,
        summary=result.summary,
        is_ours=is_ours,
    )
    if payout is None or not is_ours:
        return
    payout.gateway_reference = result.reference[:100]
    if result.outcome is PayoutOutcome.REJECTED:
        payout.note = f"Rejected: {result.message}"[:500]
        steps.end(payout, now=claim.now, status=_Status.FAILED)
        give_back(withdrawal, status=WithdrawalRequest.Status.FAILED, reason=REFUSED)
    elif result.outcome is PayoutOutcome.NOT_SENT:
        payout.note = "The gateway could not be reached, or asked for fewer requests."
        take_back(payout, claim, retry_after=result.retry_after)
    else:
        is_accepted = result.outcome is PayoutOutcome.ACCEPTED
        payout.note = "" if is_accepted else "It is not known whether it was sent."
        steps.again(payout, now=claim.now, pauses=steps.PENDING)
        transaction.on_commit(
            partial(wake, payout.pk, schedule_in={"seconds": steps.PENDING[0]})
        )


@transaction.atomic
def record_unsent(claim: Claim, *, note: str) -> None:
    """Make a payout ready again whose call was never begun."""
    locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    if payout is not None and payout.status == _Status.SENT:
        steps.keep_attempt(
            claim,
            kind=PayoutAttempt.Kind.SEND,
            outcome=PayoutOutcome.NOT_SENT.value,
            sending=payout.sendings,
            summary={"note": note},
        )
        payout.note = note
        take_back(payout, claim)


@transaction.atomic
def record_silence(claim: Claim, error: GatewayUnavailable) -> None:
    """Keep that the gateway gave no answer about a payout; it is asked again soon."""
    payout = leases.locked(claim)
    exchange = error.exchange
    steps.keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.LOOK_UP,
        outcome="unavailable",
        sending=claim.sendings,
        http_status=None if exchange is None else exchange.http_status,
        summary={} if exchange is None else exchange.summary,
        is_ours=payout is not None,
    )
    if payout is not None and payout.ended_at is None:
        steps.again(payout, now=claim.now, pauses=steps.SOON)
    elif payout is not None:
        steps.rest(payout, now=claim.now)


@transaction.atomic
def record_look_up(
    claim: Claim, status: PayoutStatus, listing: Listing | None
) -> PayoutStatus:
    """Keep what the gateway says about a payout, and act on it if the lease is ours."""
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    _keep_look_up(claim, status, listing, is_ours=payout is not None)
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
    pauses = (
        steps.SOON if retry_after is None else (min(retry_after, _RETRY_SECONDS_MAX),)
    )
    steps.again(payout, now=claim.now, pauses=pauses)


def end_as_confirmed(
    withdrawal: WithdrawalRequest,
    payout: Payout,
    claim: Claim,
    status: PayoutStatus,
    listing: Listing,
) -> None:
    """End a locked payout of which staff say that it was not sent."""
    _keep_look_up(claim, status, listing, is_ours=True)
    note = "Staff confirmed that it was not sent; the gateway does not know it."
    end_as_not_sent(withdrawal, payout, claim, note=note)


def end_as_not_sent(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim, *, note: str
) -> None:
    """End a locked payout that the gateway does not know; the credits go back."""
    payout.note = note[:500]
    steps.end(payout, now=claim.now, status=_Status.FAILED)
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
            _contradict(withdrawal, payout, claim, difference)
            return
        payout.note = ""
        steps.end(payout, now=claim.now, status=_Status.PAID)
        cases.take_back(withdrawal, now=claim.now)
        withdrawal.flag = ""
        book_paid(withdrawal, now=claim.now)
    elif status.outcome is Outcome.FAILED:
        says = f"The gateway says {status.status}. {status.message}"
        payout.note = says[:500].strip()
        steps.end(payout, now=claim.now, status=_Status.FAILED)
        cases.take_back(withdrawal, now=claim.now)
        withdrawal.flag = ""
        give_back(withdrawal, status=WithdrawalRequest.Status.FAILED, reason=FAILED)
    elif status.outcome is Outcome.PENDING:
        payout.note = ""
        steps.again(payout, now=claim.now, pauses=steps.PENDING)
        if payout.sent_at is not None and claim.now - payout.sent_at > _LONG_PENDING:
            flag(withdrawal, "The payout has been pending for more than a day.")
    elif listing is not None and status.outcome is Outcome.NOT_FOUND:
        _act_on_witnesses(withdrawal, payout, claim, listing)
    else:
        steps.again(payout, now=claim.now, pauses=steps.SOON)
        if claim.is_settled and status.outcome is Outcome.UNKNOWN:
            flag(
                withdrawal,
                f"The gateway's answer is not understood ({status.status[:50]}).",
            )


def _contradict(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim, difference: str
) -> None:
    """Have staff look at another sum than was ordered, and ask the gateway again."""
    payout.note = difference
    kind = PayoutCase.Kind.OTHER_AMOUNT
    if cases.open_case(withdrawal, kind=kind, detail=difference):
        # A slip of the gateway's may be over in a moment.
        payout.checks = 0
    steps.again(payout, now=claim.now, pauses=steps.CONTRADICTED)


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
    # Where they agree staff have to decide. A witness that was out of order, or says
    # something else than the other, may know better in a moment.
    pauses = steps.FLAGGED if agree else steps.SOON
    steps.again(payout, now=claim.now, pauses=pauses)
    flag(withdrawal, note)


def _compare(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim, status: PayoutStatus
) -> None:
    """Have staff look where the gateway contradicts the books; nothing is undone."""
    says_something = {Outcome.PAID, Outcome.FAILED, Outcome.PENDING}
    if payout.status == _Status.READY and status.outcome in says_something:
        _release_and_take_for_sent(withdrawal, payout, claim)
        return
    if payout.ended_at is None:
        payout.save(update_fields=release(payout))
        return
    steps.rest(payout, now=claim.now)
    if status.outcome not in says_something:
        return
    is_paid = cases.books_say_paid(withdrawal, payout)
    difference = mismatch(payout, status) if status.outcome is Outcome.PAID else ""
    if cases.was_settled(withdrawal, difference):
        return
    if is_paid and status.outcome is not Outcome.PAID:
        detail = f"It was paid, and now the gateway says {status.status}."
        kind = PayoutCase.Kind.FAILED_AFTER_PAID
        cases.open_case(withdrawal, kind=kind, detail=detail)
    elif is_paid and difference:
        kind = PayoutCase.Kind.OTHER_AMOUNT
        cases.open_case(withdrawal, kind=kind, detail=difference)
    elif not is_paid and status.outcome is not Outcome.FAILED:
        detail = f"The credits were given back, and the gateway says {status.status}."
        kind = PayoutCase.Kind.PAID_AFTER_RETURN
        cases.open_case(withdrawal, kind=kind, detail=detail)
    else:
        cases.take_back(withdrawal, now=claim.now)


def _release_and_take_for_sent(
    withdrawal: WithdrawalRequest, payout: Payout, claim: Claim
) -> None:
    """Never send what the gateway knows, though we thought that it does not."""
    flag(withdrawal, "The gateway knows the payout before it was sent.")
    release(payout)
    # Nothing is sent while payouts are frozen; and a second call would be of the same
    # charge_id.
    if may_send():
        steps.begin(withdrawal, payout, now=claim.now)
    else:
        payout.next_check_at = claim.now + timedelta(seconds=steps.FLAGGED[0])
    payout.save(update_fields=steps.STATE_FIELDS)


def _keep_look_up(
    claim: Claim, status: PayoutStatus, listing: Listing | None, *, is_ours: bool
) -> None:
    summary = dict(status.summary)
    if listing is not None:
        summary["list"] = {
            "found": None if listing.found is None else listing.found.status,
            "rows": listing.rows,
            "complete": listing.is_complete,
        }
    steps.keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.LOOK_UP,
        outcome=status.outcome.value,
        sending=claim.sendings,
        http_status=status.http_status,
        summary=summary,
        is_ours=is_ours,
    )
