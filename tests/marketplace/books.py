"""Wallets, holds and what is booked between them, as one would keep them by hand.

The model of the marketplace is in four parts: these books, `sales`, `purchases` and
`payouts`. It is dictionaries, Decimals and ifs, and knows none of the product's code:
rounding is done with fractions, so that not even the arithmetic is the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

ZERO: Final = Decimal("0.00")
CENT: Final = Decimal("0.01")

# A leg is (wallet, credits, type). A system wallet stands for its whole family.
Leg = tuple[str, Decimal, str]

SYSTEM: Final = (
    "issued",
    "promotions",
    "adjustments",
    "opening",
    "withdrawals",
    "paid_out",
    "revenue",
)
MAY_OWE: Final = ("issued", "promotions", "adjustments", "opening")


class Refused(Exception):
    """What the product has to refuse, by the slug of the problem and its facts."""

    def __init__(self, slug: str, **facts: Any) -> None:
        super().__init__(slug)
        self.slug = slug
        self.facts = facts


def half_even(exact: Fraction, unit: Decimal = CENT) -> Decimal:
    """Round to the nearest unit, and halves to the even one."""
    return Decimal(round(exact / Fraction(unit))) * unit


def down(exact: Fraction, unit: Decimal = CENT) -> Decimal:
    """Round down to the unit."""
    return Decimal(exact // Fraction(unit)) * unit


@dataclass
class Clock:
    """The marketplace's own time, in hours; it stands still until a rule moves it."""

    hours: int = 0


@dataclass
class Wallet:
    """A person's credits, or those of a family of system wallets."""

    may_owe: bool
    balance: Decimal = ZERO
    is_frozen: bool = False
    rows: int = 0
    # What a coach earned by teaching and has not withdrawn.
    earned: Decimal = ZERO


@dataclass
class Hold:
    """Credits that may not be spent until `due`, an hour, or until released."""

    owner: str
    amount: Decimal
    due: int | None = None
    is_open: bool = True


@dataclass
class Adjustment:
    """What staff want to give or take by hand."""

    name: str
    person: str
    amount: Decimal
    kind: str
    requested_by: str
    needs_second: bool
    status: str = "requested"


@dataclass
class Books:
    """The ledger."""

    people: tuple[str, ...]
    # Who may adjust wallets.
    finance: frozenset[str]
    four_eyes_above: Decimal
    clock: Clock
    wallets: dict[str, Wallet] = field(init=False)
    transfers: dict[str, tuple[Leg, ...]] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    adjustments: list[Adjustment] = field(default_factory=list)
    # What was booked of each type on each wallet.
    flows: dict[tuple[str, str], Decimal] = field(
        default_factory=lambda: defaultdict(lambda: ZERO)
    )

    def __post_init__(self) -> None:
        self.wallets = {name: Wallet(may_owe=False) for name in self.people}
        self.wallets |= {name: Wallet(may_owe=name in MAY_OWE) for name in SYSTEM}

    def held(self, name: str) -> Decimal:
        """Return what the open holds of a person add up to."""
        mine = (h for h in self.holds.values() if h.is_open and h.owner == name)
        return sum((hold.amount for hold in mine), ZERO)

    def available(self, name: str) -> Decimal:
        """Return what may be spent."""
        return self.wallets[name].balance - self.held(name)

    def withdrawable(self, name: str) -> Decimal:
        """Return what could be withdrawn, limits aside."""
        wallet = self.wallets[name]
        if wallet.is_frozen:
            return ZERO
        return max(ZERO, min(self.available(name), wallet.earned))

    def post(self, key: str, *legs: Leg) -> bool:
        """Book a transfer or nothing; return whether it had been booked before."""
        legs = tuple(leg for leg in legs if leg[1])
        if key in self.transfers:
            if set(self.transfers[key]) != set(legs):
                raise Refused("idempotency-key-reused")
            return True
        for name, amount, _ in legs:
            wallet = self.wallets[name]
            if amount >= 0:
                continue
            if wallet.is_frozen:
                raise Refused("wallet-frozen")
            if not wallet.may_owe and wallet.balance + amount < self.held(name):
                raise Refused("insufficient-credits")
        for name, amount, kind in legs:
            wallet = self.wallets[name]
            wallet.balance += amount
            wallet.rows += 1
            self.flows[name, kind] += amount
        self.transfers[key] = legs
        return False

    def transfer(self, key: str, payer: str, payee: str, amount: Decimal) -> bool:
        """Move credits from one person to another."""
        if amount <= 0:
            raise Refused("invalid-request")
        if payer == payee:
            raise Refused("own-wallet")
        return self.post(key, (payer, -amount, "transfer"), (payee, amount, "transfer"))

    def grant(self, key: str, person: str, amount: Decimal, kind: str) -> bool:
        """Give a bonus, or adjust up or down."""
        if not amount or (kind == "bonus" and amount < 0):
            raise Refused("invalid-request")
        source = "promotions" if kind == "bonus" else "adjustments"
        return self.post(key, (person, amount, kind), (source, -amount, kind))

    def reverse(self, key: str) -> bool:
        """Book the opposite of a transfer, once."""
        legs = [(name, -amount, kind) for name, amount, kind in self.transfers[key]]
        return self.post(f"reversal:{key}", *legs)

    def place_hold(
        self, key: str, owner: str, amount: Decimal, due: int | None = None
    ) -> None:
        """Hold credits back, once under a key."""
        if amount <= 0:
            raise Refused("invalid-request")
        known = self.holds.get(key)
        if known is not None:
            if (known.owner, known.amount) != (owner, amount):
                raise Refused("idempotency-key-reused")
            return
        if self.available(owner) < amount:
            raise Refused("insufficient-credits")
        self.holds[key] = Hold(owner=owner, amount=amount, due=due)

    def release_hold(self, key: str) -> bool:
        """Release a hold; return whether it was open."""
        hold = self.holds[key]
        was_open, hold.is_open = hold.is_open, False
        return was_open

    def release_due(self) -> int:
        """Release what is due by now; return how many holds that were."""
        now = self.clock.hours
        return sum(
            self.release_hold(key)
            for key, hold in self.holds.items()
            if hold.is_open and hold.due is not None and hold.due <= now
        )

    def freeze(self, name: str, *, freeze: bool, reason: str) -> None:
        """Freeze or unfreeze a wallet."""
        if not reason:
            raise Refused("invalid-request")
        self.wallets[name].is_frozen = freeze

    def request_adjustment(
        self, name: str, person: str, amount: Decimal, kind: str, actor: str
    ) -> Adjustment:
        """Give or take by hand; above the limit a second person has to agree."""
        self._check_adjuster(actor, person)
        if not amount or (kind == "bonus" and amount < 0):
            raise Refused("invalid-request")
        alone = sum(
            abs(earlier.amount)
            for earlier in self.adjustments
            if earlier.requested_by == actor
            and earlier.status == "booked"
            and not earlier.needs_second
        )
        limit = self.four_eyes_above
        adjustment = Adjustment(
            name=name,
            person=person,
            amount=amount,
            kind=kind,
            requested_by=actor,
            needs_second=bool(limit) and abs(amount) + alone > limit,
        )
        if not adjustment.needs_second:
            self._book(adjustment)
        self.adjustments.append(adjustment)
        return adjustment

    def approve_adjustment(self, adjustment: Adjustment, actor: str) -> None:
        """Agree to what another asked for."""
        self._check_adjuster(actor, adjustment.person)
        if adjustment.requested_by == actor:
            raise Refused("permission-denied")
        self._book(adjustment)

    def reject_adjustment(
        self, adjustment: Adjustment, actor: str, reason: str
    ) -> None:
        """Turn down what somebody asked for."""
        if not reason:
            raise Refused("invalid-request")
        self._check_adjuster(actor, adjustment.person)
        if adjustment.status != "requested":
            raise Refused("invalid-transition")
        adjustment.status = "rejected"

    def _check_adjuster(self, actor: str, person: str) -> None:
        if actor not in self.finance or actor == person:
            raise Refused("permission-denied")

    def _book(self, adjustment: Adjustment) -> None:
        if adjustment.status != "requested":
            raise Refused("invalid-transition")
        self.grant(
            adjustment.name, adjustment.person, adjustment.amount, adjustment.kind
        )
        adjustment.status = "booked"
