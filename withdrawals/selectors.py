"""Reads of withdrawals that feed more than one edge."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum

from credits_project.money import ZERO
from wallets.models import CreditTransaction, CreditWallet
from withdrawals.models import PayoutMethod, WithdrawalRequest

_Type = CreditTransaction.Type

_ENROLLMENT = Q(transfer__key__startswith="enrollment:")
_WITHDRAWAL = Q(transfer__key__startswith="withdrawal:")
# What a coach earned by teaching and has not withdrawn, by what it is made of: the
# coach's side of enrollments. The learner's side has the opposite signs, so a coach's
# own courses as a learner are not in it; nor are transfers that merely carry the type,
# as their keys begin otherwise.
EARNED_BY = {
    "earnings": _ENROLLMENT & Q(transaction_type=_Type.COURSE_PAYMENT, amount__gt=0),
    "refunds": _ENROLLMENT & Q(transaction_type=_Type.COURSE_REFUND, amount__lt=0),
    # Earnings that staff took back by reversing the enrollment's transfer.
    "reversed": Q(
        transfer__reverses__key__startswith="enrollment:",
        transaction_type=_Type.COURSE_PAYMENT,
        amount__lt=0,
    ),
    "withdrawn": _WITHDRAWAL & Q(transaction_type=_Type.WITHDRAWAL),
    "given_back": _WITHDRAWAL & Q(transaction_type=_Type.WITHDRAWAL_REVERSAL),
}
_ANY_OF_THEM = reduce(or_, EARNED_BY.values())


def earning_rows(**wallet: Any) -> QuerySet[CreditTransaction]:
    """Return the transactions of a wallet among which all of `EARNED_BY` are."""
    return CreditTransaction.objects.filter(
        # Narrows the rows before the transfers are looked at.
        transaction_type__in=[
            _Type.COURSE_PAYMENT,
            _Type.COURSE_REFUND,
            _Type.WITHDRAWAL,
            _Type.WITHDRAWAL_REVERSAL,
        ],
        **wallet,
    )


def earned(*, user_id: int) -> Decimal:
    """Return what the user earned from courses and has not withdrawn, in credits.

    May be below zero: what was refunded after it had been withdrawn.
    """
    rows = earning_rows(wallet__user_id=user_id).filter(_ANY_OF_THEM)
    total: Decimal = rows.aggregate(total=Sum("amount", default=ZERO))["total"]
    return total


def withdrawable(*, user_id: int) -> Decimal:
    """Return what the user could withdraw now, policy's limits aside, in credits."""
    wallet = CreditWallet.objects.filter(user_id=user_id).first()
    if wallet is None or wallet.frozen_at is not None:
        return ZERO
    return max(ZERO, min(wallet.available, earned(user_id=user_id)))


def in_withdrawal(*, user_id: int) -> Decimal:
    """Return the credits of the user's withdrawals that are neither paid nor back."""
    rows = WithdrawalRequest.objects.open().filter(user_id=user_id)
    total: Decimal = rows.aggregate(total=Sum("credits", default=ZERO))["total"]
    return total


def withdrawals_of(*, user: Any) -> QuerySet[WithdrawalRequest]:
    """Return the user's withdrawals.

    Each has `balance_after`, the user's balance right after the request, in credits.
    """
    request_row = CreditTransaction.objects.filter(
        transfer_id=OuterRef("transfer_id"), wallet__user_id=OuterRef("user_id")
    )
    return WithdrawalRequest.objects.filter(user=user).annotate(
        balance_after=Subquery(request_row.values("balance_after")[:1])
    )


def payout_methods_of(*, user: Any) -> QuerySet[PayoutMethod]:
    """Return the user's payout methods that are not removed."""
    return PayoutMethod.objects.current().filter(user=user)
