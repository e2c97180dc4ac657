"""The ledger as one would write it without a database: dictionaries and a few ifs.

Whole cents instead of Decimal, lists instead of rows, and nothing that is not needed to
say what should happen. It knows none of the product's code.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

MAX_CENTS: Final = 10**14

# A leg is (wallet, cents, type).
Legs = tuple[tuple[str, int, str], ...]


class Refused(Exception):
    """What the ledger may answer instead, by the names of its exceptions."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.names = set(names)


@dataclass
class Wallet:
    """A holder's credits, in cents."""

    may_be_negative: bool = False
    balance: int = 0
    is_frozen: bool = False
    # (key of the transfer, cents, type, balance afterwards), in order.
    rows: list[tuple[str, int, str, int]] = field(default_factory=list)


@dataclass
class Hold:
    """Credits of a wallet that may not be spent."""

    wallet: str
    cents: int
    due: int | None
    is_open: bool = True


@dataclass
class Model:
    """The books."""

    wallets: dict[str, Wallet]
    transfers: dict[str, Legs] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)

    def held(self, name: str) -> int:
        """Return what the open holds of a wallet add up to."""
        return sum(
            hold.cents
            for hold in self.holds.values()
            if hold.is_open and hold.wallet == name
        )

    def available(self, name: str) -> int:
        """Return what may be spent."""
        return self.wallets[name].balance - self.held(name)

    def post_many(self, postings: Iterable[tuple[str, Legs]]) -> list[bool]:
        """Book all or none; return for each whether its key had been booked before."""
        wallets, transfers = deepcopy(self.wallets), dict(self.transfers)
        replays = []
        for key, legs in postings:
            replays.append(key in self.transfers)
            if key in transfers:
                if set(transfers[key]) != set(legs):
                    raise Refused("TransferKeyReused")
                continue
            refusals = {name for leg in legs if (name := self._refusal(wallets, leg))}
            if refusals:
                raise Refused(*refusals)
            for name, cents, kind in legs:
                wallet = wallets[name]
                wallet.balance += cents
                wallet.rows.append((key, cents, kind, wallet.balance))
            transfers[key] = legs
        self.wallets, self.transfers = wallets, transfers
        return replays

    def _refusal(self, wallets: dict[str, Wallet], leg: tuple[str, int, str]) -> str:
        name, cents, _ = leg
        wallet = wallets[name]
        after = wallet.balance + cents
        if cents < 0 and wallet.is_frozen:
            return "WalletFrozen"
        if cents < 0 and not wallet.may_be_negative and after < self.held(name):
            return "InsufficientCredits"
        if abs(after) >= MAX_CENTS:
            return "BalanceOutOfRange"
        return ""

    def reverse(self, key: str) -> bool:
        """Book the opposite of a transfer, once; return whether it was before."""
        legs = tuple((name, -cents, kind) for name, cents, kind in self.transfers[key])
        return self.post_many([(f"reversal:{key}", legs)])[0]

    def place(self, key: str, name: str, cents: int, due: int | None) -> None:
        """Hold credits back; again changes nothing."""
        if key in self.holds:
            if (self.holds[key].wallet, self.holds[key].cents) != (name, cents):
                raise Refused("HoldKeyReused")
        elif self.available(name) < cents:
            raise Refused("InsufficientCredits")
        else:
            self.holds[key] = Hold(wallet=name, cents=cents, due=due)

    def release(self, key: str) -> bool:
        """Release a hold; return whether it was open."""
        was_open = self.holds[key].is_open
        self.holds[key].is_open = False
        return was_open

    def release_due(self, now: int) -> int:
        """Release what is due; return how many."""
        due = [
            key
            for key, hold in self.holds.items()
            if hold.is_open and hold.due is not None and hold.due <= now
        ]
        return sum(self.release(key) for key in due)
