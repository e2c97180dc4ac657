"""Courses, commissions, places and refunds, as the model has them; see `books`."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.marketplace.books import ZERO, Books, Refused, half_even


@dataclass
class Course:
    """What a coach sells."""

    name: str
    coach: str
    price: Decimal
    status: str


@dataclass
class Commission:
    """A rate of the platform (`about` nobody), a coach or a course from an hour on."""

    name: str
    scope: str
    about: str
    # None: no rate of its own.
    rate: Decimal | None
    begins: int
    is_cancelled: bool = False


@dataclass
class Place:
    """Somebody's place in a course."""

    name: str
    course: Course
    learner: str
    payer: str
    price: Decimal
    fee: Decimal
    earnings: Decimal
    rate: Decimal
    begins: int
    matures: int
    status: str = "active"
    refunded: Decimal = ZERO
    # Of each refund: credits, platform's part, coach's part, what the platform bore.
    refunds: list[tuple[Decimal, Decimal, Decimal, Decimal]] = field(
        default_factory=list
    )

    @property
    def hold(self) -> str:
        """The name of the hold on what of the earnings is left."""
        return f"{self.name}:{len(self.refunds)}"


@dataclass
class Line:
    """One person of a sponsor's list."""

    person: str
    status: str = "pending"


@dataclass
class Listing:
    """People who are to be enrolled at a sponsor's cost."""

    name: str
    course: Course
    sponsor: str
    lines: list[Line]
    is_whole: bool


@dataclass
class Sales:
    """The catalogue and who is in what."""

    books: Books
    coaches: frozenset[str]
    # Who may set commissions, and who may refund.
    finance: frozenset[str]
    refunders: frozenset[str]
    window_days: int
    rate: Decimal
    courses: list[Course] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    keys: dict[tuple[str, str], tuple[Place, tuple[str, Decimal | None]]] = field(
        default_factory=dict
    )

    # The catalogue

    def publish(self, name: str, coach: str, price: Decimal, status: str) -> Course:
        """Add a course."""
        if coach not in self.coaches:
            raise Refused("permission-denied")
        if price < 0:
            raise Refused("invalid-request")
        course = Course(name=name, coach=coach, price=price, status=status)
        self.courses.append(course)
        return course

    def change(
        self, course: Course, coach: str, *, price: Decimal | None, status: str | None
    ) -> None:
        """Change a course's price or state."""
        if coach not in self.coaches:
            raise Refused("permission-denied")
        if coach != course.coach:
            raise Refused("not-found")
        steps = {
            "draft": {"published", "archived"},
            "published": {"archived"},
            "archived": {"published"},
        }
        is_step = status in {None, course.status} or status in steps[course.status]
        if price is not None and price < 0:
            raise Refused("invalid-request")
        if not is_step:
            raise Refused("invalid-transition")
        course.price = course.price if price is None else price
        course.status = course.status if status is None else status

    # Commissions

    def set_commission(
        self,
        name: str,
        scope: str,
        about: str,
        rate: Decimal | None,
        begins: int,
        actor: str,
    ) -> Commission:
        """Set the rate of the platform, a coach or a course from an hour on."""
        if actor not in self.finance:
            raise Refused("permission-denied")
        if rate is not None and not 0 <= rate <= 1:
            raise Refused("invalid-request")
        if begins < self.books.clock.hours:
            raise Refused("invalid-request")
        for other in self.commissions:
            if not other.is_cancelled and (
                (other.scope, other.about, other.begins) == (scope, about, begins)
            ):
                raise Refused("invalid-request")
        commission = Commission(name, scope, about, rate, begins)
        self.commissions.append(commission)
        return commission

    def cancel_commission(self, commission: Commission, actor: str) -> None:
        """Call off a commission that has not begun."""
        if actor not in self.finance:
            raise Refused("permission-denied")
        if commission.is_cancelled:
            return
        if commission.begins <= self.books.clock.hours:
            raise Refused("invalid-request")
        commission.is_cancelled = True

    def rate_of(self, course: Course) -> Decimal:
        """Return the rate at which the course is sold now."""
        now = self.books.clock.hours
        abouts = (("course", course.name), ("coach", course.coach), ("platform", ""))
        for scope, about in abouts:
            begun = [
                commission
                for commission in self.commissions
                if (commission.scope, commission.about) == (scope, about)
                and commission.begins <= now
                and not commission.is_cancelled
            ]
            if begun:
                newest = max(begun, key=lambda commission: commission.begins)
                if newest.rate is not None:
                    return newest.rate
        return self.rate

    # Enrolling

    def enroll(
        self, name: str, learner: str, course: Course, price: Decimal | None, key: str
    ) -> tuple[Place, bool]:
        """Enroll somebody; return the place and whether it was there before."""
        asked = (course.name, price)
        if key and (learner, key) in self.keys:
            place, before = self.keys[learner, key]
            if before != asked:
                raise Refused("idempotency-key-reused")
            return place, True
        if course.coach == learner:
            raise Refused("own-course")
        self._check_on_offer(course)
        if self._is_in(course, learner):
            raise Refused("already-enrolled")
        if price is not None and price != course.price:
            raise Refused("price-changed")
        place = self._sell(name, learner, course, payer=learner)
        if key:
            self.keys[learner, key] = (place, asked)
        return place, False

    def carry_out(self, listing: Listing, actor: str, name: str) -> list[Place]:
        """Enroll who is left of a list; return the places there were made."""
        if actor not in self.finance:
            raise Refused("permission-denied")
        left = [line for line in listing.lines if line.status == "pending"]
        if not listing.is_whole:
            return self._one_by_one(listing, left, name)
        if not left:
            return []
        course = listing.course
        self._check_list(listing)
        if any(self._is_refused(listing, line) for line in left):
            raise Refused("list-refused")
        price = course.price * len(left)
        self._check_payer(listing.sponsor, price)
        return [self._place(listing, line, name) for line in left]

    def _one_by_one(self, listing: Listing, left: list[Line], name: str) -> list[Place]:
        made = []
        for line in left:
            self._check_list(listing)
            if self._is_refused(listing, line):
                line.status = "refused"
            else:
                made.append(self._place(listing, line, name))
        return made

    def _check_list(self, listing: Listing) -> None:
        self._check_on_offer(listing.course)
        if listing.course.coach == listing.sponsor:
            raise Refused("own-course")

    def _is_refused(self, listing: Listing, line: Line) -> bool:
        course = listing.course
        never = {listing.sponsor, course.coach}
        return line.person in never or self._is_in(course, line.person)

    def _place(self, listing: Listing, line: Line, name: str) -> Place:
        name = f"{name}:{line.person}"
        place = self._sell(name, line.person, listing.course, payer=listing.sponsor)
        line.status = "done"
        return place

    def _check_on_offer(self, course: Course) -> None:
        if course.status == "draft":
            raise Refused("not-found")
        if course.status == "archived":
            raise Refused("course-not-available")

    def _is_in(self, course: Course, learner: str) -> bool:
        return any(
            place.course is course
            and place.learner == learner
            and place.status == "active"
            for place in self.places
        )

    def _check_payer(self, payer: str, price: Decimal) -> None:
        if price and self.books.wallets[payer].is_frozen:
            raise Refused("wallet-frozen")
        if price > self.books.available(payer):
            raise Refused("insufficient-credits")

    def _sell(self, name: str, learner: str, course: Course, *, payer: str) -> Place:
        rate = self.rate_of(course)
        fee = half_even(Fraction(course.price) * Fraction(rate))
        now = self.books.clock.hours
        place = Place(
            name=name,
            course=course,
            learner=learner,
            payer=payer,
            price=course.price,
            fee=fee,
            earnings=course.price - fee,
            rate=rate,
            begins=now,
            matures=now + 24 * self.window_days,
        )
        if place.price:
            self.books.post(
                f"enrollment:{name}",
                (payer, -place.price, "course_payment"),
                (course.coach, place.earnings, "course_payment"),
                ("revenue", fee, "platform_fee"),
            )
            self.books.wallets[course.coach].earned += place.earnings
        if place.earnings and self.window_days:
            self.books.place_hold(
                place.hold, course.coach, place.earnings, place.matures
            )
        self.places.append(place)
        return place

    # Refunds

    def refund(
        self,
        place: Place,
        actor: str,
        *,
        reason: str,
        amount: Decimal | None,
        platform_pays: bool,
    ) -> bool:
        """Give the price back or a part of it; return whether nothing was left to."""
        if amount is not None and amount <= 0:
            raise Refused("invalid-request")
        by_learner = actor == place.learner
        if by_learner and (amount is not None or platform_pays):
            raise Refused("permission-denied")
        if not by_learner:
            if actor == place.payer or actor not in self.refunders:
                raise Refused("permission-denied")
            if not reason:
                raise Refused("invalid-request")
        if amount is None and place.status == "refunded":
            return True
        left = place.price - place.refunded
        has_window = place.matures > place.begins
        is_open = has_window and self.books.clock.hours < place.matures
        if not left or (by_learner and not is_open):
            raise Refused("not-refundable")
        if amount is not None and amount > left:
            raise Refused("not-refundable")
        try:
            self._give_back(place, left if amount is None else amount, platform_pays)
        except Refused as refusal:
            if by_learner:
                raise Refused("not-refundable") from refusal
            raise
        return False

    def _give_back(self, place: Place, amount: Decimal, platform_pays: bool) -> None:
        books, coach = self.books, place.course.coach
        fee, earnings = self._parts(place, place.refunded + amount)
        fee -= sum((part[1] for part in place.refunds), ZERO)
        earnings -= sum((part[2] for part in place.refunds), ZERO)
        hold = books.holds.get(place.hold)
        was_held = hold is not None and hold.is_open
        free = books.available(coach)
        if hold is not None and was_held:
            free += hold.amount
        by_coach = min(earnings, free)
        shortfall = earnings - by_coach
        if shortfall and not platform_pays:
            raise Refused("insufficient-credits")
        if fee + shortfall > books.wallets["revenue"].balance:
            raise Refused("insufficient-credits")
        if by_coach and books.wallets[coach].is_frozen:
            raise Refused("wallet-frozen")
        if was_held:
            books.release_hold(place.hold)
        place.refunds.append((amount, fee, earnings, shortfall))
        place.refunded += amount
        books.post(
            f"enrollment:{place.name}:refund:{len(place.refunds)}",
            (place.payer, amount, "course_refund"),
            (coach, -by_coach, "course_refund"),
            ("revenue", -(fee + shortfall), "course_refund"),
        )
        books.wallets[coach].earned -= by_coach
        if place.refunded == place.price:
            place.status = "refunded"
        left = place.earnings - sum((part[2] for part in place.refunds), ZERO)
        if was_held and left and place.matures > books.clock.hours:
            books.place_hold(place.hold, coach, left, place.matures)

    def _parts(self, place: Place, returned: Decimal) -> tuple[Decimal, Decimal]:
        """Split what has been given back in all into platform's and coach's part."""
        share = Fraction(place.fee) / Fraction(place.price)
        fee = half_even(Fraction(returned) * share)
        return fee, returned - fee
