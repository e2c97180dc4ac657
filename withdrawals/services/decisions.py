"""What people decide about a withdrawal."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from credits_project import audit, idempotency
from credits_project.exceptions import (
    IdempotencyKeyReused,
    InvalidInput,
    InvalidTransition,
    PermissionDenied,
)
from withdrawals import approvals, encryption
from withdrawals.exceptions import ApprovalVoid, CaseOpen
from withdrawals.models import Payout, PayoutMethod, WithdrawalRequest
from withdrawals.services.approval import approve
from withdrawals.services.closing import give_back

_DECIDE: Final = "withdrawals.decide_withdrawal"
_SEE_NUMBER: Final = "withdrawals.see_account_number"
_TEXT_LENGTH_MAX: Final = 500
_CANCEL_SCOPE: Final = "withdrawals/cancel"

_Status = WithdrawalRequest.Status


@transaction.atomic
def approve_withdrawal(
    *, withdrawal_id: uuid.UUID, actor: Any, note: str = ""
) -> WithdrawalRequest:
    """Approve a withdrawal; with the last approval it needs, its payout is ready.

    Raises:
        PermissionDenied: the actor may not decide, asked for it, would be paid by it,
            or has approved it before.
        ApprovalVoid: it is not what the first person approved any more.
        InvalidTransition: it is not requested any more.
        WithdrawalRequest.DoesNotExist: there is no such withdrawal.
    """
    withdrawal = locked(withdrawal_id)
    check_approver(withdrawal, actor)
    is_last = True
    if withdrawal.decided_by_id is None:
        withdrawal.decided_by = actor
        is_last = withdrawal.approvals_required < 2
    else:
        withdrawal.second_decided_by = actor
    note = _checked_text(note, field="note")
    withdrawal.decision_note = _joined(withdrawal.decision_note, note)
    if is_last:
        approve(withdrawal, now=timezone.now())
    else:
        withdrawal.approval_seal = approvals.seal_of(withdrawal)
        withdrawal.save(update_fields=["decided_by", "decision_note", "approval_seal"])
    audit.record(actor=actor, row=withdrawal, action="approve", reason=note)
    return withdrawal


@transaction.atomic
def reject_withdrawal(
    *, withdrawal_id: uuid.UUID, actor: Any, reason: str
) -> WithdrawalRequest:
    """Reject a withdrawal and give the credits back. The coach sees the reason.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not decide, asked for it, or would be paid by
            it.
        InvalidTransition: it is not requested any more.
        WithdrawalRequest.DoesNotExist: there is no such withdrawal.
    """
    reason = required_reason(reason)
    withdrawal = locked(withdrawal_id)
    check_decider(withdrawal, actor)
    if withdrawal.decided_by_id is None:
        withdrawal.decided_by = actor
    elif withdrawal.decided_by_id != actor.pk:
        withdrawal.second_decided_by = actor
    withdrawal.decided_at = timezone.now()
    give_back(withdrawal, status=_Status.REJECTED, reason=reason, actor=actor)
    audit.record(actor=actor, row=withdrawal, action="reject", reason=reason)
    return withdrawal


@transaction.atomic
def cancel_withdrawal(
    *, withdrawal_id: uuid.UUID, actor: Any, idempotency_key: str | None = None
) -> WithdrawalRequest:
    """Cancel a withdrawal and give the credits back.

    Who asked for it may while it is requested; staff also while it is approved and no
    call to the gateway has begun.

    Raises:
        PermissionDenied: the actor is neither.
        InvalidTransition: it is too late.
        IdempotencyKeyReused, RequestInProgress: see `idempotency`.
        WithdrawalRequest.DoesNotExist: there is no such withdrawal.
    """
    if idempotency_key is not None:
        booked = _cancelled_before(withdrawal_id, actor, idempotency_key)
        if booked is not None:
            return booked
    withdrawal = locked(withdrawal_id)
    is_own = actor.pk in {withdrawal.user_id, withdrawal.requested_by_id}
    is_staff = actor.is_active and actor.has_perm(_DECIDE)
    if not (is_own or is_staff):
        raise PermissionDenied("Only who asked for it and staff can cancel it.")
    if withdrawal.status != _Status.REQUESTED and not is_staff:
        raise InvalidTransition(current=withdrawal.status, wanted=_Status.CANCELLED)
    payout = _locked_payout(withdrawal)
    # With the withdrawal locked and approved nobody begins to send.
    if payout is not None and withdrawal.status == _Status.APPROVED:
        payout.move_to(Payout.Status.DROPPED)
        payout.ended_at = timezone.now()
        payout.next_check_at = None
        payout.save(update_fields=["status", "ended_at", "next_check_at"])
    if withdrawal.decided_by_id is None:
        withdrawal.decided_by = actor
    withdrawal.decided_at = timezone.now()
    withdrawal.cancel_key = idempotency_key
    give_back(withdrawal, status=_Status.CANCELLED, actor=actor)
    if not is_own or is_staff:
        audit.record(actor=actor, row=withdrawal, action="cancel")
    return withdrawal


@transaction.atomic
def clear_flag(
    *, withdrawal_id: uuid.UUID, actor: Any, reason: str
) -> WithdrawalRequest:
    """Note that staff have dealt with what a withdrawal was flagged for.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not decide, asked for it, or would be paid by
            it.
        CaseOpen: a case of it has to be settled.
        WithdrawalRequest.DoesNotExist: there is no such withdrawal.
    """
    reason = required_reason(reason)
    withdrawal = locked(withdrawal_id)
    check_decider(withdrawal, actor)
    if withdrawal.cases.open().exists():
        raise CaseOpen
    if withdrawal.flag:
        was, withdrawal.flag = withdrawal.flag, ""
        withdrawal.save(update_fields=["flag"])
        audit.record(
            actor=actor, row=withdrawal, action="clear flag", reason=reason, flag=was
        )
    return withdrawal


@transaction.atomic
def see_account_number(*, row: PayoutMethod | WithdrawalRequest, actor: Any) -> str:
    """Return the full account number, and note who saw it.

    Raises:
        PermissionDenied: the actor may not see it.
        UnreadableNumber: it was sealed with another key or altered.
    """
    if not (actor.is_active and actor.has_perm(_SEE_NUMBER)):
        raise PermissionDenied("You may not see full account numbers.")
    number = encryption.unseal(row.account_number_encrypted, context=row.number_context)
    audit.record(actor=actor, row=row, action="see account number")
    return number


def locked(withdrawal_id: uuid.UUID) -> WithdrawalRequest:
    """Return the withdrawal, locked until the transaction ends.

    Raises:
        WithdrawalRequest.DoesNotExist: there is no such withdrawal.
    """
    rows = WithdrawalRequest.objects.select_for_update(of=("self",), no_key=True)
    return rows.get(pk=withdrawal_id)


def check_decider(withdrawal: WithdrawalRequest, actor: Any) -> None:
    """Refuse whoever may not decide on this withdrawal.

    Raises:
        PermissionDenied: no permission, or the withdrawal is the actor's own.
    """
    if not (actor.is_active and actor.has_perm(_DECIDE)):
        raise PermissionDenied("You may not decide on withdrawals.")
    if actor.pk in {withdrawal.user_id, withdrawal.requested_by_id}:
        raise PermissionDenied("Nobody decides on a withdrawal of their own.")


def check_approver(withdrawal: WithdrawalRequest, actor: Any) -> None:
    """Refuse whoever may not approve this withdrawal as it is now.

    Raises:
        PermissionDenied, ApprovalVoid, InvalidTransition: see `approve_withdrawal`.
    """
    check_decider(withdrawal, actor)
    if _Status.APPROVED not in withdrawal.TRANSITIONS[_Status(withdrawal.status)]:
        raise InvalidTransition(current=withdrawal.status, wanted=_Status.APPROVED)
    if withdrawal.decided_by_id is None:
        return
    if withdrawal.decided_by_id == actor.pk:
        raise PermissionDenied("A second person has to approve this withdrawal.")
    if not approvals.stands(withdrawal):
        raise ApprovalVoid


def required_reason(reason: str) -> str:
    """Return the reason without blanks around it.

    Raises:
        InvalidInput: there is none, or it is too long.
    """
    reason = _checked_text(reason, field="reason")
    if not reason:
        raise InvalidInput("reason", "Say why.", reason="required")
    return reason


def _checked_text(text: str, *, field: str) -> str:
    text = text.strip()
    if len(text) > _TEXT_LENGTH_MAX:
        raise InvalidInput(
            field, f"No more than {_TEXT_LENGTH_MAX} characters.", reason="max_length"
        )
    if "\x00" in text:
        raise InvalidInput(field, "The text may not contain NUL characters.")
    return text


def _cancelled_before(
    withdrawal_id: uuid.UUID, actor: Any, key: str
) -> WithdrawalRequest | None:
    """Return the withdrawal if the actor has cancelled it under this key."""
    idempotency.claim(user_id=actor.pk, scope=_CANCEL_SCOPE, key=key)
    withdrawal = WithdrawalRequest.objects.filter(user=actor, cancel_key=key).first()
    if withdrawal is None:
        return None
    if withdrawal.pk != withdrawal_id:
        raise IdempotencyKeyReused
    withdrawal.is_replay = True
    return withdrawal


def _joined(*texts: str) -> str:
    return " / ".join(text for text in texts if text)[:_TEXT_LENGTH_MAX]


def _locked_payout(withdrawal: WithdrawalRequest) -> Payout | None:
    # After the withdrawal, as everyone locks them.
    rows = Payout.objects.select_for_update(of=("self",), no_key=True)
    return rows.filter(withdrawal=withdrawal).first()
