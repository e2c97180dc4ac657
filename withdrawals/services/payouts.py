"""Payouts: sent once, then only ever looked up.

The order is what keeps money from leaving twice. A payout is written down and marked as
sent, and that is committed, before the gateway is called. Whatever happens to the
process after it, the payout is never sent again; the gateway is asked what became of
it. Only an answer that rules out that the call arrived makes it ready again.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Sum
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from credits_project import audit
from credits_project.leases import release
from credits_project.money import ZERO
from payments.gateway import (
    DestinationKind,
    Gateway,
    GatewayUnavailable,
    Outcome,
    PayoutResult,
    PayoutStatus,
    from_settings,
)
from payments.gateway.events_registry import UnknownPayout
from withdrawals import approvals, encryption
from withdrawals.exceptions import NotSettled
from withdrawals.models import (
    Payout,
    PayoutAttempt,
    PayoutSwitch,
    WithdrawalRequest,
)
from withdrawals.services import leases, outcomes, steps
from withdrawals.services.decisions import check_decider, locked
from withdrawals.services.leases import Claim
from withdrawals.services.listing import Listing, PayoutList
from withdrawals.services.switch import may_send

logger = logging.getLogger(__name__)

# A call begins at once after the payout was marked as sent. A process that was stopped
# in between may not begin it when it wakes: others may have acted by then.
_BEGIN_WITHIN_SECONDS: Final = 10.0
# PayChangu developer documentation, "Test phone numbers": the ones that fail. In test
# mode the request itself says what shall become of it.
_FAILING_TEST_PHONES: Final = frozenset({"990000001", "899817566"})

_Status = Payout.Status
_ANY: Final[list[str]] = [*_Status.values]


def work_on_payout(*, payout_id: uuid.UUID, now: datetime) -> None:
    """Do what is next for a payout: send it, or ask what became of it.

    Raises:
        Payout.DoesNotExist: there is no such payout.
    """
    payout = Payout.objects.get(pk=payout_id)
    if payout.status == _Status.READY:
        send_payout(payout_id=payout_id, now=now)
    elif payout.status == _Status.SENT:
        look_up_payout(payout_id=payout_id, now=now)


def send_payout(*, payout_id: uuid.UUID, now: datetime) -> bool:
    """Send a payout that is ready, if nothing stands against it.

    Not to be called inside a transaction. Returns whether the gateway was called; what
    it answered is on the payout. Nothing is sent while payouts are frozen or the
    gateway holds too little for it; it then stays ready.
    """
    if PayoutSwitch.objects.filter(frozen_at__isnull=False).exists():
        return False
    claim = leases.claim(payout_id, now=now, statuses=[_Status.READY])
    if claim is None:
        return False
    gateway = from_settings()
    if not _is_new(gateway, claim):
        return False
    asked_at = claim.now
    balance = _balance(gateway, claim)
    if balance is None:
        return False
    withdrawal = WithdrawalRequest.objects.get(pk=claim.withdrawal_id)
    try:
        number = encryption.unseal(
            withdrawal.account_number_encrypted, context=withdrawal.number_context
        )
    except encryption.UnreadableNumber:
        note = "The account number cannot be decrypted."
        outcomes.report_unsendable(claim, note=note)
        return False
    if not approvals.stands(withdrawal):
        note = "The withdrawal is not as it was approved. Cancel it."
        outcomes.report_unsendable(claim, note=note)
        return False
    begun_at = time.monotonic()
    if not _begin(claim, balance=balance, asked_at=asked_at):
        return False
    if time.monotonic() - begun_at > _BEGIN_WITHIN_SECONDS:
        outcomes.record_unsent(claim, note="The worker was stopped before the call.")
        return False
    outcomes.record_sending(claim, _call(gateway, claim, withdrawal, number))
    return True


def look_up_payout(
    *,
    payout_id: uuid.UUID,
    now: datetime,
    any_state: bool = False,
    payout_list: PayoutList | None = None,
) -> PayoutStatus | None:
    """Ask the gateway what became of a payout, and act on it.

    Not to be called inside a transaction. Returns what the gateway says; None where
    somebody else works on the payout or the gateway is silent.

    Args:
        any_state: also for a payout that has ended or is not sent; what the gateway
            says is then compared with what is booked, and a contradiction flagged.
        payout_list: the gateway's, to be read once for several; see `PayoutList`.
    """
    statuses = _ANY if any_state else [_Status.SENT.value]
    claim = leases.claim(payout_id, now=now, statuses=statuses)
    if claim is None:
        return None
    try:
        status, listing = _ask(from_settings(), claim, payout_list)
    except GatewayUnavailable as error:
        outcomes.record_silence(claim, error)
        return None
    return outcomes.record_look_up(claim, status, listing)


def handle_payout_event(charge_id: str) -> None:
    """Look up the payout that an event of the gateway names; the event proves nothing.

    Raises:
        UnknownPayout: no payout has this charge_id.
    """
    payout = Payout.objects.filter(charge_id=charge_id).first()
    if payout is None:
        raise UnknownPayout(charge_id)
    now = timezone.now()
    # Where a worker has it right now, the sweep asks again as soon as it is done.
    Payout.objects.filter(pk=payout.pk, status=_Status.SENT).update(next_check_at=now)
    look_up_payout(payout_id=payout.pk, now=now, any_state=True)


def confirm_not_sent(
    *,
    withdrawal_id: uuid.UUID,
    actor: Any,
    reason: str = "",
    payout_list: PayoutList | None = None,
) -> WithdrawalRequest:
    """Give the credits back for a payout that the gateway does not know.

    For staff, once the settling time is over. The gateway is asked once more; not to be
    called inside a transaction.

    Args:
        payout_list: the gateway's, to be read once for several; see `PayoutList`.

    Raises:
        PermissionDenied: the actor may not decide on this withdrawal.
        NotSettled: the gateway knows the payout, may still come to know it, or the
            payout is not on its way.
        GatewayUnavailable: the gateway does not answer.
        WithdrawalRequest.DoesNotExist: there is no such withdrawal.
    """
    check_decider(WithdrawalRequest.objects.get(pk=withdrawal_id), actor)
    payout = Payout.objects.filter(withdrawal_id=withdrawal_id).first()
    if payout is None or payout.status != _Status.SENT:
        raise NotSettled("The payout is not on its way.")
    claim = leases.claim(payout.pk, now=timezone.now(), statuses=[_Status.SENT])
    if claim is None:
        raise NotSettled(
            "The gateway is being asked at this moment. Try again shortly."
        )
    try:
        status, listing = _ask(from_settings(), claim, payout_list)
    except GatewayUnavailable as error:
        outcomes.record_silence(claim, error)
        raise
    if listing is None or listing.found is not None:
        outcomes.record_look_up(claim, status, listing)
        if status.outcome is Outcome.NOT_FOUND:
            raise NotSettled("The gateway may still come to know the payout.")
        raise NotSettled("The gateway knows the payout.")
    return _end_as_confirmed(claim, status, listing, actor=actor, reason=reason)


@transaction.atomic
def _end_as_confirmed(
    claim: Claim, status: PayoutStatus, listing: Listing, *, actor: Any, reason: str
) -> WithdrawalRequest:
    withdrawal = locked(claim.withdrawal_id)
    check_decider(withdrawal, actor)
    payout = leases.locked(claim)
    if payout is None or payout.status != _Status.SENT:
        raise NotSettled("The payout has changed meanwhile.")
    outcomes.end_as_confirmed(withdrawal, payout, claim, status, listing)
    audit.record(
        actor=actor, row=withdrawal, action="confirm not sent", reason=reason[:500]
    )
    return withdrawal


def _is_new(gateway: Gateway, claim: Claim) -> bool:
    """Return whether the gateway may be told of the payout: it does not know it.

    After a restore from a backup, payouts are ready again that were sent meanwhile.
    """
    try:
        status = gateway.payout_status(claim.charge_id, kind=claim.kind)
    except GatewayUnavailable as error:
        note = f"The gateway could not be asked whether it has it: {error}"
        outcomes.put_off(claim, note=note)
        return False
    named = status.raw.get("charge_id")
    if status.outcome is Outcome.NOT_FOUND or named is None:
        return leases.renew(claim)
    if named == claim.charge_id:
        outcomes.record_known(claim, status)
    else:
        outcomes.put_off(claim, note="The gateway answers about another payout.")
    return False


def _balance(gateway: Gateway, claim: Claim) -> Decimal | None:
    """Return what the gateway holds for payouts; None puts the payout off."""
    try:
        balance = gateway.balance(currency=claim.currency)
    except GatewayUnavailable as error:
        note = f"The gateway's balance could not be learned: {error}"
        outcomes.put_off(claim, note=note)
        return None
    if balance.mode not in {"", gateway.config.mode}:
        outcomes.put_off(claim, note=f"The gateway is in {balance.mode[:20]} mode.")
        return None
    return balance.main


@transaction.atomic(durable=True)
def _begin(claim: Claim, *, balance: Decimal, asked_at: datetime) -> bool:
    """Mark the payout as sent, for ever, before the gateway is called.

    Commits by itself. Returns whether it may be called.
    """
    withdrawal = locked(claim.withdrawal_id)
    payout = leases.locked(claim)
    if payout is None or payout.status != _Status.READY:
        return False
    # Last, as it is one row for all: a freeze that is done stops whoever comes after.
    if not may_send():
        payout.save(update_fields=release(payout))
        return False
    now = claim.now
    if balance < payout.amount + _not_in_balance(payout, asked_at=asked_at, now=now):
        payout.note = "The gateway holds too little for this payout."
        payout.next_check_at = now + timedelta(seconds=30)
        payout.save(update_fields=["note", "next_check_at", *release(payout)])
        return False
    steps.begin(withdrawal, payout, now=now)
    payout.leased_until = now + timedelta(seconds=leases.lease_seconds())
    payout.save(update_fields=steps.STATE_FIELDS)
    steps.keep_attempt(
        claim,
        kind=PayoutAttempt.Kind.BEGIN,
        outcome="begun",
        sending=payout.sendings,
        summary={"sent": _intent(withdrawal, payout)},
    )
    return True


def _intent(withdrawal: WithdrawalRequest, payout: Payout) -> dict[str, str]:
    """Return what is about to be sent, as far as it may be kept."""
    return {
        "charge_id": payout.charge_id,
        "amount": f"{payout.amount:.0f}",
        "currency": payout.currency,
        "kind": withdrawal.kind,
        "destination": withdrawal.destination_id,
        "account_name": withdrawal.account_name,
        "account_number": withdrawal.masked_number,
    }


def _not_in_balance(payout: Payout, *, asked_at: datetime, now: datetime) -> Decimal:
    """Return what others send that a balance of `asked_at` may not show yet."""
    # One whose answer came after the question may have reached the gateway after it as
    # well, though it was marked as sent before.
    answered_later = PayoutAttempt.objects.filter(
        payout=OuterRef("pk"), kind=PayoutAttempt.Kind.SEND, created_at__gte=asked_at
    )
    others = Payout.objects.filter(
        Q(sent_at__gte=asked_at) | Q(leased_until__gt=now) | Exists(answered_later),
        status__in=[_Status.SENT, _Status.PAID],
        currency=payout.currency,
        # A call that began earlier has ended.
        sent_at__gte=asked_at - timedelta(seconds=leases.lease_seconds()),
    )
    total: Decimal = others.aggregate(total=Sum("amount", default=ZERO))["total"]
    return total


@sensitive_variables("number")
def _call(
    gateway: Gateway, claim: Claim, withdrawal: WithdrawalRequest, number: str
) -> PayoutResult:
    """Call the gateway. No transaction is open, and it happens once."""
    if claim.kind is DestinationKind.MOBILE_MONEY:
        wanted = "failed" if number in _FAILING_TEST_PHONES else "successful"
        return gateway.send_mobile_payout(
            charge_id=claim.charge_id,
            amount=claim.amount,
            mobile=number,
            operator_id=withdrawal.destination_id,
            transaction_status=wanted if gateway.config.mode == "test" else "",
        )
    return gateway.send_bank_payout(
        charge_id=claim.charge_id,
        amount=claim.amount,
        bank_id=withdrawal.destination_id,
        account_name=withdrawal.account_name,
        account_number=number,
    )


def _ask(
    gateway: Gateway, claim: Claim, payout_list: PayoutList | None = None
) -> tuple[PayoutStatus, Listing | None]:
    """Return what a look-up says and, where it knows nothing for too long, the list."""
    status = gateway.payout_status(claim.charge_id, kind=claim.kind)
    if status.outcome is not Outcome.NOT_FOUND or not claim.is_settled:
        return status, None
    return status, (payout_list or PayoutList()).look_for(gateway, claim)
