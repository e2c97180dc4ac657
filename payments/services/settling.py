"""Settling a purchase: the gateway is asked, and credits follow from its answer alone.

Webhook, return page, reading a purchase, poller and staff all come through here.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from credits_project import audit
from credits_project.money import CENT
from payments import gateway
from payments.exceptions import PurchaseNotFound
from payments.gateway import GatewayUnavailable, Outcome, PaymentStatus
from payments.models import CreditPurchase
from payments.services import leasing
from payments.services.transactions import assert_none_open
from wallets.exceptions import BalanceOutOfRange
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id

logger = logging.getLogger(__name__)

# How long the poller asks, and how often: each pause is half of the purchase's age.
ASKED_FOR: Final = timedelta(days=7)
_PAUSE_MIN: Final = timedelta(seconds=30)
_PAUSE_MAX: Final = timedelta(hours=6)
# A page or an API client that reads an unpaid purchase has it asked about that often,
# and waits no longer than that for the gateway.
STALE_AFTER: Final = timedelta(seconds=5)
_PATIENCE_SECONDS: Final = 5.0
# With so many failures in a row the gateway is down, and the rest can wait.
_FAILURES_MAX: Final = 3
_Status = CreditPurchase.Status


def settle_purchase(
    *,
    tx_ref: str,
    actor: Any = None,
    lease_token: uuid.UUID | None = None,
    patience_seconds: float | None = None,
    now: datetime | None = None,
) -> CreditPurchase:
    """Ask the gateway about a purchase and do what its answer says. Return it as it is.

    Paid as ordered: the buyer gets credits and bonus, once, however often and from
    wherever this is called. Paid too little, in another currency or another mode: no
    credits, and staff look at it. Paid too much: credited as ordered, and staff look.
    A failed attempt is not an end, as the payer may try again on the same page.

    Args:
        actor: the member of staff who asks, if one does; it is noted.
        lease_token: of a worker, whose answer counts only while the lease is its own.
        patience_seconds: how long to wait for the gateway at most.

    Raises:
        PurchaseNotFound: no purchase has this `tx_ref`.
        GatewayUnavailable: the gateway gave no answer; nothing has changed.
    """
    assert_none_open()
    if not CreditPurchase.objects.filter(tx_ref=tx_ref).exists():
        raise PurchaseNotFound
    answer = _client(patience_seconds).verify(tx_ref)
    return _apply(
        answer,
        tx_ref=tx_ref,
        actor=actor,
        lease_token=lease_token,
        now=now or timezone.now(),
    )


def recheck_if_stale(
    *, purchase: CreditPurchase, now: datetime | None = None
) -> CreditPurchase:
    """Return a purchase after asking about it, unless it is paid or that was just done.

    Whoever reads it gets what is known where the gateway does not answer soon.
    """
    now = now or timezone.now()
    stale = CreditPurchase.objects.unsettled().filter(
        Q(checked_at__isnull=True) | Q(checked_at__lte=now - STALE_AFTER),
        pk=purchase.pk,
    )
    # One statement decides who of many readers asks. One that is being started has no
    # page yet on which it could have been paid.
    if stale.exclude(checkout_url="").update(checked_at=now):
        try:
            return settle_purchase(
                tx_ref=purchase.tx_ref, patience_seconds=_PATIENCE_SECONDS, now=now
            )
        except GatewayUnavailable as error:
            logger.warning("could not ask about %s: %s", purchase.tx_ref, error)
    return CreditPurchase.objects.get(pk=purchase.pk)


def check_due_purchases(
    *, now: datetime, everything: bool = False, batch: int = 500
) -> int:
    """Ask the gateway about each open purchase that is due. Return how many were.

    With `everything` all that are open are due. Workers share the work: each purchase
    is leased while it is being asked about.
    """
    due = CreditPurchase.objects.open()
    if not everything:
        due = due.filter(next_check_at__lte=now)
    free = due.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now))
    found = free.order_by("next_check_at", "pk").values_list("pk", "tx_ref")[:batch]
    checked = failures = 0
    for pk, tx_ref in list(found):
        token = leasing.claim(due, pk=pk, now=now)
        if token is None:
            continue
        try:
            settle_purchase(tx_ref=tx_ref, lease_token=token, now=now)
        except GatewayUnavailable as error:
            logger.warning("could not ask about %s: %s", tx_ref, error)
            _postpone(pk=pk, token=token, now=now)
            failures += 1
            if failures == _FAILURES_MAX:
                break
        else:
            checked += 1
            failures = 0
    return checked


def next_check(purchase: CreditPurchase, *, now: datetime) -> datetime:
    """Return when to ask again: ever more seldom as the purchase gets older."""
    pause = (now - purchase.created_at) / 2
    return now + min(max(pause, _PAUSE_MIN), _PAUSE_MAX)


def _client(patience_seconds: float | None) -> gateway.Gateway:
    client = gateway.from_settings()
    if patience_seconds is None:
        return client
    config = client.config
    return gateway.Gateway(
        dataclasses.replace(
            config,
            connect_timeout_seconds=min(
                config.connect_timeout_seconds, patience_seconds
            ),
            read_timeout_seconds=min(config.read_timeout_seconds, patience_seconds),
        )
    )


@transaction.atomic(durable=True)
def _postpone(*, pk: uuid.UUID, token: uuid.UUID, now: datetime) -> None:
    purchase = _lock(pk=pk)
    if leasing.is_ours(purchase, token):
        purchase.next_check_at = next_check(purchase, now=now)
        purchase.save(update_fields=[*leasing.release(purchase), "next_check_at"])


def _lock(**lookup: Any) -> CreditPurchase:
    """Lock a purchase until the transaction ends. Wallets are locked after it."""
    return CreditPurchase.objects.select_for_update(no_key=True).get(**lookup)


@transaction.atomic(durable=True)
def _apply(
    answer: PaymentStatus,
    *,
    tx_ref: str,
    actor: Any,
    lease_token: uuid.UUID | None,
    now: datetime,
) -> CreditPurchase:
    """Lock the purchase, look at it again, and do what the answer says."""
    purchase = _lock(tx_ref=tx_ref)
    if not leasing.is_ours(purchase, lease_token):
        return purchase
    before = purchase.status
    changed = {"checked_at", "checks", "next_check_at"}
    purchase.checked_at = now
    purchase.checks += 1
    if lease_token is not None:
        changed.update(leasing.release(purchase))
    changed |= _note(purchase, answer)
    changed |= _decide(purchase, answer, now=now)
    is_open = purchase.status in CreditPurchase.OPEN
    purchase.next_check_at = next_check(purchase, now=now) if is_open else None
    purchase.save(update_fields=sorted(changed))
    audit.record(
        actor=actor, row=purchase, action="recheck", before=before, now=purchase.status
    )
    return purchase


def _note(purchase: CreditPurchase, answer: PaymentStatus) -> set[str]:
    """Keep what the gateway said, unless it is about another payment."""
    if answer.tx_ref != purchase.tx_ref or purchase.status == _Status.REFUNDED:
        return set()
    purchase.gateway_status = answer.status
    purchase.gateway_reference = answer.reference or purchase.gateway_reference
    purchase.gateway_channel = answer.channel or purchase.gateway_channel
    if answer.charges is not None:
        purchase.gateway_fee = _to_cents(answer.charges)
    return {"gateway_status", "gateway_reference", "gateway_channel", "gateway_fee"}


def _decide(
    purchase: CreditPurchase, answer: PaymentStatus, *, now: datetime
) -> set[str]:
    """Move the purchase to where the answer puts it; return the fields that changed."""
    if purchase.transfer_id is not None:
        if answer.outcome is Outcome.FAILED and purchase.status == _Status.PAID:
            # Nothing is taken back by itself: the credits may be spent, the word wrong.
            return _flag(
                purchase, f"The gateway says “{answer.status}” after it had said paid."
            )
        return set()
    if purchase.status == _Status.REFUNDED:
        return set()
    if answer.outcome is Outcome.PAID:
        objection = _objection(purchase, answer)
        if objection:
            return _put_under_review(purchase, objection, answer)
        return _credit(purchase, answer, now=now)
    if purchase.status in CreditPurchase.OPEN and (
        now - purchase.created_at >= ASKED_FOR
    ):
        if answer.outcome is Outcome.UNKNOWN:
            # It cannot be told whether there is money: not to be forgotten as expired.
            objection = f"The gateway says “{answer.status}”, which is not understood."
            return _put_under_review(purchase, objection, answer)
        purchase.move_to(_Status.EXPIRED)
        return {"status"}
    return set()


def _objection(purchase: CreditPurchase, answer: PaymentStatus) -> str:
    """Return why a payment is not the one that was ordered; empty where it is."""
    mode = gateway.from_settings().config.mode
    found: list[tuple[bool, Callable[[], str]]] = [
        (
            answer.tx_ref != purchase.tx_ref,
            lambda: "The gateway answered about another payment.",
        ),
        (
            answer.mode != mode,
            lambda: f"Paid in {answer.mode or 'no'} mode, not in {mode} mode.",
        ),
        (
            answer.currency != purchase.currency,
            lambda: (
                f"Paid in {answer.currency or 'no currency'},"
                f" not in {purchase.currency}."
            ),
        ),
        (
            answer.amount is None,
            lambda: "The gateway does not say how much was paid.",
        ),
        (
            answer.amount is not None and answer.amount < purchase.price,
            lambda: f"Paid {answer.amount} of {purchase.price} {purchase.currency}.",
        ),
    ]
    return next((tell() for is_so, tell in found if is_so), "")


def _put_under_review(
    purchase: CreditPurchase, reason: str, answer: PaymentStatus
) -> set[str]:
    if purchase.status != _Status.REVIEW:
        if purchase.review_reason == reason:
            # Staff closed it: the same answer again is no news.
            return set()
        purchase.move_to(_Status.REVIEW)
        purchase.reviewed_at = None
        logger.warning("%s is under review: %s", purchase.tx_ref, reason)
    purchase.review_reason = reason
    if answer.tx_ref == purchase.tx_ref and answer.amount is not None:
        purchase.amount_paid = _to_cents(answer.amount)
    return {"status", "review_reason", "reviewed_at", "amount_paid"}


def _flag(purchase: CreditPurchase, reason: str) -> set[str]:
    """Ask staff to look at a purchase that stays what it is; once for each reason."""
    if reason in purchase.review_reason:
        return set()
    # The newest first: it is the one that must not be cut off.
    purchase.review_reason = f"{reason} {purchase.review_reason}".strip()[:500]
    purchase.reviewed_at = None
    logger.warning("%s is flagged: %s", purchase.tx_ref, reason)
    return {"review_reason", "reviewed_at"}


def _credit(
    purchase: CreditPurchase, answer: PaymentStatus, *, now: datetime
) -> set[str]:
    """Give the buyer what was ordered; the caller holds the purchase's lock."""
    assert answer.amount is not None, "there is no objection"
    try:
        transfer = post(
            *_legs(purchase),
            key=f"purchase:{purchase.pk}",
            description=f"{purchase.total_credits} credits bought",
            metadata={
                "purchase": str(purchase.pk),
                "credits": str(purchase.credits),
                "bonus_credits": str(purchase.bonus_credits),
                "price": str(purchase.price),
                "currency": purchase.currency,
            },
        )
    except BalanceOutOfRange:
        # It refuses before it writes, so the rest of the transaction stands.
        reason = "Paid, and the wallet cannot hold that many credits."
        return _put_under_review(purchase, reason, answer)
    excess = answer.amount - purchase.price
    changed = {"status", "transfer", "paid_at", "amount_paid"}
    if purchase.status == _Status.EXPIRED:
        changed |= _flag(purchase, "Paid after the order had expired.")
    elif purchase.status == _Status.REVIEW:
        # What was wrong with the payment is not wrong any more.
        purchase.reviewed_at = now
        changed.add("reviewed_at")
    if excess > 0:
        currency = purchase.currency
        changed |= _flag(purchase, f"Paid {_to_cents(excess)} {currency} too much.")
    purchase.move_to(_Status.PAID)
    purchase.transfer = transfer
    purchase.paid_at = now
    purchase.amount_paid = _to_cents(answer.amount)
    return changed


def _legs(purchase: CreditPurchase) -> list[Leg]:
    """Return the legs of the one transfer: credits are sold, the bonus is given."""
    amounts = {
        wallet_id_of(user_id=purchase.user_id): purchase.total_credits,
        system_wallet_id("issued", cause=purchase.pk): -purchase.credits,
        system_wallet_id("promotions", cause=purchase.pk): -purchase.bonus_credits,
    }
    return [
        Leg(
            wallet_id=wallet_id,
            amount=amount,
            transaction_type=TransactionType.PURCHASE,
        )
        for wallet_id, amount in amounts.items()
        if amount
    ]


def _to_cents(amount: Decimal) -> Decimal:
    """Return a sum of the gateway's with two decimals, never more than it was."""
    return amount.quantize(CENT, rounding=ROUND_DOWN)
