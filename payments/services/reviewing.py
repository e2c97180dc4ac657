"""What staff decide about cases: credit what was paid, refund it, or leave it be.

Each decision is made once, with a reason, and noted in the same transaction. The
purchase is locked before its case, and wallets after both.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from credits_project import audit
from credits_project.money import ZERO
from payments.exceptions import AlreadyDecided, NotForThisCase
from payments.models import CreditPurchase, PurchaseRefund, ReviewCase
from payments.services import crediting, events, refunding, settling
from payments.services.refunding import checked_reason
from wallets.models import CreditTransfer

_Kind = ReviewCase.Kind
_Status = ReviewCase.Status
# The gateway took that money back itself.
_NOTHING_DUE: Final = (_Kind.CONTRADICTED,)


def recheck_case(*, case_id: uuid.UUID, actor: Any) -> ReviewCase:
    """Ask the gateway again about what a case is about. Return it as it is now.

    Raises:
        ReviewCase.DoesNotExist: there is no such case.
        GatewayUnavailable: the gateway gave no answer; nothing has changed.
    """
    case = ReviewCase.objects.select_related("purchase").get(pk=case_id)
    if case.event_id is not None:
        events.process_event(event_id=case.event_id, actor=actor)
    elif case.purchase is not None:
        settling.settle_purchase(tx_ref=case.purchase.tx_ref, actor=actor)
    return ReviewCase.objects.get(pk=case_id)


@transaction.atomic
def credit_case(*, case_id: uuid.UUID, actor: Any, reason: str) -> ReviewCase:
    """Credit what was paid: the part of an order that was, or an excess.

    Credits are worth what they were at the order, rounded down; the bonus is in
    proportion, and an excess has none.

    Raises:
        NotForThisCase: it is not about an amount in the order's currency and mode.
        AlreadyDecided: it is not open.
        InvalidInput: no reason is given.
        BalanceOutOfRange: the wallet cannot hold that many.
        ReviewCase.DoesNotExist: there is no such case.
    """
    reason = checked_reason(reason)
    case, purchase = _lock(case_id, wanted=_Status.CREDITED)
    if case.kind not in ReviewCase.CREDITABLE or purchase is None:
        raise NotForThisCase("There is no amount that could be credited.")
    transfer = (
        _credit_excess(case, purchase, actor=actor)
        if case.kind == _Kind.EXCESS
        else _credit_part(case, purchase, actor=actor)
    )
    case.transfer = transfer
    return _decide(case, _Status.CREDITED, actor=actor, reason=reason)


@transaction.atomic
def refund_case(*, case_id: uuid.UUID, actor: Any, reason: str) -> ReviewCase:
    """Give the money that a case is about back: it is noted as due to the payer.

    Credits that were given for it are taken back, all of them or none.

    Raises:
        NotForThisCase: there is no money to give back.
        AlreadyDecided: it is not open.
        NotRefundable, InsufficientCredits, WalletFrozen: see `refund_purchase`.
        InvalidInput: no reason is given.
        ReviewCase.DoesNotExist: there is no such case.
    """
    reason = checked_reason(reason)
    case, purchase = _lock(case_id, wanted=_Status.REFUNDED)
    if case.kind not in ReviewCase.REFUNDABLE or purchase is None:
        raise NotForThisCase("There is no money that could be given back.")
    if case.kind == _Kind.EXCESS or purchase.transfer_id is None:
        _refund_money(case, purchase, actor=actor, reason=reason)
    else:
        refunding.refund_purchase(
            purchase_id=purchase.pk,
            actor=actor,
            reason=reason,
            is_due=case.kind not in _NOTHING_DUE,
        )
    return _decide(case, _Status.REFUNDED, actor=actor, reason=reason)


@transaction.atomic
def dismiss_case(*, case_id: uuid.UUID, actor: Any, reason: str) -> ReviewCase:
    """End a case without doing anything about it. No credits and no money move.

    A purchase that waited for it, and for nothing else, is expired. Should the gateway
    later say that it was paid as ordered, it is credited like any other.

    Raises:
        AlreadyDecided: it is not open.
        InvalidInput: no reason is given.
        ReviewCase.DoesNotExist: there is no such case.
    """
    reason = checked_reason(reason)
    case, purchase = _lock(case_id, wanted=_Status.DISMISSED)
    decided = _decide(case, _Status.DISMISSED, actor=actor, reason=reason)
    if purchase is not None and purchase.status == CreditPurchase.Status.REVIEW:
        _expire_unless_others_wait(purchase)
    return decided


def _lock(
    case_id: uuid.UUID, *, wanted: ReviewCase.Status
) -> tuple[ReviewCase, CreditPurchase | None]:
    """Lock an open case, and the purchase that it is about before it."""
    purchase_id = ReviewCase.objects.values_list("purchase_id", flat=True).get(
        pk=case_id
    )
    purchase = None
    if purchase_id is not None:
        rows = CreditPurchase.objects.select_for_update(no_key=True)
        purchase = rows.get(pk=purchase_id)
    case = ReviewCase.objects.select_for_update(no_key=True).get(pk=case_id)
    if case.status != _Status.OPEN:
        raise AlreadyDecided(current=case.status, wanted=wanted)
    return case, purchase


def _decide(
    case: ReviewCase, status: ReviewCase.Status, *, actor: Any, reason: str
) -> ReviewCase:
    case.move_to(status)
    case.decided_at = timezone.now()
    case.decided_by = actor
    case.reason = reason
    case.save(
        update_fields=["status", "decided_at", "decided_by", "reason", "transfer"]
    )
    audit.record(
        actor=actor,
        row=case,
        action=status.value,
        reason=reason,
        expected=case.expected,
        came=case.came,
    )
    return case


def _expire_unless_others_wait(purchase: CreditPurchase) -> None:
    if not ReviewCase.objects.open().filter(purchase=purchase).exists():
        purchase.move_to(CreditPurchase.Status.EXPIRED)
        purchase.save(update_fields=["status"])


def _credit_part(
    case: ReviewCase, purchase: CreditPurchase, *, actor: Any
) -> CreditTransfer:
    if purchase.status != CreditPurchase.Status.REVIEW or case.amount is None:
        raise NotForThisCase(f"The purchase is {purchase.status} by now.")
    part = crediting.worth(purchase, case.amount, with_bonus=True)
    if not part.credits:
        raise NotForThisCase("It is less than one hundredth of a credit is worth.")
    # The case would have another kind if the mode were another one.
    changed = crediting.give(
        purchase,
        part,
        paid=case.amount,
        mode=purchase.mode,
        now=timezone.now(),
        actor=actor,
    )
    purchase.save(update_fields=sorted(changed))
    assert purchase.transfer is not None, "it was given"
    return purchase.transfer


def _credit_excess(
    case: ReviewCase, purchase: CreditPurchase, *, actor: Any
) -> CreditTransfer:
    assert case.amount is not None, "an excess is an amount"
    if purchase.status != CreditPurchase.Status.PAID:
        raise NotForThisCase(f"The purchase is {purchase.status} by now.")
    more = crediting.worth(purchase, case.amount, with_bonus=False)
    if not more.credits:
        raise NotForThisCase("It is less than one hundredth of a credit is worth.")
    return crediting.give_more(purchase, more, actor=actor)


def _refund_money(
    case: ReviewCase, purchase: CreditPurchase, *, actor: Any, reason: str
) -> None:
    """Note money as due for which no credits were given."""
    if not case.amount or not case.currency:
        raise NotForThisCase("The gateway did not say how much was paid.")
    PurchaseRefund.objects.create(
        purchase=purchase,
        number=purchase.refunds.count() + 1,
        credits=ZERO,
        money=case.amount,
        currency=case.currency,
        reason=reason,
        actor=actor,
    )
    if purchase.transfer_id is not None:
        return
    if purchase.status != CreditPurchase.Status.REVIEW:
        raise NotForThisCase(f"The purchase is {purchase.status} by now.")
    purchase.move_to(CreditPurchase.Status.REFUNDED)
    purchase.refunded_at = timezone.now()
    if case.currency == purchase.currency:
        purchase.refunded_money = case.amount
    purchase.save(update_fields=["status", "refunded_at", "refunded_money"])
