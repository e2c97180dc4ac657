"""What a wallet's figures are made of: parts that add up to each of them.

The ledger's own figures are here. An app that draws another one from the wallet, such
as what may be withdrawn, adds it with `register`, in the `ready` of its configuration.

Everything is read in one statement, and so of one moment: the parts add up whatever is
posted meanwhile, and it is one query however much there is to explain.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    Case,
    CharField,
    Count,
    DateField,
    DateTimeField,
    F,
    IntegerField,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Now, TruncDate

from credits_project.money import ZERO, CreditField
from wallets.models import CreditHold, CreditTransaction, CreditWallet

_COLUMNS: Final = ("figure", "kind", "detail", "on", "count", "amount", "moment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a figure; `amount` is in credits, below zero where it lessens it."""

    # What it is: `purchase`, `hold`, `not_available`.
    kind: str
    amount: Decimal
    # How many rows it sums up.
    count: int | None = None
    # For people: which hold.
    detail: str = ""
    # The day (UTC) on which a hold is released.
    releases_on: date | None = None

    @property
    def words(self) -> str:
        """The kind for people."""
        return self.kind.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of a wallet in credits, and the parts that add up to it."""

    name: str
    amount: Decimal
    parts: tuple[Part, ...]

    @property
    def words(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The figures of a wallet as they were at one moment, by name."""

    wallet_id: uuid.UUID
    at: datetime
    is_frozen: bool
    figures: dict[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where another figure's parts come from.

    `rows` gives, for a wallet and its user, query sets made by `rows_of`; `figure`
    makes the figure of what they found and of the figures there are.
    """

    name: str
    rows: Callable[[uuid.UUID, int], Iterable[QuerySet[Any, Any]]]
    figure: Callable[[list[Part], Explanation], Figure]


_sources: list[Source] = []


def register(source: Source) -> None:
    """Have another figure explained."""
    _sources.append(source)


def figure_of(name: str, parts: Iterable[Part]) -> Figure:
    """Return the figure that the parts add up to; parts of zero are left out."""
    kept = tuple(part for part in parts if part.amount or part.count)
    return Figure(name=name, amount=sum((p.amount for p in kept), ZERO), parts=kept)


def rows_of(
    rows: QuerySet[Any, Any],
    figure: str,
    *,
    kind: Any,
    amount: Any,
    detail: Any = "",
    on: Any = None,
    count: bool = True,
) -> QuerySet[Any, Any]:
    """Return rows summed up by kind, detail and day, in the one form that all have.

    Args:
        kind, detail, on, amount: expressions; a text stands for itself.
        count: whether how many there are means anything.
    """
    total: Any = Sum(amount) if count else amount
    number: Any = Count("pk") if count else Value(None)
    summed: QuerySet[Any, Any] = (
        rows.order_by()
        .annotate(
            figure_=_text(figure),
            kind_=_text(kind),
            detail_=_text(detail),
            on_=Cast(on if on is not None else Value(None), DateField()),
        )
        .values("figure_", "kind_", "detail_", "on_")
        .annotate(
            count_=Cast(number, IntegerField()),
            amount_=Cast(total, CreditField()),
            moment_=Cast(Now(), DateTimeField()),
        )
        .values_list(*(f"{name}_" for name in _COLUMNS))
    )
    return summed


def explain(*, wallet_id: uuid.UUID, user_id: int | None) -> Explanation:
    """Return what the wallet's figures are made of, all of one moment.

    `user_id` is whose wallet it is; None for a system wallet.
    """
    statements = [*_ledger_rows(wallet_id)]
    for source in _sources:
        if user_id is not None:
            statements += source.rows(wallet_id, user_id)
    first, *others = statements
    found: dict[str, list[Part]] = {}
    moment: Any = None
    for figure, kind, detail, on, count, amount, at in first.union(*others, all=True):
        moment = at
        part = Part(
            kind=kind, amount=amount, count=count, detail=detail, releases_on=on
        )
        found.setdefault(figure, []).append(part)
    assert moment is not None, f"no wallet {wallet_id}"
    return _explained(wallet_id, moment, found)


def _text(expression: Any) -> Any:
    if isinstance(expression, str):
        expression = Value(expression)
    return Cast(expression, CharField())


def _ledger_rows(wallet_id: uuid.UUID) -> Iterable[QuerySet[Any, Any]]:
    wallet = CreditWallet.objects.filter(pk=wallet_id)
    is_frozen = Case(
        When(frozen_at__isnull=False, then=Value("frozen")), default=Value("open")
    )
    # The figures as the wallet has them, to compare the parts with.
    yield rows_of(
        wallet,
        "wallet",
        kind="balance",
        detail=is_frozen,
        amount=F("balance"),
        count=False,
    )
    yield rows_of(wallet, "wallet", kind="held", amount=F("held"), count=False)
    # What came in apart from what went out: a type such as `transfer` does both.
    transactions = CreditTransaction.objects.filter(wallet_id=wallet_id)
    for direction in ({"amount__gt": 0}, {"amount__lt": 0}):
        yield rows_of(
            transactions.filter(**direction),
            "balance",
            kind=F("transaction_type"),
            amount=F("amount"),
        )
    yield rows_of(
        CreditHold.objects.open().filter(wallet_id=wallet_id),
        "held",
        kind="hold",
        detail=F("reason"),
        # By day: thousands of sales in a window are as many parts as it has days.
        on=TruncDate("releases_at"),
        amount=F("amount"),
    )


def _explained(
    wallet_id: uuid.UUID, at: datetime, found: dict[str, list[Part]]
) -> Explanation:
    wallet = {part.kind: part for part in found["wallet"]}
    figures = {
        name: figure_of(name, sorted(found.get(name, []), key=_order))
        for name in ("balance", "held")
    }
    for name, figure in figures.items():
        # The database sees to it; should it be wrong, the proof says so, and this does
        # not hide it.
        if wrong := wallet[name].amount - figure.amount:
            parts = (*figure.parts, Part(kind="unexplained", amount=wrong))
            figures[name] = figure_of(name, parts)
    figures["available"] = figure_of(
        "available",
        [
            Part(kind="balance", amount=figures["balance"].amount),
            Part(kind="held", amount=-figures["held"].amount),
        ],
    )
    explanation = Explanation(
        wallet_id=wallet_id,
        at=at,
        is_frozen=wallet["balance"].detail == "frozen",
        figures=figures,
    )
    for source in _sources:
        figures[source.name] = source.figure(found.get(source.name, []), explanation)
    return explanation


def _order(part: Part) -> tuple[Any, ...]:
    return (part.releases_on or date.max, part.amount < 0, part.kind, part.detail)
