"""The whole marketplace in plain Python; see `books` for what that means."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Final, Self

from tests.marketplace.books import Books, Clock
from tests.marketplace.payouts import Payouts, Policy
from tests.marketplace.purchases import Package, Purchases
from tests.marketplace.sales import Sales

# One of them is both: what nobody may do to themselves has to be refused.
LEARNERS: Final = ("learner", "reader", "sponsor", "newcomer")
COACHES: Final = ("coach", "tutor", "coach-in-finance")
FINANCE: Final = ("finance", "cashier", "coach-in-finance")
SUPPORT: Final = ("support",)
MEMBERS: Final = (*LEARNERS, *COACHES)
STAFF: Final = ("finance", "cashier", "support")
PEOPLE: Final = (*MEMBERS, *STAFF)

RATES: Final = ("0", "0.05", "0.1", "0.15", "0.1234", "0.3333", "0.5", "1")


@dataclass(frozen=True)
class Terms:
    """Under which settings a story happens."""

    window_days: int
    commission: Decimal
    four_eyes_above: Decimal
    payouts: Policy

    @classmethod
    def drawn(cls, draw: Random) -> Self:
        """Return terms by chance; each limit is off in some stories."""

        def one_of(*amounts: str) -> Decimal:
            return Decimal(draw.choice(amounts))

        return cls(
            window_days=draw.choice([0, 3, 3, 14]),
            commission=one_of("0", "0.1", "0.175", "0.3333"),
            four_eyes_above=one_of("0", "100", "1000"),
            payouts=Policy(
                minimum=one_of("0", "2", "5"),
                maximum=one_of("0", "60", "150"),
                daily_cap=one_of("0", "0", "300"),
                weekly_cap=one_of("0", "0", "250"),
                system_daily_cap=one_of("0", "0", "600"),
                daily_count=draw.choice([0, 0, 25]),
                fee_rate=one_of("0", "0.02", "0.035"),
                fee_flat=one_of("0", "15", "20.50"),
                auto_below=one_of("0", "4"),
                two_above=one_of("0", "20", "40"),
                settles_at_once=draw.choice([True, True, True, False]),
                resolves_itself=draw.choice([True, False, False, False]),
            ),
        )

    def settings(self) -> dict[str, Any]:
        """Return the product's settings that say the same."""
        policy = self.payouts
        return {
            "REFUND_WINDOW_DAYS": self.window_days,
            "COMMISSION_RATE": self.commission,
            "ADJUSTMENT_FOUR_EYES_ABOVE": self.four_eyes_above,
            "WITHDRAWAL_MINIMUM": policy.minimum,
            "WITHDRAWAL_MAXIMUM": policy.maximum,
            "WITHDRAWAL_DAILY_CAP": policy.daily_cap,
            "WITHDRAWAL_WEEKLY_CAP": policy.weekly_cap,
            "WITHDRAWAL_SYSTEM_DAILY_CAP": policy.system_daily_cap,
            "WITHDRAWAL_SYSTEM_WEEKLY_CAP": Decimal(0),
            "WITHDRAWAL_DAILY_COUNT": policy.daily_count,
            "WITHDRAWAL_FEE_RATE": policy.fee_rate,
            "WITHDRAWAL_FEE_FLAT": policy.fee_flat,
            "WITHDRAWAL_AUTO_APPROVE_BELOW": policy.auto_below,
            "WITHDRAWAL_TWO_APPROVERS_ABOVE": policy.two_above,
            "PAYOUT_COOLING_OFF_HOURS": 0,
            "PAYOUT_SETTLING_MINUTES": 0 if policy.settles_at_once else 60,
            "PAYOUT_AUTO_RESOLVE": policy.resolves_itself,
        }


PACKAGES: Final = (
    ("small", "20.00", "0.00", "500.00", "MWK"),
    ("large", "133.33", "17.77", "3001.00", "MWK"),
    ("abroad", "49.99", "5.01", "9.99", "USD"),
)


class Model:
    """All parts on one ledger."""

    def __init__(self, terms: Terms) -> None:
        finance, coaches = frozenset(FINANCE), frozenset(COACHES)
        self.clock = Clock()
        self.books = Books(
            people=PEOPLE,
            finance=finance,
            four_eyes_above=terms.four_eyes_above,
            clock=self.clock,
        )
        self.sales = Sales(
            books=self.books,
            coaches=coaches,
            finance=finance,
            refunders=frozenset((*FINANCE, *SUPPORT)),
            window_days=terms.window_days,
            rate=terms.commission,
        )
        self.purchases = Purchases(
            books=self.books,
            packages=[
                Package(
                    name, Decimal(credits), Decimal(bonus), Decimal(price), currency
                )
                for name, credits, bonus, price, currency in PACKAGES
            ],
        )
        self.payouts = Payouts(
            books=self.books, policy=terms.payouts, coaches=coaches, finance=finance
        )
