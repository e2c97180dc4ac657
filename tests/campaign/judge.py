"""Compares the gateway's own book of payouts with what we say became of withdrawals.

The book is believed, not our tables. Pure functions, so that tests can show that each
kind of mistake is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "paid twice",  # the book has more than one success for a withdrawal
    "not paid",  # we say that it is, and the book has no success
    "given back",  # the credits are back, and the book has a success
    "not told",  # the book has a success, and we do not say that it is paid
    "stranger",  # a payout that none of our withdrawals is about
    "redirected",  # another sum or another account than what was agreed
    "stuck",  # neither ended nor flagged
    "one witness",  # flagged without what both witnesses say
    "unseen",  # the gateway took its word back, and nobody is told
]
GIVEN_BACK = frozenset({"failed", "rejected", "cancelled"})
_ENDED = GIVEN_BACK | {"paid"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that must not be."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What we say of one, and what was agreed."""

    charge_id: str
    status: str
    flag: str
    # Whether staff have a case of it to settle.
    has_case: bool = False
    # Whole kwacha, and the full number.
    net: int
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """What the gateway's book says of one."""

    charge_id: str
    status: str
    # The results that it has had, the last one last.
    history: tuple[str, ...]
    amount: int
    number: str


def book_of(state: Mapping[str, Any]) -> list[Payout]:
    """Return the gateway's book, from everything that it keeps."""
    return [
        Payout(
            charge_id=row["charge_id"],
            status=row["status"],
            history=tuple(row["history"]),
            amount=int(row["amount"]),
            number=row["mobile"] or row["account_number"],
        )
        for row in state["payouts"]
    ]


def judge(
    withdrawals: Iterable[Withdrawal], book: Iterable[Payout], *, reported: str = ""
) -> list[Mistake]:
    """Return every mistake, once everybody has done what they can.

    Args:
        reported: what reconciling printed, for what the gateway took back unseen.
    """
    payouts = _by_charge_id(book)
    mistakes: list[Mistake] = []
    for withdrawal in withdrawals:
        booked = payouts.pop(withdrawal.charge_id, [])
        mistakes += _of_one(withdrawal, booked, reported)
    mistakes += [Mistake("stranger", charge_id) for charge_id in payouts]
    return mistakes


def still_open(withdrawals: Iterable[Withdrawal]) -> list[Mistake]:
    """Return what is neither paid, nor given back, nor before staff.

    Staff are to read what both witnesses say, the look-up and the list, or what the
    gateway says that contradicts the books, which is a case.
    """
    mistakes: list[Mistake] = []
    for withdrawal in withdrawals:
        if withdrawal.status in _ENDED:
            continue
        name = f"{withdrawal.charge_id} is {withdrawal.status}: {withdrawal.flag}"
        if not withdrawal.flag:
            mistakes.append(Mistake("stuck", name))
        elif not withdrawal.has_case and not _names_both_witnesses(withdrawal.flag):
            mistakes.append(Mistake("one witness", name))
    return mistakes


def is_contradicted(payout: Payout) -> bool:
    """Whether the gateway has said that it succeeded and that it failed."""
    return len(set(payout.history)) > 1


def _by_charge_id(book: Iterable[Payout]) -> dict[str, list[Payout]]:
    found: dict[str, list[Payout]] = defaultdict(list)
    for payout in book:
        found[payout.charge_id].append(payout)
    return found


def _of_one(
    withdrawal: Withdrawal, booked: list[Payout], reported: str
) -> Iterator[Mistake]:
    name = f"{withdrawal.charge_id} is {withdrawal.status}, booked: {booked}"
    successes = sum(payout.status == "success" for payout in booked)
    if successes > 1:
        yield Mistake("paid twice", name)
    for payout in booked:
        agreed = (withdrawal.net, withdrawal.number)
        if (payout.amount, payout.number) != agreed:
            yield Mistake("redirected", name)
    if (withdrawal.status == "paid") == (successes == 1):
        return
    if any(map(is_contradicted, booked)):
        # It was right once. Nothing may be undone by itself, and staff must be told.
        if not withdrawal.flag and withdrawal.charge_id not in reported:
            yield Mistake("unseen", name)
    elif withdrawal.status == "paid":
        yield Mistake("not paid", name)
    elif withdrawal.status in GIVEN_BACK:
        yield Mistake("given back", name)
    else:
        yield Mistake("not told", name)


def _names_both_witnesses(flag: str) -> bool:
    text = flag.lower()
    return "look" in text and ("list" in text or "balance" in text)
