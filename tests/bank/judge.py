"""Compares what the clients wrote down with what is booked. Trusts the clients.

Pure functions: the same judge serves the bank test, the crash test, and their controls,
which show that each kind of mistake is found.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from typing import Literal

from tests.bank.books import Books, Row
from tests.bank.record import History, Order, Read

Kind = Literal[
    "lost",  # acknowledged, and not there as it was acknowledged
    "doubled",  # there more than once
    "ghost",  # refused, or asked for by nobody, and there
    "contradiction",  # acknowledged and then refused, or acknowledged differently
    "unresolved",  # never a definite answer
    "balance",  # a balance is not what the history makes of it
    "negative",  # a user owes credits
    "total",  # credits came from nowhere, or went there
    "snapshot",  # a read shows no moment that there was
    "order",  # acknowledged before another was asked for, and numbered after it
]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that must not be."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Case:
    """The clients' history, and the books before and after."""

    history: History
    opening: Books
    closing: Books

    @cached_property
    def people(self) -> list[str]:
        """The wallets of users; system wallets may be negative and have no part."""
        return [name for name in self.opening.wallets if name.isdigit()]

    @cached_property
    def posted(self) -> list[Row]:
        """What was booked since the opening."""
        before = self.opening.wallets
        return [
            row
            for row in self.closing.rows
            if row.wallet not in before or row.sequence > before[row.wallet][1]
        ]

    @cached_property
    def rows_by_name(self) -> dict[str, list[Row]]:
        """The rows of each order, of all its transfers should it have several."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.posted:
            found[row.name].append(row)
        return found

    @cached_property
    def counted_orders(self) -> list[Order]:
        """The orders whose effect must be there, or may be and is."""
        return [
            order
            for order in self.history.orders.values()
            if order.outcome == "done"
            or (order.may_still_arrive and order.name in self.rows_by_name)
        ]


def judge(history: History, *, opening: Books, closing: Books) -> list[Mistake]:
    """Return every mistake, the clients' record taken for the truth."""
    case = Case(history=history, opening=opening, closing=closing)
    return [
        *_of_orders(case),
        *_of_strangers(case),
        *_of_balances(case),
        *_of_reads(case),
        *_of_real_time(case),
    ]


def _of_orders(case: Case) -> Iterator[Mistake]:
    """Each acknowledged order is there once, each refused one is not."""
    for order in case.history.orders.values():
        rows = case.rows_by_name.get(order.name, [])
        transfers = {row.transfer for row in rows}
        if len(transfers) > 1:
            yield Mistake("doubled", f"{order.name} is there {len(transfers)} times")
        if order.outcome == "unknown":
            yield Mistake("unresolved", f"{order.name}: {order.answers[-1:]}")
        elif order.outcome == "refused":
            if transfers and not order.may_still_arrive:
                yield Mistake("ghost", f"{order.name} was refused and is there")
        else:
            yield from _of_acknowledged(order, rows)


def _of_acknowledged(order: Order, rows: list[Row]) -> Iterator[Mistake]:
    if not rows:
        yield Mistake("lost", f"{order.name} was acknowledged and is not there")
        return
    first = order.done
    assert first is not None
    for answer in order.answers[order.answers.index(first) + 1 :]:
        # A repeat may go unanswered; an answer must be the same.
        if answer.outcome != "unknown" and (
            (answer.outcome, answer.transfer, answer.sequences)
            != (first.outcome, first.transfer, first.sequences)
        ):
            yield Mistake("contradiction", f"{order.name}: {first}, then {answer}")
    booked = {(row.transfer, row.wallet, row.sequence, row.amount) for row in rows}
    payer, payee = first.sequences
    promised = {
        (first.transfer, order.payer, payer, -order.amount),
        (first.transfer, order.payee, payee, order.amount),
    }
    if not promised <= booked:
        yield Mistake("lost", f"{order.name}: promised {promised}, booked {booked}")


def _of_strangers(case: Case) -> Iterator[Mistake]:
    """Nothing is there that no client asked for."""
    for name in case.rows_by_name.keys() - case.history.orders.keys():
        yield Mistake("ghost", f"{name!r} is there and nobody asked for it")


def _of_balances(case: Case) -> Iterator[Mistake]:
    """Each balance is what the acknowledged orders make of the one at the opening."""
    expected = {name: case.opening.wallets[name][0] for name in case.people}
    for order in case.counted_orders:
        expected[order.payer] -= order.amount
        expected[order.payee] += order.amount
    for name, balance in expected.items():
        found, _ = case.closing.wallets[name]
        if found != balance:
            yield Mistake("balance", f"wallet {name} has {found}, not {balance}")
    for row in case.posted:
        if row.balance_after < 0 and row.wallet in expected:
            yield Mistake("negative", f"wallet {row.wallet} at {row.sequence}: {row}")
    yield from _of_figures(case, case.closing.wallets, "at the end")


def _of_figures(
    case: Case, wallets: dict[str, tuple[Decimal, int]], where: str
) -> Iterator[Mistake]:
    """All balances at one moment: the total is what it was, and nobody owes."""
    before = sum(case.opening.wallets[name][0] for name in case.people)
    total = sum(wallets[name][0] for name in case.people)
    if total != before:
        yield Mistake("total", f"{where} users have {total}, not {before}")
    if (whole := sum(balance for balance, _ in wallets.values())) != 0:
        yield Mistake("total", f"{where} the whole ledger adds up to {whole}")
    for name in case.people:
        if wallets[name][0] < 0:
            yield Mistake("negative", f"{where} wallet {name} has {wallets[name]}")


class _Timeline:
    """One wallet's orders by time, to tell what a read must and may have seen."""

    def __init__(self, wallet: str, case: Case, orders: Collection[Order]) -> None:
        entries = sorted(_entries_of(wallet, orders))
        balance, number = case.opening.wallets[wallet]
        # The balance after each transaction, by its number.
        self.balances = {number: balance}
        for entry in entries:
            if entry.sequence != number + 1:
                # Somebody else's, or one given up that arrived late: not known here.
                break
            balance, number = balance + entry.amount, entry.sequence
            self.balances[number] = balance
        by_end = sorted((entry.ended, entry.sequence) for entry in entries)
        self._ends = [ended for ended, _ in by_end]
        self._last = list(accumulate((number for _, number in by_end), max))
        by_start = sorted((entry.began, entry.sequence) for entry in entries)
        self._starts = [began for began, _ in by_start]
        backwards = [number for _, number in reversed(by_start)]
        self._first = list(accumulate(backwards, min))[::-1]

    def seen_at_least(self, moment: int) -> int:
        """Return the highest number that was acknowledged before the moment."""
        index = bisect.bisect_left(self._ends, moment)
        return self._last[index - 1] if index else 0

    def seen_less_than(self, moment: int) -> float:
        """Return the lowest number that was asked for after the moment."""
        index = bisect.bisect_right(self._starts, moment)
        return self._first[index] if index < len(self._first) else float("inf")


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    sequence: int
    began: int
    ended: int
    amount: Decimal
    name: str


def _entries_of(wallet: str, orders: Collection[Order]) -> Iterator[_Entry]:
    for order in orders:
        done = order.done
        if done is None or wallet not in (order.payer, order.payee):
            continue
        pays = wallet == order.payer
        yield _Entry(
            sequence=done.sequences[0 if pays else 1],
            began=order.asked_at,
            ended=done.at,
            amount=-order.amount if pays else order.amount,
            name=order.name,
        )


def _of_reads(case: Case) -> Iterator[Mistake]:
    """Each read shows one moment, no earlier than it began and no later than it ended.

    Balance and number of transactions of each wallet must belong together in the
    history, with everything acknowledged before the read and nothing begun after it.
    """
    by_wallet = _orders_by_wallet(case)
    timelines = {name: _Timeline(name, case, by_wallet[name]) for name in case.people}
    for number, read in enumerate(case.history.reads):
        where = f"in read {number}"
        if read.wallets != read.sums:
            differing = dict(read.wallets.items() ^ read.sums.items())
            yield Mistake("snapshot", f"{where} wallets and sums differ: {differing}")
        yield from _of_figures(case, read.wallets, where)
        for name, timeline in timelines.items():
            yield from _of_read_wallet(read, name, timeline, where)


def _of_read_wallet(
    read: Read, name: str, timeline: _Timeline, where: str
) -> Iterator[Mistake]:
    balance, sequence = read.wallets[name]
    if timeline.balances.get(sequence, balance) != balance:
        yield Mistake(
            "snapshot",
            f"{where} wallet {name} has {balance} at {sequence}, not"
            f" {timeline.balances[sequence]}",
        )
    if sequence < (least := timeline.seen_at_least(read.began)):
        yield Mistake(
            "snapshot", f"{where} wallet {name} is at {sequence} after {least}"
        )
    if sequence >= (future := timeline.seen_less_than(read.ended)):
        yield Mistake(
            "snapshot", f"{where} wallet {name} is at {sequence} before {future}"
        )


def _of_real_time(case: Case) -> Iterator[Mistake]:
    """What was acknowledged before another was asked for has the lower number."""
    by_wallet = _orders_by_wallet(case)
    for wallet in case.people:
        latest: _Entry | None = None
        for entry in sorted(_entries_of(wallet, by_wallet[wallet])):
            if latest is not None and entry.ended < latest.began:
                yield Mistake(
                    "order",
                    f"wallet {wallet}: {entry.name} was over before {latest.name}"
                    f" began, and is numbered {entry.sequence} after"
                    f" {latest.sequence}",
                )
            if latest is None or entry.began > latest.began:
                latest = entry


def _orders_by_wallet(case: Case) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = defaultdict(list)
    for order in case.history.orders.values():
        found[order.payer].append(order)
        found[order.payee].append(order)
    return found
