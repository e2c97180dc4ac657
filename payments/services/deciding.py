"""What follows from the gateway's answer about a purchase, whose lock the caller holds.

Credits only where everything fits: reference, word, amount, currency, mode. Whatever
else comes is put before staff, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from payments import gateway
from payments.gateway import Outcome, PaymentStatus
from payments.models import CreditPurchase, ReviewCase
from payments.services.cases import put_before_staff, settle_cases, to_cents
from payments.services.crediting import Grant, give
from wallets.exceptions import BalanceOutOfRange

_Status = CreditPurchase.Status
_Kind = ReviewCase.Kind
# Said by those who contradict themselves, and not a word that is not known.
_SUCCESS_WORDS = frozenset({"success", "successful"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Objection:
    """Why a payment is not the one that was ordered."""

    kind: ReviewCase.Kind
    expected: str
    came: str


def note(purchase: CreditPurchase, answer: PaymentStatus) -> set[str]:
    """Keep what the gateway said, unless it is about another payment.

    Return the names of the fields that changed.
    """
    if answer.tx_ref != purchase.tx_ref or purchase.status == _Status.REFUNDED:
        return set()
    purchase.gateway_status = answer.status
    purchase.gateway_reference = answer.reference or purchase.gateway_reference
    purchase.gateway_channel = answer.channel or purchase.gateway_channel
    if answer.charges is not None:
        purchase.gateway_fee = to_cents(answer.charges)
    return {"gateway_status", "gateway_reference", "gateway_channel", "gateway_fee"}


def decide(
    purchase: CreditPurchase, answer: PaymentStatus, *, is_over: bool, now: datetime
) -> set[str]:
    """Move the purchase to where the answer puts it; return the fields that changed.

    Args:
        is_over: the gateway was asked for long enough; unpaid means unpaid.
    """
    if purchase.transfer_id is not None:
        _look_for_contradiction(purchase, answer)
        return set()
    if purchase.status == _Status.REFUNDED:
        return set()
    if answer.outcome is Outcome.PAID:
        objection = next(_objections(purchase, answer), None)
        if objection is not None:
            return _put_under_review(purchase, objection, answer, now=now)
        return _credit(purchase, answer, now=now)
    unknown = _unknown_word(purchase, answer)
    if purchase.status in CreditPurchase.OPEN and is_over:
        # With a word that nobody understands it cannot be told whether there is money:
        # not to be forgotten as expired.
        if unknown is not None and unknown.status == ReviewCase.Status.OPEN:
            purchase.move_to(_Status.REVIEW)
        else:
            purchase.move_to(_Status.EXPIRED)
        return {"status"}
    return set()


def _objections(
    purchase: CreditPurchase, answer: PaymentStatus
) -> Iterator[_Objection]:
    """Yield what a payment is not as ordered in, the worst first."""
    here = gateway.from_settings().config.mode
    ordered = f"{purchase.price} {purchase.currency}"
    if answer.tx_ref != purchase.tx_ref:
        yield _Objection(
            kind=_Kind.OTHER_PAYMENT,
            expected=f"An answer about {purchase.tx_ref}.",
            came=f"One about {answer.tx_ref or 'nothing'}.",
        )
    # Of the order as well: what was ordered in test mode stays so on a live system.
    for mode in (here, purchase.mode):
        if answer.mode != mode:
            yield _Objection(
                kind=_Kind.MODE,
                expected=f"Paid in {mode} mode.",
                came=f"Paid in {answer.mode or 'no'} mode.",
            )
    if answer.currency != purchase.currency:
        yield _Objection(
            kind=_Kind.CURRENCY,
            expected=f"Paid {ordered}.",
            came=f"Paid {answer.amount or ''} {answer.currency or 'in no currency'}.",
        )
    if answer.amount is None:
        yield _Objection(
            kind=_Kind.AMOUNT,
            expected=f"Paid {ordered}.",
            came="The gateway does not say how much was paid.",
        )
    elif answer.amount < purchase.price:
        yield _Objection(
            kind=_Kind.SHORT,
            expected=f"Paid {ordered}.",
            came=f"Paid {answer.amount} {answer.currency}.",
        )


def _put_under_review(
    purchase: CreditPurchase,
    objection: _Objection,
    answer: PaymentStatus,
    *,
    now: datetime,
) -> set[str]:
    is_about_it = answer.tx_ref == purchase.tx_ref
    amount = answer.amount if is_about_it and answer.currency else None
    case, is_new = put_before_staff(
        kind=objection.kind,
        reference=purchase.tx_ref,
        expected=objection.expected,
        came=objection.came,
        purchase=purchase,
        amount=amount,
        currency=answer.currency,
    )
    if case.status != ReviewCase.Status.OPEN:
        # Staff have decided it: the same answer again is no news.
        return set()
    if is_new:
        # The payment is what was said last; what was said before is no case any more.
        earlier = purchase.cases.exclude(pk=case.pk)
        settle_cases(earlier, now=now, status=ReviewCase.Status.SUPERSEDED)
    changed = set()
    if purchase.status != _Status.REVIEW:
        purchase.move_to(_Status.REVIEW)
        changed.add("status")
    if amount is not None and answer.currency == purchase.currency:
        purchase.amount_paid = to_cents(amount)
        changed.add("amount_paid")
    return changed


def _credit(
    purchase: CreditPurchase, answer: PaymentStatus, *, now: datetime
) -> set[str]:
    """Give the buyer what was ordered."""
    assert answer.amount is not None, "there is no objection"
    ordered = Grant(
        credits=purchase.credits,
        bonus_credits=purchase.bonus_credits,
        money=purchase.price,
    )
    was_expired = purchase.status == _Status.EXPIRED
    try:
        changed = give(purchase, ordered, paid=answer.amount, mode=answer.mode, now=now)
    except BalanceOutOfRange:
        # It refuses before it writes, so the rest of the transaction stands.
        objection = _Objection(
            kind=_Kind.WALLET,
            expected="A wallet that can hold what was bought.",
            came="Paid, and the wallet cannot hold that many credits.",
        )
        return _put_under_review(purchase, objection, answer, now=now)
    # What was wrong with the payment is not wrong any more.
    settle_cases(purchase.cases.all(), now=now)
    _flag_what_is_odd(purchase, answer.amount, was_expired=was_expired)
    return changed


def _flag_what_is_odd(
    purchase: CreditPurchase, paid: Decimal, *, was_expired: bool
) -> None:
    """Put before staff what is odd about a payment that was credited all the same."""
    ordered = f"{purchase.price} {purchase.currency}"
    if was_expired:
        put_before_staff(
            kind=_Kind.LATE,
            reference=purchase.tx_ref,
            expected="Paid within a week of the order, or not at all.",
            came="Paid after the order had expired.",
            purchase=purchase,
            amount=paid,
            currency=purchase.currency,
        )
    if (excess := paid - purchase.price) > 0:
        put_before_staff(
            kind=_Kind.EXCESS,
            reference=purchase.tx_ref,
            expected=f"Paid {ordered}.",
            came=f"Paid {paid} {purchase.currency}, {excess} too much.",
            purchase=purchase,
            amount=excess,
            currency=purchase.currency,
        )


def _look_for_contradiction(purchase: CreditPurchase, answer: PaymentStatus) -> None:
    """Put before staff what the gateway says otherwise than when it was credited.

    Nothing is taken back by itself: the credits may be spent, the word wrong.
    """
    if purchase.status != _Status.PAID or answer.tx_ref not in {"", purchase.tx_ref}:
        return
    if answer.outcome is Outcome.PAID:
        if (
            answer.currency == purchase.currency
            and answer.mode == purchase.paid_mode
            and answer.amount is not None
            and answer.amount >= purchase.credited_money
        ):
            return
        amount = "no amount" if answer.amount is None else str(answer.amount)
        came = f"Now it says {amount} {answer.currency} in {answer.mode or 'no'} mode."
    elif not answer.status or answer.status in _SUCCESS_WORDS:
        # No word about the payment, or one that the rest of the answer denies.
        return
    else:
        came = f"Now it says “{answer.status}”."
    money = f"{purchase.credited_money} {purchase.currency}"
    put_before_staff(
        kind=_Kind.CONTRADICTED,
        reference=purchase.tx_ref,
        expected=f"The gateway had said that {money} are paid.",
        came=came,
        purchase=purchase,
        amount=purchase.amount_paid,
        currency=purchase.currency,
    )


def _unknown_word(purchase: CreditPurchase, answer: PaymentStatus) -> ReviewCase | None:
    """Put a word that is not known before staff; nothing else follows from it."""
    word = answer.status
    if answer.outcome is not Outcome.UNKNOWN or not word or word in _SUCCESS_WORDS:
        return None
    case, _ = put_before_staff(
        kind=_Kind.UNKNOWN_WORD,
        reference=purchase.tx_ref,
        expected="success, pending or failed",
        came=f"The gateway says “{word}”.",
        purchase=purchase,
        amount=answer.amount,
        currency=answer.currency,
    )
    return case
