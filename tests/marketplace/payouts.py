"""Withdrawals, payouts and late truths, as the model has them; see `books`."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.marketplace.books import ZERO, Books, Refused, down, half_even

_GIVEN_BACK = ("failed", "rejected", "cancelled")


@dataclass(frozen=True)
class Policy:
    """What the settings say of withdrawals; 0 is off."""

    minimum: Decimal
    maximum: Decimal
    daily_cap: Decimal
    weekly_cap: Decimal
    system_daily_cap: Decimal
    daily_count: int
    fee_rate: Decimal
    fee_flat: Decimal
    auto_below: Decimal
    two_above: Decimal
    # A payout that the gateway does not know: settled at once or after long.
    settles_at_once: bool
    resolves_itself: bool


@dataclass
class LateTruth:
    """A contradiction between the gateway and the books."""

    kind: str
    about: object
    resolution: str = ""
    has_transfer: bool = False


@dataclass
class Withdrawal:
    """A coach's request to be paid, and its payout."""

    name: str
    coach: str
    credits: Decimal
    gross: Decimal
    fee: Decimal
    net: Decimal
    approvals: int
    status: str = "requested"
    approved_by: list[str] = field(default_factory=list)
    # Blank: there is none.
    payout: str = ""
    # What the gateway says of it, and which sum; blank: it does not know it.
    word: str = ""
    paid: Decimal = ZERO
    cases: list[LateTruth] = field(default_factory=list)
    # Settled by staff, the last one last.
    settled: list[LateTruth] = field(default_factory=list)


@dataclass
class Payouts:
    """Money out."""

    books: Books
    policy: Policy
    coaches: frozenset[str]
    finance: frozenset[str]
    rate: Decimal | None = None
    is_frozen: bool = False
    requests: list[Withdrawal] = field(default_factory=list)
    keys: dict[tuple[str, str], tuple[Withdrawal, tuple[Decimal, str]]] = field(
        default_factory=dict
    )

    def set_rate(self, rate: Decimal, actor: str) -> None:
        """Let a credit pay out so much from now on."""
        if actor not in self.finance:
            raise Refused("permission-denied")
        self.rate = rate

    # Requesting

    def request(
        self, name: str, coach: str, credits: Decimal, method: str, key: str
    ) -> tuple[Withdrawal, bool]:
        """Ask for a payout; return the withdrawal and whether it was there before."""
        if coach not in self.coaches:
            raise Refused("permission-denied")
        if credits <= 0:
            raise Refused("invalid-request")
        asked = (credits, method)
        if key and (coach, key) in self.keys:
            known, before = self.keys[coach, key]
            if before != asked:
                raise Refused("idempotency-key-reused")
            return known, True
        if not method.startswith(f"{coach}:"):
            raise Refused("not-found")
        gross, fee, net = self.terms(credits)
        self._check(coach, credits)
        withdrawal = Withdrawal(
            name=name,
            coach=coach,
            credits=credits,
            gross=gross,
            fee=fee,
            net=net,
            approvals=self._approvals(credits),
        )
        self.books.post(
            f"withdrawal:{name}:request",
            (coach, -credits, "withdrawal"),
            ("withdrawals", credits, "withdrawal"),
        )
        self.books.wallets[coach].earned -= credits
        if not withdrawal.approvals:
            withdrawal.status, withdrawal.payout = "approved", "ready"
        self.requests.append(withdrawal)
        if key:
            self.keys[coach, key] = (withdrawal, asked)
        return withdrawal, False

    def terms(self, credits: Decimal) -> tuple[Decimal, Decimal, Decimal]:
        """Return gross, fee and net of a withdrawal; the net is whole kwacha."""
        if self.rate is None:
            raise Refused("payout-rate-missing")
        gross = down(Fraction(credits) * Fraction(self.rate))
        by_rate = half_even(Fraction(gross) * Fraction(self.policy.fee_rate))
        left = gross - by_rate - self.policy.fee_flat
        net = down(Fraction(max(left, ZERO)), Decimal(1))
        if net < 1:
            raise Refused("withdrawal-limit", limit="minimum")
        return gross, gross - net, net

    def _approvals(self, credits: Decimal) -> int:
        if credits < self.policy.auto_below:
            return 0
        return 2 if self.policy.two_above and credits > self.policy.two_above else 1

    def _check(self, coach: str, credits: Decimal) -> None:
        books, policy = self.books, self.policy
        wallet = books.wallets[coach]
        if wallet.is_frozen:
            raise Refused("wallet-frozen")
        if credits < policy.minimum:
            raise Refused("withdrawal-limit", limit="minimum")
        own = [one for one in self.requests if one.coach == coach]
        if policy.daily_count and len(own) >= policy.daily_count:
            raise Refused("withdrawal-limit", limit="daily_count")
        # Hours of the marketplace's clock do not count here: all is within a day.
        by_coach, by_all = self._counted(own), self._counted(self.requests)
        for limit, cap, used in (
            ("maximum", policy.maximum, ZERO),
            ("daily", policy.daily_cap, by_coach),
            ("weekly", policy.weekly_cap, by_coach),
            ("system_daily", policy.system_daily_cap, by_all),
        ):
            if cap and credits > cap - used:
                raise Refused("withdrawal-limit", limit=limit)
        if credits > books.available(coach):
            raise Refused("insufficient-credits")
        if credits > wallet.earned:
            raise Refused("not-withdrawable")

    def _counted(self, requests: list[Withdrawal]) -> Decimal:
        taken = (one.credits for one in requests if one.status not in _GIVEN_BACK)
        return sum(taken, ZERO)

    # Deciding

    def approve(self, withdrawal: Withdrawal, actor: str) -> None:
        """Approve, as the first or the second."""
        self._check_decider(withdrawal, actor)
        if withdrawal.status != "requested":
            raise Refused("invalid-transition")
        if actor in withdrawal.approved_by:
            raise Refused("permission-denied")
        withdrawal.approved_by.append(actor)
        if len(withdrawal.approved_by) >= withdrawal.approvals:
            withdrawal.status, withdrawal.payout = "approved", "ready"

    def reject(self, withdrawal: Withdrawal, actor: str, reason: str) -> None:
        """Reject, and give the credits back."""
        if not reason:
            raise Refused("invalid-request")
        self._check_decider(withdrawal, actor)
        if withdrawal.status != "requested":
            raise Refused("invalid-transition")
        self._give_back(withdrawal, "rejected")

    def cancel(self, withdrawal: Withdrawal, actor: str) -> None:
        """Cancel, as its coach or as staff."""
        is_staff = actor in self.finance
        if actor != withdrawal.coach and not is_staff:
            raise Refused("permission-denied")
        open_states = {"requested", "approved"} if is_staff else {"requested"}
        if withdrawal.status not in open_states:
            raise Refused("invalid-transition")
        withdrawal.payout = "dropped" if withdrawal.payout else ""
        self._give_back(withdrawal, "cancelled")

    def batch(self, chosen: list[Withdrawal], actor: str) -> dict[str, str]:
        """Approve what is requested, hurry what is ready; blank where it cannot be."""
        told = {}
        for withdrawal in chosen:
            try:
                if withdrawal.status == "requested":
                    self.approve(withdrawal, actor)
                else:
                    self._check_decider(withdrawal, actor)
                    if withdrawal.payout != "ready":
                        raise Refused("invalid-transition")
                told[withdrawal.name] = withdrawal.status
            except Refused:
                told[withdrawal.name] = ""
        return told

    def freeze(self, actor: str, reason: str, *, freeze: bool) -> None:
        """Turn the one switch."""
        if not reason:
            raise Refused("invalid-request")
        if actor not in self.finance:
            raise Refused("permission-denied")
        self.is_frozen = freeze

    def _check_decider(self, withdrawal: Withdrawal, actor: str) -> None:
        if actor not in self.finance or actor == withdrawal.coach:
            raise Refused("permission-denied")

    def _give_back(self, withdrawal: Withdrawal, status: str) -> None:
        withdrawal.status = status
        self.books.post(
            f"withdrawal:{withdrawal.name}:reversal",
            ("withdrawals", -withdrawal.credits, "withdrawal_reversal"),
            (withdrawal.coach, withdrawal.credits, "withdrawal_reversal"),
        )
        self.books.wallets[withdrawal.coach].earned += withdrawal.credits

    # At the gateway

    def send(self, withdrawal: Withdrawal, fault: str) -> bool:
        """Send; return whether the gateway was called.

        `fault`: it is `down` or `poor` beforehand, or then refuses, is `busy`, breaks
        off and has (`lost`) or has not (`void`) heard of it.
        """
        if self.is_frozen or withdrawal.payout != "ready" or fault in {"down", "poor"}:
            return False
        withdrawal.status, withdrawal.payout = "sending", "sent"
        if fault == "refuse":
            self._fail(withdrawal)
        elif fault == "busy":
            withdrawal.payout = "ready"
        elif fault != "void":
            withdrawal.word, withdrawal.paid = "pending", withdrawal.net
        return True

    def _fail(self, withdrawal: Withdrawal) -> None:
        withdrawal.payout = "failed"
        self._give_back(withdrawal, "failed")

    def _pay(self, withdrawal: Withdrawal) -> None:
        withdrawal.payout = withdrawal.status = "paid"
        self.books.post(
            f"withdrawal:{withdrawal.name}:paid",
            ("withdrawals", -withdrawal.credits, "payout"),
            ("paid_out", withdrawal.credits, "payout"),
        )

    def look_up(
        self, withdrawal: Withdrawal, *, any_state: bool, is_down: bool
    ) -> str | None:
        """Ask what became of it; return what the gateway says, if it was asked."""
        if is_down or not (any_state or withdrawal.payout == "sent"):
            return None
        if withdrawal.payout != "sent":
            self._compare(withdrawal)
        elif withdrawal.word == "success" and withdrawal.paid != withdrawal.net:
            self._open(withdrawal, "other_amount", withdrawal.paid)
        elif withdrawal.word == "success":
            self._take_back(withdrawal)
            self._pay(withdrawal)
        elif withdrawal.word == "failed":
            self._take_back(withdrawal)
            self._fail(withdrawal)
        elif not withdrawal.word and self._resolves_itself():
            self._fail(withdrawal)
        return withdrawal.word

    def _resolves_itself(self) -> bool:
        return self.policy.settles_at_once and self.policy.resolves_itself

    def confirm_not_sent(
        self, withdrawal: Withdrawal, actor: str, *, is_down: bool
    ) -> None:
        """Give the credits back for what the gateway does not know."""
        self._check_decider(withdrawal, actor)
        if withdrawal.payout != "sent":
            raise Refused("payout-not-settled")
        if is_down:
            raise Refused("gateway-unavailable")
        if withdrawal.word or not self.policy.settles_at_once:
            self.look_up(withdrawal, any_state=False, is_down=False)
            raise Refused("payout-not-settled")
        self._fail(withdrawal)

    # Late truths

    def _compare(self, withdrawal: Withdrawal) -> None:
        word, settled = withdrawal.word, withdrawal.settled
        if not word or withdrawal.payout in {"ready", "dropped"}:
            return
        is_paid = self._is_paid(withdrawal)
        differs = word == "success" and withdrawal.paid != withdrawal.net
        if differs and settled and settled[-1].about == withdrawal.paid:
            return
        if is_paid and word != "success":
            self._open(withdrawal, "failed_after_paid", ("was paid", word))
        elif is_paid and differs:
            self._open(withdrawal, "other_amount", withdrawal.paid)
        elif not is_paid and word != "failed":
            self._open(withdrawal, "paid_after_return", ("was returned", word))
        else:
            self._take_back(withdrawal)

    def _is_paid(self, withdrawal: Withdrawal) -> bool:
        """Whether the books have the coach paid, what staff settled included."""
        for case in reversed(withdrawal.settled):
            if case.has_transfer:
                return case.resolution != "given_back"
        return withdrawal.payout == "paid"

    def _open(self, withdrawal: Withdrawal, kind: str, about: object) -> None:
        is_open = any(c.kind == kind and not c.resolution for c in withdrawal.cases)
        settled = withdrawal.settled
        if not is_open and not (settled and settled[-1].about == about):
            withdrawal.cases.append(LateTruth(kind=kind, about=about))

    def _take_back(self, withdrawal: Withdrawal) -> None:
        for case in withdrawal.cases:
            case.resolution = case.resolution or "noted"

    def settle_case(
        self,
        withdrawal: Withdrawal,
        case: LateTruth,
        actor: str,
        resolution: str,
        reason: str,
    ) -> None:
        """Settle a late truth, and book what follows."""
        if not reason:
            raise Refused("invalid-request")
        self._check_decider(withdrawal, actor)
        if case.resolution or resolution not in self._choices(withdrawal, case):
            raise Refused("invalid-transition")
        if withdrawal.payout == "sent":
            end = self._pay if resolution == "paid" else self._fail
            end(withdrawal)
        else:
            case.has_transfer = self._correct(withdrawal, case, resolution)
        case.resolution = resolution
        withdrawal.settled.append(case)

    def _choices(self, withdrawal: Withdrawal, case: LateTruth) -> set[str]:
        if withdrawal.payout == "sent":
            return {"paid", "given_back"}
        # What another case has had booked meanwhile is not booked again.
        if case.kind == "paid_after_return":
            is_paid = self._is_paid(withdrawal)
            return {"noted"} if is_paid else {"paid", "written_off", "noted"}
        return {"given_back", "noted"} if self._is_paid(withdrawal) else {"noted"}

    def _correct(
        self, withdrawal: Withdrawal, case: LateTruth, resolution: str
    ) -> bool:
        coach, credits = withdrawal.coach, withdrawal.credits
        key = f"withdrawal:{withdrawal.name}:case:{withdrawal.cases.index(case)}"
        if resolution == "given_back":
            kind = "withdrawal_reversal"
            self.books.post(key, ("paid_out", -credits, kind), (coach, credits, kind))
            self.books.wallets[coach].earned += credits
        elif resolution == "paid":
            self.books.post(
                key, (coach, -credits, "withdrawal"), ("paid_out", credits, "payout")
            )
            self.books.wallets[coach].earned -= credits
        elif resolution == "written_off":
            self.books.post(
                key,
                ("adjustments", -credits, "adjustment"),
                ("paid_out", credits, "payout"),
            )
        return resolution != "noted"
