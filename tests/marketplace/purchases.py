"""Purchases, what the gateway says of them, and cases, in the model; see `books`."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.marketplace.books import CENT, ZERO, Books, Refused, down, half_even

_CREDITABLE = ("short", "excess")
_REFUNDABLE = ("short", "excess", "currency", "late", "contradicted")


@dataclass
class Package:
    """What can be bought."""

    name: str
    credits: Decimal
    bonus: Decimal
    price: Decimal
    currency: str
    on_sale: bool = True


@dataclass(frozen=True)
class Word:
    """What the gateway says of a payment."""

    status: str
    amount: Decimal
    currency: str


@dataclass
class Case:
    """Something about a payment that staff have to decide."""

    kind: str
    # The same thing about the same purchase is one case.
    about: object
    amount: Decimal
    currency: str
    status: str = "open"


@dataclass
class Refund:
    """Credits that were taken back, and the money for them."""

    credits: Decimal
    bonus: Decimal
    money: Decimal
    currency: str
    status: str


@dataclass
class Purchase:
    """An order."""

    name: str
    buyer: str
    package: Package
    credits: Decimal
    bonus: Decimal
    price: Decimal
    currency: str
    status: str = "created"
    # None: the gateway has never heard of it.
    word: Word | None = None
    is_credited: bool = False
    # The money that came in, as far as it was in the currency of the order.
    paid: Decimal = ZERO
    # Credits, bonus and money that were given for, and that were taken back.
    given: tuple[Decimal, Decimal, Decimal] = (ZERO, ZERO, ZERO)
    taken: tuple[Decimal, Decimal, Decimal] = (ZERO, ZERO, ZERO)
    cases: list[Case] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether the poller asks about it."""
        return self.status in {"created", "pending"}


@dataclass
class Purchases:
    """Money in."""

    books: Books
    packages: list[Package]
    orders: list[Purchase] = field(default_factory=list)
    keys: dict[tuple[str, str], Purchase] = field(default_factory=dict)

    def start(
        self, name: str, buyer: str, package: Package, key: str, fault: str
    ) -> tuple[Purchase, bool]:
        """Order; return the purchase and whether it was there before.

        `fault`: the gateway gives no page, and has (`lost`) or has not heard of it.
        """
        known = self.keys.get((buyer, key)) if key else None
        if known is not None:
            if known.package is not package:
                raise Refused("idempotency-key-reused")
            return known, True
        if not package.on_sale:
            raise Refused("not-found")
        purchase = Purchase(
            name=name,
            buyer=buyer,
            package=package,
            credits=package.credits,
            bonus=package.bonus,
            price=package.price,
            currency=package.currency,
        )
        self.orders.append(purchase)
        if fault in {"", "lost"}:
            purchase.word = Word("pending", purchase.price, purchase.currency)
        if fault:
            raise Refused("gateway-unavailable")
        purchase.status = "pending"
        if key:
            self.keys[buyer, key] = purchase
        return purchase, False

    def settle(self, purchase: Purchase, *, is_over: bool, is_down: bool) -> None:
        """Ask the gateway and do what it says; `is_over`: it was asked for a week."""
        if is_down:
            raise Refused("gateway-unavailable")
        word = purchase.word
        if purchase.is_credited:
            self._look_for_contradiction(purchase)
        elif purchase.status == "refunded":
            return
        elif word is not None and word.status == "success":
            if word.currency != purchase.currency:
                self._review(purchase, "currency", word)
            elif word.amount < purchase.price:
                self._review(purchase, "short", word)
            else:
                self._credit(purchase, word)
        elif purchase.is_open and is_over:
            purchase.status = "expired"

    def poll(self, *, is_over: bool) -> int:
        """Ask about all that is open; return how many that were."""
        asked = [purchase for purchase in self.orders if purchase.is_open]
        for purchase in asked:
            self.settle(purchase, is_over=is_over, is_down=False)
        return len(asked)

    def _look_for_contradiction(self, purchase: Purchase) -> None:
        word = purchase.word
        if purchase.status != "paid" or word is None:
            return
        if word.status != "success":
            self._contradicted(purchase, word.status)
        elif word.currency != purchase.currency or word.amount < purchase.given[2]:
            self._contradicted(purchase, word)

    def _contradicted(self, purchase: Purchase, about: object) -> None:
        # It is about the money that had come in.
        was = Word("", purchase.paid, purchase.currency)
        self._case(purchase, "contradicted", about, was)

    def _case(
        self, purchase: Purchase, kind: str, about: object, word: Word
    ) -> tuple[Case, bool]:
        for case in purchase.cases:
            if (case.kind, case.about) == (kind, about):
                return case, False
        case = Case(kind=kind, about=about, amount=word.amount, currency=word.currency)
        purchase.cases.append(case)
        return case, True

    def _review(self, purchase: Purchase, kind: str, word: Word) -> None:
        case, is_new = self._case(purchase, kind, word, word)
        if case.status != "open":
            return
        if is_new:
            self._end(purchase, "superseded", apart_from=case)
        purchase.status = "review"
        if word.currency == purchase.currency:
            purchase.paid = word.amount

    def _end(
        self, purchase: Purchase, status: str, apart_from: Case | None = None
    ) -> None:
        for case in purchase.cases:
            if case.status == "open" and case is not apart_from:
                case.status = status

    def _credit(self, purchase: Purchase, word: Word) -> None:
        was_expired = purchase.status == "expired"
        ordered = (purchase.credits, purchase.bonus, purchase.price)
        self._give(purchase, f"purchase:{purchase.name}", *ordered)
        purchase.status, purchase.is_credited = "paid", True
        purchase.paid = word.amount
        self._end(purchase, "settled")
        if was_expired:
            self._case(purchase, "late", "", word)
        if word.amount > purchase.price:
            excess = Word("", word.amount - purchase.price, word.currency)
            self._case(purchase, "excess", excess, excess)

    def _give(
        self,
        purchase: Purchase,
        key: str,
        credits: Decimal,
        bonus: Decimal,
        money: Decimal,
    ) -> None:
        self.books.post(
            key,
            (purchase.buyer, credits + bonus, "purchase"),
            ("issued", -credits, "purchase"),
            ("promotions", -bonus, "purchase"),
        )
        given = purchase.given
        purchase.given = (given[0] + credits, given[1] + bonus, given[2] + money)

    # What staff do

    def refund(
        self,
        purchase: Purchase,
        *,
        reason: str,
        credits: Decimal | None,
        number: int | None,
        is_due: bool = True,
    ) -> Refund:
        """Take credits back, and the bonus and money that belong to them."""
        if not reason:
            raise Refused("invalid-request")
        if not purchase.is_credited:
            raise Refused("not-refundable")
        left = purchase.given[0] - purchase.taken[0]
        if not left or number not in {None, len(purchase.refunds) + 1}:
            raise Refused("not-refundable")
        if credits is not None and credits <= 0:
            raise Refused("invalid-request")
        if credits is not None and credits > left:
            raise Refused("not-refundable")
        total = purchase.taken[0] + (left if credits is None else credits)
        bonus, money = self._share(purchase, total)
        refund = Refund(
            credits=total - purchase.taken[0],
            bonus=bonus - purchase.taken[1],
            money=money - purchase.taken[2],
            currency=purchase.currency,
            status="due",
        )
        if not (is_due and refund.money):
            refund.status = "not-due"
        self.books.post(
            f"purchase:{purchase.name}:refund:{len(purchase.refunds) + 1}",
            (purchase.buyer, -(refund.credits + refund.bonus), "purchase_refund"),
            ("issued", refund.credits, "purchase_refund"),
            ("promotions", refund.bonus, "purchase_refund"),
        )
        purchase.refunds.append(refund)
        purchase.taken = (total, bonus, money)
        if total == purchase.given[0]:
            purchase.status = "refunded"
        return refund

    def _share(self, purchase: Purchase, total: Decimal) -> tuple[Decimal, Decimal]:
        """Return bonus and money that belong to `total` credits of those given."""
        credits, bonus, money = purchase.given
        part = Fraction(total) / Fraction(credits)
        whole = purchase.currency == "MWK" and total != credits
        # What has come back does not go again, where an excess was credited since.
        return (
            max(half_even(Fraction(bonus) * part), purchase.taken[1]),
            max(
                half_even(Fraction(money) * part, Decimal(1) if whole else CENT),
                purchase.taken[2],
            ),
        )

    def note_returned(self, refund: Refund, how: str) -> None:
        """Note that the money of a refund went back."""
        if not how:
            raise Refused("invalid-request")
        if refund.status != "due":
            raise Refused("not-refundable")
        refund.status = "returned"

    def credit_case(self, purchase: Purchase, case: Case, reason: str) -> None:
        """Credit the part that was paid, or the excess."""
        self._check(case, reason)
        wanted = {"short": "review", "excess": "paid"}.get(case.kind)
        if case.kind not in _CREDITABLE or purchase.status != wanted:
            raise Refused("invalid-transition")
        part = Fraction(case.amount) / Fraction(purchase.price)
        credits = down(Fraction(purchase.credits) * part)
        if not credits:
            raise Refused("invalid-transition")
        if case.kind == "excess":
            key = f"purchase:{purchase.name}:excess"
            self._give(purchase, key, credits, ZERO, case.amount)
        else:
            bonus = down(Fraction(purchase.bonus) * part)
            key = f"purchase:{purchase.name}"
            self._give(purchase, key, credits, bonus, case.amount)
            purchase.status, purchase.is_credited = "paid", True
            purchase.paid = case.amount
        case.status = "credited"

    def refund_case(self, purchase: Purchase, case: Case, reason: str) -> None:
        """Give the money of a case back."""
        self._check(case, reason)
        if case.kind not in _REFUNDABLE:
            raise Refused("invalid-transition")
        if case.kind != "excess" and purchase.is_credited:
            is_due = case.kind != "contradicted"
            self.refund(
                purchase, reason=reason, credits=None, number=None, is_due=is_due
            )
        else:
            if not purchase.is_credited:
                if purchase.status != "review":
                    raise Refused("invalid-transition")
                purchase.status = "refunded"
                if case.currency == purchase.currency:
                    purchase.taken = (ZERO, ZERO, case.amount)
            purchase.refunds.append(
                Refund(ZERO, ZERO, case.amount, case.currency, "due")
            )
        case.status = "refunded"

    def dismiss_case(self, purchase: Purchase, case: Case, reason: str) -> None:
        """Leave it be."""
        self._check(case, reason)
        case.status = "dismissed"
        waiting = any(other.status == "open" for other in purchase.cases)
        if purchase.status == "review" and not waiting:
            purchase.status = "expired"

    def _check(self, case: Case, reason: str) -> None:
        if not reason:
            raise Refused("invalid-request")
        if case.status != "open":
            raise Refused("invalid-transition")
