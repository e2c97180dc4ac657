"""Reads of the ledger that feed more than one edge."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from credits_project.money import ZERO
from wallets.models import CreditTransaction, CreditWallet
from wallets.system import PARTS, Family


@dataclass(slots=True, kw_only=True)
class Statement:
    """A wallet's transactions from `start` up to and not including `end`.

    `opening` is the balance at the start, in credits; the closing of one period is the
    opening of the next. `closing` is known once the rows were read to their end: it
    follows from them, whatever is posted meanwhile.
    """

    wallet: CreditWallet
    start: datetime
    end: datetime
    opening: Decimal
    rows: QuerySet[CreditTransaction]
    closing: Decimal

    def iterate(self) -> Iterator[CreditTransaction]:
        """Yield the rows in their order, oldest first, without loading all at once."""
        for row in self.rows.iterator(chunk_size=2000):
            self.closing = row.balance_after
            yield row


def transactions_of(*, wallet_id: uuid.UUID) -> QuerySet[CreditTransaction]:
    """Return a wallet's transactions with their transfers, newest first."""
    return (
        CreditTransaction.objects.filter(wallet_id=wallet_id)
        .select_related("transfer")
        .order_by("-sequence")
    )


def balance_at(*, wallet_id: uuid.UUID, at: datetime) -> Decimal:
    """Return the wallet's balance at a moment, with what happened at that moment."""
    return _balance(CreditTransaction.objects.filter(created_at__lte=at), wallet_id)


def statement(*, wallet: CreditWallet, start: datetime, end: datetime) -> Statement:
    """Return the wallet's statement for `start` ≤ time < `end`."""
    rows = transactions_of(wallet_id=wallet.pk)
    opening = _balance(rows.filter(created_at__lt=start), wallet.pk)
    return Statement(
        wallet=wallet,
        start=start,
        end=end,
        opening=opening,
        closing=opening,
        rows=rows.filter(created_at__gte=start, created_at__lt=end).order_by(
            "sequence"
        ),
    )


def family_balances() -> dict[Family, Decimal]:
    """Return the balance of each family of system wallets, its parts summed."""
    # They are a few dozen rows, fewer than a query for each family would cost.
    system = CreditWallet.objects.filter(code__isnull=False)
    balances = dict.fromkeys(PARTS, ZERO)
    for code, balance in system.values_list("code", "balance"):
        family: Any = str(code).partition(":")[0]
        balances[family] += balance
    return balances


def _balance(rows: QuerySet[CreditTransaction], wallet_id: uuid.UUID) -> Decimal:
    # Times of a wallet never go back, so the last by time and the last by number are
    # one row, and the index by time finds it however many there are.
    last = (
        rows.filter(wallet_id=wallet_id)
        .order_by("-created_at", "-sequence")
        .values_list("balance_after", flat=True)
        .first()
    )
    return ZERO if last is None else last
