"""Late truths: the gateway contradicts the books, and staff settle it.

Nothing is booked when a case is opened. Settling it books what the withdrawal should
have come to: the credits are taken again, or given back, or the platform bears it.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from credits_project import audit
from credits_project.exceptions import InvalidTransition
from wallets.models import CreditTransfer
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id
from withdrawals.models import Payout, PayoutCase, WithdrawalRequest
from withdrawals.services import steps
from withdrawals.services.closing import book_paid, flag, give_back
from withdrawals.services.decisions import check_decider, locked, required_reason

logger = logging.getLogger(__name__)

_Kind = PayoutCase.Kind
_Resolution = PayoutCase.Resolution

_FIELDS: Final = ["settled_at", "settled_by", "resolution", "reason", "transfer"]
# For the coach.
_GIVEN_BACK: Final = "The payout did not reach you; the credits are yours again."
# How each case can be settled.
CHOICES: Final = {
    _Kind.PAID_AFTER_RETURN: (
        _Resolution.PAID,
        _Resolution.WRITTEN_OFF,
        _Resolution.NOTED,
    ),
    _Kind.FAILED_AFTER_PAID: (_Resolution.GIVEN_BACK, _Resolution.NOTED),
    _Kind.OTHER_AMOUNT: (_Resolution.PAID, _Resolution.GIVEN_BACK, _Resolution.NOTED),
}


def open_case(withdrawal: WithdrawalRequest, *, kind: str, detail: str) -> bool:
    """Have staff settle what the gateway says of a locked withdrawal.

    What they have settled last is not asked of them again. Returns whether it is new.
    """
    if withdrawal.cases.open().filter(kind=kind).exists() or was_settled(
        withdrawal, detail
    ):
        return False
    PayoutCase.objects.create(withdrawal=withdrawal, kind=kind, detail=detail[:500])
    flag(withdrawal, detail)
    return True


def was_settled(withdrawal: WithdrawalRequest, detail: str) -> bool:
    """Return whether this is what staff have settled last."""
    last = _settled(withdrawal).first()
    return last is not None and last.detail == detail[:500]


def books_say_paid(withdrawal: WithdrawalRequest, payout: Payout) -> bool:
    """Return whether the books have the coach paid, what was settled included."""
    last = _settled(withdrawal).filter(transfer__isnull=False).first()
    if last is None:
        return payout.status == Payout.Status.PAID
    return last.resolution != _Resolution.GIVEN_BACK


def _settled(withdrawal: WithdrawalRequest) -> QuerySet[PayoutCase]:
    settled = withdrawal.cases.filter(settled_by__isnull=False)
    return settled.order_by("-settled_at", "-pk")


def take_back(withdrawal: WithdrawalRequest, *, now: datetime) -> None:
    """Settle the open cases of a locked withdrawal: the gateway agrees with the books.

    The flag goes with them; the caller saves nothing.
    """
    settled = withdrawal.cases.open().update(
        settled_at=now,
        resolution=_Resolution.NOTED,
        reason="The gateway took it back and now says what the books say.",
    )
    if settled:
        _lower_flag(withdrawal)


def _lower_flag(withdrawal: WithdrawalRequest) -> None:
    withdrawal.flag = ""
    withdrawal.save(update_fields=["flag"])


@transaction.atomic
def settle_case(
    *, case_id: uuid.UUID, actor: Any, resolution: str, reason: str
) -> PayoutCase:
    """Settle a case, and book what follows from it.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not decide, asked for the withdrawal, or was to
            be paid by it.
        InvalidTransition: it is settled, or cannot be settled so.
        InsufficientCredits, WalletFrozen: the credits cannot be taken again.
        PayoutCase.DoesNotExist: there is no such case.
    """
    reason = required_reason(reason)
    withdrawal = locked(PayoutCase.objects.get(pk=case_id).withdrawal_id)
    check_decider(withdrawal, actor)
    payout = Payout.objects.select_for_update(of=("self",), no_key=True).get(
        withdrawal=withdrawal
    )
    case = PayoutCase.objects.select_for_update(of=("self",), no_key=True).get(
        pk=case_id
    )
    current = case.resolution or payout.status
    if case.settled_at is not None or resolution not in choices(case, payout):
        raise InvalidTransition(current=current, wanted=resolution)
    now = timezone.now()
    case.settled_at, case.settled_by = now, actor
    case.resolution, case.reason = resolution, reason
    if payout.status == Payout.Status.SENT:
        # Saved first: that a payout is given back rests on the case.
        case.save(update_fields=_FIELDS)
        booked: CreditTransfer | None = _end(
            withdrawal, payout, resolution, actor=actor, now=now
        )
    else:
        booked = case.transfer = _correct(withdrawal, case, actor=actor)
        case.save(update_fields=_FIELDS)
    if not withdrawal.cases.open().exists():
        _lower_flag(withdrawal)
    audit.record(
        actor=actor,
        row=withdrawal,
        action="settle case",
        reason=reason,
        case=case.pk,
        resolution=resolution,
        transfer=None if booked is None else booked.pk,
    )
    return case


def choices(case: PayoutCase, payout: Payout) -> list[str]:
    """Return how the case can be settled as the payout and the books are now."""
    found = [choice.value for choice in CHOICES[_Kind(case.kind)]]
    if case.kind == _Kind.OTHER_AMOUNT:
        # On its way it has to come to an end; once paid only staff's word is missing.
        is_open = payout.status == Payout.Status.SENT
        found.remove(_Resolution.NOTED) if is_open else found.remove(_Resolution.PAID)
    if payout.status == Payout.Status.SENT:
        return found
    # Another case of the withdrawal may have had it booked meanwhile: credits are given
    # back, or taken again, once and not once for each case.
    booked = (
        {_Resolution.PAID, _Resolution.WRITTEN_OFF}
        if books_say_paid(case.withdrawal, payout)
        else {_Resolution.GIVEN_BACK}
    )
    return [choice for choice in found if choice not in booked]


def _end(
    withdrawal: WithdrawalRequest,
    payout: Payout,
    resolution: str,
    *,
    actor: Any,
    now: datetime,
) -> CreditTransfer:
    """End a locked payout that is on its way as staff say."""
    if resolution == _Resolution.PAID:
        steps.end(payout, now=now, status=Payout.Status.PAID)
        return book_paid(withdrawal, now=now)
    steps.end(payout, now=now, status=Payout.Status.FAILED)
    return give_back(
        withdrawal,
        status=WithdrawalRequest.Status.FAILED,
        reason=_GIVEN_BACK,
        actor=actor,
    )


def _correct(
    withdrawal: WithdrawalRequest, case: PayoutCase, *, actor: Any
) -> CreditTransfer | None:
    """Book what a withdrawal that has ended should have come to, if anything."""
    paid_out = system_wallet_id("paid_out", cause=withdrawal.pk)
    coach = wallet_id_of(user_id=withdrawal.user_id)
    if case.resolution == _Resolution.NOTED:
        return None
    if case.resolution == _Resolution.GIVEN_BACK:
        reversal = TransactionType.WITHDRAWAL_REVERSAL
        source, target, kinds = paid_out, coach, (reversal, reversal)
        description = "Withdrawal not received"
    elif case.resolution == _Resolution.PAID:
        kinds = (TransactionType.WITHDRAWAL, TransactionType.PAYOUT)
        source, target = coach, paid_out
        description = "Withdrawal received after all"
    else:
        kinds = (TransactionType.ADJUSTMENT, TransactionType.PAYOUT)
        source = system_wallet_id("adjustments", cause=withdrawal.pk)
        target, description = paid_out, "Withdrawal written off"
    credits = withdrawal.credits
    return post(
        Leg(wallet_id=source, amount=-credits, transaction_type=kinds[0]),
        Leg(wallet_id=target, amount=credits, transaction_type=kinds[1]),
        key=f"withdrawal:{withdrawal.pk}:case:{case.pk}",
        description=description,
        actor=actor,
        metadata={"withdrawal": str(withdrawal.pk), "case": str(case.pk)},
    )
