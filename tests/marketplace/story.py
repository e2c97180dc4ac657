"""A story: steps drawn by chance, taken by the product and by the model of it.

Each step draws from a generator of its own, seeded by the story's seed and the number
of the step. So a story can be told again without some of its steps, which is how one
that fails is made shorter.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeVar

from courses.services import ListRefused
from credits_project.exceptions import DomainError
from tests.marketplace.books import CENT, Refused
from tests.marketplace.gateway import StoryGateway
from tests.marketplace.model import Model, Terms

Item = TypeVar("Item")

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Skipped(Exception):
    """There is nothing yet that the rule could be about: another one is drawn."""


@dataclass(frozen=True)
class Rule:
    """One kind of step."""

    name: str
    take: Callable[[Story], None]
    weight: int
    # Whether it is in the nature of the rule to be refused now and then.
    is_refusable: bool


RULES: Final[dict[str, Rule]] = {}


def rule(
    *, weight: int, is_refusable: bool = True
) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
    """Make a function a rule, which is taken as often as its weight says."""

    def add(take: Callable[[Story], None]) -> Callable[[Story], None]:
        name = take.__name__
        RULES[name] = Rule(name, take, weight, is_refusable)
        return take

    return add


@dataclass
class House:
    """The product's names for what the model knows by names of its own."""

    users: dict[str, Any]
    wallets: dict[str, Any]
    packages: dict[str, Any]
    methods: dict[str, Any]
    courses: dict[str, Any] = field(default_factory=dict)
    commissions: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, Any] = field(default_factory=dict)
    transfers: dict[str, Any] = field(default_factory=dict)
    adjustments: dict[str, Any] = field(default_factory=dict)
    # Primary key and tx_ref.
    purchases: dict[str, tuple[Any, str]] = field(default_factory=dict)
    withdrawals: dict[str, Any] = field(default_factory=dict)
    payouts: dict[str, Any] = field(default_factory=dict)

    def user(self, name: str) -> Any:
        """Return the user as the database has them, permissions not yet looked up."""
        return self.users[name]


class Story:
    """Steps, and what they are compared by."""

    def __init__(self, seed: str, *, house: House, gateway: StoryGateway) -> None:
        self.seed = seed
        self.house = house
        self.gateway = gateway
        self.terms = terms_of(seed)
        self.model = Model(self.terms)
        self.draw = Random()  # noqa: S311 - chance, not a secret
        self.numbers = itertools.count(1)
        # What was done, in words, and how often each rule was accepted or refused.
        self.told: list[str] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self._rule = ""

    @property
    def now(self) -> datetime:
        """The marketplace's own time."""
        return self.at(self.model.clock.hours)

    def at(self, hours: int) -> datetime:
        """Return the moment of an hour of the model's clock."""
        return EPOCH + timedelta(hours=hours)

    def step(self, number: int) -> None:
        """Take a step; a rule that has nothing to be about gives way to another."""
        self.draw = Random(f"{self.seed}:{number}")  # noqa: S311
        rules = list(RULES.values())
        while True:
            (chosen,) = self.draw.choices(rules, [one.weight for one in rules])
            self._rule = chosen.name
            try:
                chosen.take(self)
            except Skipped:
                continue
            finally:
                self.gateway.fault = ""
            return

    def both(
        self,
        doing: str,
        of_model: Callable[[], Any],
        of_product: Callable[[], Any],
        compare: Callable[[Any, Any], None] | None = None,
    ) -> bool:
        """Do it in both: refused for the same reason, or done with the same result."""
        expected = refusal = found = error = None
        self.told.append(f"{self._rule}: {doing}")
        try:
            expected = of_model()
        except Refused as raised:
            refusal = raised
        try:
            found = of_product()
        except (DomainError, ListRefused) as raised:
            error = raised
        self.counts[self._rule, refusal.slug if refusal else ""] += 1
        self.told[-1] += f" → {refusal.slug if refusal else 'done'}"
        if refusal is None:
            if error is not None:
                raise AssertionError(f"refused by the product alone: {error!r}")
            if compare is not None:
                compare(expected, found)
            return True
        assert error is not None, f"only the model refuses: {refusal.slug}"
        slug = error.code if isinstance(error, DomainError) else "list-refused"
        assert slug == refusal.slug, f"{error!r} instead of {refusal.slug}"
        extra = getattr(error, "extra", {})
        assert refusal.facts.items() <= extra.items(), f"{extra} without {refusal}"
        return False

    # Chance

    def name(self, kind: str) -> str:
        """Return a new name."""
        return f"{kind} {next(self.numbers)}"

    def pick(self, items: Collection[Item]) -> Item:
        """Return one of the items; mostly one of the newest, where there are many."""
        known = list(items)
        if not known:
            raise Skipped
        if len(known) > 12 and self.chance(70):
            known = known[-12:]
        return self.draw.choice(known)

    def chance(self, percent: int) -> bool:
        """Return True so often."""
        return self.draw.randrange(100) < percent

    def cents(self, least: int, most: int) -> Decimal:
        """Return an amount between so many cents."""
        return Decimal(self.draw.randint(least, most)).scaleb(-2)

    def about(self, there: Decimal) -> Decimal:
        """Return all of it, a cent more or less, or a part; never below zero."""
        if self.chance(50):
            part = self.draw.randint(1, max(1, int(there * 100)))
            return Decimal(part).scaleb(-2)
        return max(CENT, there + self.draw.choice([-CENT, CENT, Decimal(0)]))

    def reason(self) -> str:
        """Return a reason, which is forgotten now and then."""
        return "" if self.chance(6) else "for the story"


def terms_of(seed: str) -> Terms:
    """Return the settings of a story."""
    return Terms.drawn(Random(f"{seed}:terms"))  # noqa: S311 - chance, not a secret
