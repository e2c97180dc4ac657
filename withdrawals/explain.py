"""What may be withdrawn and what is being withdrawn, for `wallets.explain`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import F, QuerySet

from credits_project.money import ZERO
from wallets.explain import (
    Explanation,
    Figure,
    Part,
    Source,
    figure_of,
    register,
    rows_of,
)
from withdrawals.models import WithdrawalRequest
from withdrawals.selectors import EARNED_BY, earning_rows


def register_figures() -> None:
    """Have both figures explained with the wallet's own."""
    register(Source(name="withdrawable", rows=_withdrawable_rows, figure=_withdrawable))
    register(
        Source(name="in_withdrawal", rows=_in_withdrawal_rows, figure=_in_withdrawal)
    )


def _withdrawable_rows(
    wallet_id: uuid.UUID, user_id: int
) -> Iterable[QuerySet[Any, Any]]:
    rows = earning_rows(wallet_id=wallet_id)
    for kind, condition in EARNED_BY.items():
        yield rows_of(
            rows.filter(condition), "withdrawable", kind=kind, amount=F("amount")
        )


def _withdrawable(found: list[Part], wallet: Explanation) -> Figure:
    """Return what was earned and not withdrawn, less what stands in the way."""
    earned = sum((part.amount for part in found), ZERO)
    parts = sorted(found, key=lambda part: list(EARNED_BY).index(part.kind))
    left = max(earned, ZERO)
    # Refunded after it had been withdrawn: it is not asked back here.
    parts.append(Part(kind="overdrawn", amount=left - earned))
    available = wallet.figures["available"].amount
    within = ZERO if wallet.is_frozen else max(ZERO, min(left, available))
    kind = "frozen" if wallet.is_frozen else "not_available"
    parts.append(Part(kind=kind, amount=within - left))
    return figure_of("withdrawable", parts)


def _in_withdrawal_rows(
    wallet_id: uuid.UUID, user_id: int
) -> Iterable[QuerySet[Any, Any]]:
    requests = WithdrawalRequest.objects.open().filter(user_id=user_id)
    yield rows_of(requests, "in_withdrawal", kind=F("status"), amount=F("credits"))


def _in_withdrawal(found: list[Part], wallet: Explanation) -> Figure:
    return figure_of("in_withdrawal", sorted(found, key=lambda part: part.kind))
