"""Credits given or taken by hand: above a limit by two people, never for oneself."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Abs
from django.utils import timezone

from credits_project import audit
from credits_project.exceptions import InvalidInput, PermissionDenied
from credits_project.money import ZERO
from wallets.adjustments import CreditAdjustment
from wallets.services import four_eyes
from wallets.services.transfers import check_grant, check_text, grant_credits

_PERMISSION: Final = "wallets.adjust_wallet"

_Status = CreditAdjustment.Status


@transaction.atomic
def request_adjustment(
    *,
    user_id: int,
    amount: Decimal,
    reason: str,
    actor: Any,
    transaction_type: str = "adjustment",
) -> CreditAdjustment:
    """Ask for credits to be given to a user, or taken; book it where that suffices.

    Where it is more than the actor may give alone it waits for a second person; see
    `four_eyes`.

    Raises:
        PermissionDenied: the actor may not adjust wallets, or it is their own.
        InvalidInput: a bad amount or type, no reason, or an unknown user.
        InsufficientCredits, WalletFrozen: see `post`.
    """
    _check_actor(actor, user_id=user_id)
    reason = reason.strip()
    amount = check_grant(transaction_type, amount, reason)
    adjustment = CreditAdjustment.objects.create(
        user_id=user_id,
        transaction_type=transaction_type,
        amount=amount,
        reason=reason,
        needs_second=four_eyes.needs_second(amount, actor=actor),
        requested_by=actor,
    )
    audit.record(
        actor=actor,
        row=adjustment,
        action="request adjustment",
        reason=reason,
        user=user_id,
        amount=amount,
    )
    if not adjustment.needs_second:
        _book(adjustment, actor=actor)
    return adjustment


@transaction.atomic
def approve_adjustment(
    *, adjustment_id: uuid.UUID, actor: Any, note: str = ""
) -> CreditAdjustment:
    """Agree to what another person asked for, and book it.

    Raises:
        PermissionDenied: the actor may not adjust wallets, asked for it, or it is
            their own wallet.
        InvalidInput: the note is too long.
        InvalidTransition: it is decided already.
        InsufficientCredits, WalletFrozen: see `post`.
        CreditAdjustment.DoesNotExist: there is no such adjustment.
    """
    adjustment = _locked(adjustment_id)
    _check_actor(actor, user_id=adjustment.user_id)
    if adjustment.requested_by_id == actor.pk:
        raise PermissionDenied("A second person has to agree to this adjustment.")
    _decide(adjustment, actor=actor, note=note)
    _book(adjustment, actor=actor)
    audit.record(actor=actor, row=adjustment, action="approve adjustment", reason=note)
    return adjustment


@transaction.atomic
def reject_adjustment(
    *, adjustment_id: uuid.UUID, actor: Any, reason: str
) -> CreditAdjustment:
    """Turn down what was asked for, also what one asked for oneself.

    Raises:
        PermissionDenied: the actor may not adjust wallets, or it is their own.
        InvalidInput: no reason is given, or it is too long.
        InvalidTransition: it is decided already.
        CreditAdjustment.DoesNotExist: there is no such adjustment.
    """
    if not reason.strip():
        raise InvalidInput("reason", "Say why.", reason="required")
    adjustment = _locked(adjustment_id)
    _check_actor(actor, user_id=adjustment.user_id)
    _decide(adjustment, actor=actor, note=reason)
    adjustment.move_to(_Status.REJECTED)
    adjustment.save(
        update_fields=["status", "decided_by", "decided_at", "decision_note"]
    )
    audit.record(actor=actor, row=adjustment, action="reject adjustment", reason=reason)
    return adjustment


def _locked(adjustment_id: uuid.UUID) -> CreditAdjustment:
    return CreditAdjustment.objects.select_for_update(no_key=True).get(pk=adjustment_id)


def _check_actor(actor: Any, *, user_id: int) -> None:
    if not (actor.is_active and actor.has_perm(_PERMISSION)):
        raise PermissionDenied("You may not adjust wallets.")
    if actor.pk == user_id:
        raise PermissionDenied("Nobody adjusts a wallet of their own.")


def given_alone(actor: Any, since: datetime) -> Decimal:
    """Return the credits that a person gave or took alone since then."""
    # What needs no second person is booked at once, so that what was turned down is not
    # among these.
    alone = CreditAdjustment.objects.filter(
        needs_second=False, requested_by=actor, requested_at__gt=since
    )
    total: Decimal = alone.aggregate(total=Sum(Abs("amount"), default=ZERO))["total"]
    return total


def _decide(adjustment: CreditAdjustment, *, actor: Any, note: str) -> None:
    note = note.strip()
    check_text(note, field="note", longest=500)
    adjustment.decided_by = actor
    adjustment.decided_at = timezone.now()
    adjustment.decision_note = note


def _book(adjustment: CreditAdjustment, *, actor: Any) -> None:
    adjustment.move_to(_Status.BOOKED)
    adjustment.transfer = grant_credits(
        user_id=adjustment.user_id,
        amount=adjustment.amount,
        reason=adjustment.reason,
        actor=actor,
        transaction_type=adjustment.transaction_type,
        key=f"adjustment:{adjustment.pk}",
    )
    adjustment.save(
        update_fields=[
            "status",
            "transfer",
            "decided_by",
            "decided_at",
            "decision_note",
        ]
    )
