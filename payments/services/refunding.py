"""Refunding a purchase: the credits come back, and money is due to the payer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from credits_project import audit
from credits_project.exceptions import InvalidInput
from credits_project.money import CENT, ZERO, positive_amount
from payments.exceptions import NotRefundable, PurchaseNotFound
from payments.models import CreditPurchase, Currency, PurchaseRefund
from wallets.models import CreditTransfer
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id

_REASON_LENGTH_MAX = 500
_RefundStatus = PurchaseRefund.Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A part of a purchase: credits and bonus, and money in its currency."""

    credits: Decimal
    bonus_credits: Decimal
    money: Decimal


@transaction.atomic
def refund_purchase(
    *,
    purchase_id: uuid.UUID,
    actor: Any,
    reason: str,
    credits: Decimal | None = None,
    number: int | None = None,
    is_due: bool = True,
) -> PurchaseRefund:
    """Take credits of a paid purchase back and note the money due. Return the refund.

    The credits must be available in the buyer's wallet: all that were asked for, or
    none are taken. The bonus comes back in proportion; see `share_of`. The purchase is
    refunded once everything has come back.

    Args:
        credits: how many of the credits sold, bonus not counted; all that are left
            unless given.
        number: which refund of the purchase this is to be, counted from 1. A form
            that is sent twice names the same number twice, and refunds once.
        is_due: whether the payer gets the money back; not where the gateway took the
            payment back itself.

    Raises:
        PurchaseNotFound: there is no such purchase.
        NotRefundable: it is not paid, has not as much left, or has the refund already.
        InsufficientCredits, WalletFrozen: the buyer's wallet does not give them.
        InvalidInput: no reason, or no amount of credits.
    """
    reason = checked_reason(reason)
    purchase = _lock(purchase_id)
    earlier = purchase.refunds.count()
    if purchase.transfer_id is None:
        raise NotRefundable("Only a paid purchase can be refunded.")
    left = purchase.credited_credits - purchase.refunded_credits
    if (number is not None and number != earlier + 1) or not left:
        raise NotRefundable("This refund has been made already.", refunds=earlier)
    wanted = left if credits is None else positive_amount(credits, field="credits")
    if wanted > left:
        raise NotRefundable(f"{left} credits are left to refund.", left=str(left))
    share = share_of(purchase, wanted)
    transfer = _take_back(
        purchase, share, number=earlier + 1, actor=actor, reason=reason
    )
    refund = PurchaseRefund.objects.create(
        purchase=purchase,
        number=earlier + 1,
        credits=share.credits,
        bonus_credits=share.bonus_credits,
        money=share.money,
        currency=purchase.currency,
        status=_RefundStatus.DUE if is_due and share.money else _RefundStatus.NOT_DUE,
        reason=reason,
        actor=actor,
        transfer=transfer,
    )
    _add(purchase, share, now=timezone.now())
    _put_on_record(refund)
    return refund


@transaction.atomic
def note_money_returned(
    *,
    refund_id: uuid.UUID,
    actor: Any,
    how: str,
    via: str = PurchaseRefund.Way.BY_HAND,
) -> PurchaseRefund:
    """Note that the money of a refund went back to the payer, and how. Once.

    Args:
        how: what somebody who looks for it needs: number, account, day.
        via: one of `PurchaseRefund.Way`.

    Raises:
        NotRefundable: it has been noted already, or no money is due.
        InvalidInput: it does not say how.
        PurchaseRefund.DoesNotExist: there is no such refund.
    """
    how = checked_reason(how, field="how")
    if via not in PurchaseRefund.Way.values:
        raise InvalidInput("via", "There is no such way.", reason="invalid_choice")
    refund = PurchaseRefund.objects.select_for_update(no_key=True).get(pk=refund_id)
    if refund.status == _RefundStatus.NOT_DUE:
        raise NotRefundable("No money is due for this refund.")
    if refund.status == _RefundStatus.RETURNED:
        raise NotRefundable("The money of this refund has been returned already.")
    refund.move_to(_RefundStatus.RETURNED)
    refund.returned_at = timezone.now()
    refund.returned_via = via
    refund.returned_how = how
    refund.save(update_fields=["status", "returned_at", "returned_via", "returned_how"])
    audit.record(actor=actor, row=refund, action="money returned", reason=how, via=via)
    return refund


def share_of(purchase: CreditPurchase, credits: Decimal) -> Share:
    """Return what comes back with `credits` more of those that were given.

    Bonus and money are rounded on the running total and not on each refund, so that
    the refunds of a purchase add up to exactly what was given and paid for it; half a
    cent goes to the even neighbour. Kwacha are whole, as the gateway takes no others,
    but for the last part of a payment that was not.
    """
    total = purchase.refunded_credits + credits
    is_last = total == purchase.credited_credits
    unit = Decimal(1) if purchase.currency == Currency.MWK and not is_last else CENT
    given = purchase.credited_credits
    bonus = _part(purchase.credited_bonus_credits, total, given, unit=CENT)
    money = _part(purchase.credited_money, total, given, unit=unit)
    # An excess that was credited after a refund has no bonus, and less of it belongs to
    # each credit then: what has come back stays, and no more does until it is due.
    return Share(
        credits=credits,
        bonus_credits=max(bonus - purchase.refunded_bonus_credits, ZERO),
        money=max(money.quantize(CENT) - purchase.refunded_money, ZERO),
    )


def checked_reason(reason: str, *, field: str = "reason") -> str:
    """Return a text that staff gave for what they do.

    Raises:
        InvalidInput: it is blank, too long, or cannot be stored.
    """
    reason = reason.strip()
    if not reason:
        raise InvalidInput(field, "Say why, or how, in a few words.", reason="required")
    if len(reason) > _REASON_LENGTH_MAX:
        raise InvalidInput(
            field, f"No more than {_REASON_LENGTH_MAX} characters.", reason="max_length"
        )
    if "\x00" in reason:
        raise InvalidInput(field, "The text may not contain NUL characters.")
    return reason


def _part(whole: Decimal, done: Decimal, of: Decimal, *, unit: Decimal) -> Decimal:
    return (whole * done / of).quantize(unit, rounding=ROUND_HALF_EVEN)


def _lock(purchase_id: uuid.UUID) -> CreditPurchase:
    # The purchase before the wallets, as everywhere. Refunds of a purchase queue here.
    rows = CreditPurchase.objects.select_for_update(no_key=True)
    purchase = rows.filter(pk=purchase_id).first()
    if purchase is None:
        raise PurchaseNotFound
    return purchase


def _take_back(
    purchase: CreditPurchase, share: Share, *, number: int, actor: Any, reason: str
) -> CreditTransfer:
    amounts = {
        wallet_id_of(user_id=purchase.user_id): -(share.credits + share.bonus_credits),
        # The parts that the purchase itself used.
        system_wallet_id("issued", cause=purchase.pk): share.credits,
        system_wallet_id("promotions", cause=purchase.pk): share.bonus_credits,
    }
    legs = [
        Leg(
            wallet_id=wallet_id,
            amount=amount,
            transaction_type=TransactionType.PURCHASE_REFUND,
        )
        for wallet_id, amount in amounts.items()
        if amount
    ]
    return post(
        *legs,
        key=f"purchase:{purchase.pk}:refund:{number}",
        description=reason,
        actor=actor,
        metadata={
            "purchase": str(purchase.pk),
            "credits": str(share.credits),
            "bonus_credits": str(share.bonus_credits),
            "money": str(share.money),
            "currency": purchase.currency,
        },
    )


def _add(purchase: CreditPurchase, share: Share, *, now: datetime) -> None:
    purchase.refunded_credits += share.credits
    purchase.refunded_bonus_credits += share.bonus_credits
    purchase.refunded_money += share.money
    changed = ["refunded_credits", "refunded_bonus_credits", "refunded_money"]
    if purchase.refunded_credits == purchase.credited_credits:
        purchase.move_to(CreditPurchase.Status.REFUNDED)
        purchase.refunded_at = now
        changed += ["status", "refunded_at"]
    purchase.save(update_fields=changed)


def _put_on_record(refund: PurchaseRefund) -> None:
    audit.record(
        actor=refund.actor,
        row=refund.purchase,
        action="refund",
        reason=refund.reason,
        credits=str(refund.credits),
        bonus_credits=str(refund.bonus_credits),
        money=str(refund.money),
        due=refund.status,
    )
