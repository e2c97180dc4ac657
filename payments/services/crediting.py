"""Giving the credits of a purchase: the one place where bought credits come to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from credits_project.money import CENT
from payments.models import CreditPurchase
from payments.services.cases import to_cents
from wallets.models import CreditTransfer
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Credits and bonus that are given, and for how much of the payer's money."""

    credits: Decimal
    bonus_credits: Decimal
    # In the purchase's currency.
    money: Decimal


def give(
    purchase: CreditPurchase,
    grant: Grant,
    *,
    paid: Decimal,
    mode: str,
    now: datetime,
    actor: Any = None,
) -> set[str]:
    """Credit a purchase and call it paid. Return the names of the fields to save.

    The caller holds its lock. The transfer's key names the purchase, so that there is
    one whatever happens.

    Raises:
        BalanceOutOfRange: the wallet cannot hold that many; nothing is written.
    """
    purchase.transfer = _post(
        purchase,
        grant,
        key=f"purchase:{purchase.pk}",
        description=f"{grant.credits + grant.bonus_credits} credits bought",
        actor=actor,
    )
    purchase.move_to(CreditPurchase.Status.PAID)
    purchase.paid_at = now
    purchase.paid_mode = mode
    purchase.amount_paid = to_cents(paid)
    fields = {"status", "transfer", "paid_at", "paid_mode", "amount_paid"}
    return fields | _count(purchase, grant)


def give_more(purchase: CreditPurchase, grant: Grant, *, actor: Any) -> CreditTransfer:
    """Credit money that was paid beyond the price, once. The caller holds the lock.

    Raises:
        BalanceOutOfRange: the wallet cannot hold that many; nothing is written.
    """
    transfer = _post(
        purchase,
        grant,
        key=f"purchase:{purchase.pk}:excess",
        description=f"{grant.credits} credits for what was paid too much",
        actor=actor,
    )
    purchase.save(update_fields=sorted(_count(purchase, grant)))
    return transfer


def worth(purchase: CreditPurchase, money: Decimal, *, with_bonus: bool) -> Grant:
    """Return what `money` buys at the terms of the order, rounded down to the cent."""

    def part(whole: Decimal) -> Decimal:
        return (whole * money / purchase.price).quantize(CENT, rounding=ROUND_DOWN)

    return Grant(
        credits=part(purchase.credits),
        bonus_credits=part(purchase.bonus_credits) if with_bonus else Decimal("0.00"),
        money=money,
    )


def _count(purchase: CreditPurchase, grant: Grant) -> set[str]:
    purchase.credited_credits += grant.credits
    purchase.credited_bonus_credits += grant.bonus_credits
    purchase.credited_money += grant.money
    return {"credited_credits", "credited_bonus_credits", "credited_money"}


def _post(
    purchase: CreditPurchase, grant: Grant, *, key: str, description: str, actor: Any
) -> CreditTransfer:
    # One transfer: credits are sold, the bonus is given.
    amounts = {
        wallet_id_of(user_id=purchase.user_id): grant.credits + grant.bonus_credits,
        system_wallet_id("issued", cause=purchase.pk): -grant.credits,
        system_wallet_id("promotions", cause=purchase.pk): -grant.bonus_credits,
    }
    legs = [
        Leg(
            wallet_id=wallet_id,
            amount=amount,
            transaction_type=TransactionType.PURCHASE,
        )
        for wallet_id, amount in amounts.items()
        if amount
    ]
    return post(
        *legs,
        key=key,
        description=description,
        actor=actor,
        metadata={
            "purchase": str(purchase.pk),
            "credits": str(grant.credits),
            "bonus_credits": str(grant.bonus_credits),
            "price": str(grant.money),
            "currency": purchase.currency,
        },
    )
