"""Steps in the catalogue: courses, commissions, places, refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from courses import services
from courses.models import BulkRow, Enrollment
from tests.marketplace import comparing
from tests.marketplace.model import (
    COACHES,
    FINANCE,
    LEARNERS,
    MEMBERS,
    PEOPLE,
    RATES,
    STAFF,
)
from tests.marketplace.sales import Course, Line, Listing, Place
from tests.marketplace.story import Skipped, Story, rule


@rule(weight=4)
def publish_course(story: Story) -> None:
    """A course of a coach's, or of somebody who may not."""
    sales, house = story.model.sales, story.house
    coach = story.pick((*COACHES, *COACHES, *COACHES, "learner"))
    price = _price(story)
    status = "draft" if story.chance(10) else "published"
    name = story.name("course")

    def compare(_: Course, found: Any) -> None:
        house.courses[name] = found.pk

    story.both(
        f"{name} of {coach} for {price}, {status}",
        lambda: sales.publish(name, coach, price, status),
        lambda: services.create_course(
            coach=house.users[coach], title=name, price=price, status=status
        ),
        compare,
    )


@rule(weight=2)
def change_course(story: Story) -> None:
    """Another price or state, perhaps by another coach."""
    sales, house = story.model.sales, story.house
    course = story.pick(sales.courses)
    coach = course.coach if story.chance(85) else story.pick(MEMBERS)
    price = _price(story) if story.chance(50) else None
    states = ["published", "published", "published", "archived", "draft"]
    status = story.pick(states) if story.chance(60) else None
    changes: dict[str, Any] = {"price": price, "status": status}
    changes = {field: new for field, new in changes.items() if new is not None}
    story.both(
        f"{course.name} by {coach}: {changes}",
        lambda: sales.change(course, coach, price=price, status=status),
        lambda: services.update_course(
            coach=house.users[coach], course_id=house.courses[course.name], **changes
        ),
    )


def _price(story: Story) -> Decimal:
    return Decimal("0.00") if story.chance(8) else story.cents(1, 4000)


@rule(weight=3)
def set_commission(story: Story) -> None:
    """Of the platform, a coach or a course, from now on or later; not for ever."""
    sales, house, clock = story.model.sales, story.house, story.model.clock
    scope, about = story.draw.choice(["platform", "coach", "course"]), ""
    if scope == "coach":
        about = story.pick(COACHES)
    if scope == "course":
        about = story.pick(sales.courses).name
    rate = None if story.chance(15) else Decimal(story.draw.choice(RATES))
    begins = clock.hours + story.draw.choice([0, 0, 0, 10, 30, 100, -1])
    actor = story.pick((*FINANCE, *FINANCE, *STAFF))
    name = story.name("commission")

    def compare(_: Any, found: Any) -> None:
        house.commissions[name] = found.pk

    story.both(
        f"{rate} of {scope} {about} from {begins} by {actor}",
        lambda: sales.set_commission(name, scope, about, rate, begins, actor),
        lambda: services.add_commission_rate(
            rate=rate,
            course_id=house.courses[about] if scope == "course" else None,
            coach_id=house.users[about].pk if scope == "coach" else None,
            effective_from=story.at(begins),
            actor=house.users[actor],
            now=story.now,
        ),
        compare,
    )


@rule(weight=1)
def cancel_commission(story: Story) -> None:
    """Call one off, which only works before it begins."""
    sales, house = story.model.sales, story.house
    later = [one for one in sales.commissions if one.begins > story.model.clock.hours]
    commission = story.pick(later or sales.commissions)
    actor = story.pick((*FINANCE, "support"))
    story.both(
        f"{commission.name} by {actor}",
        lambda: sales.cancel_commission(commission, actor),
        lambda: services.cancel_commission_rate(
            commission_id=house.commissions[commission.name],
            actor=house.users[actor],
            reason="for the story",
            now=story.now,
        ),
    )


@rule(weight=18)
def enroll(story: Story) -> None:
    """Somebody enrolls, perhaps at an old price or under a key that is taken."""
    sales, house = story.model.sales, story.house
    learner = story.pick(LEARNERS if story.chance(75) else MEMBERS)
    course = story.pick(sales.courses)
    price = None if story.chance(50) else course.price
    if story.chance(4):
        price = course.price + Decimal("0.01")
    key = f"key {story.cents(1, 20)}" if story.chance(10) else ""
    name = story.name("place")

    def compare(expected: tuple[Place, bool], found: Any) -> None:
        place, is_replay = expected
        assert found.is_replay == is_replay
        house.places.setdefault(place.name, found.pk)
        comparing.place(story, place, Enrollment.objects.get(pk=found.pk))

    story.both(
        f"{learner} in {course.name} for {price}",
        lambda: sales.enroll(name, learner, course, price, key),
        lambda: services.enroll_with_credits(
            learner=house.users[learner],
            course_id=house.courses[course.name],
            price=price,
            idempotency_key=key or None,
            now=story.now,
        ),
        compare,
    )


@rule(weight=2)
def enroll_a_list(story: Story) -> None:
    """People at a sponsor's cost, all or line by line; or what is left of a list."""
    sales = story.model.sales
    unfinished = [
        one
        for one in sales.listings
        if any(line.status == "pending" for line in one.lines)
    ]
    if unfinished and story.chance(40):
        listing = story.pick(unfinished)
    else:
        course, sponsor = story.pick(sales.courses), story.pick(("sponsor", *MEMBERS))
        people = story.draw.sample(MEMBERS, story.draw.randint(1, 3))
        lines = [Line(person) for person in people]
        listing = Listing(
            story.name("list"), course, sponsor, lines, is_whole=story.chance(50)
        )
    actor = story.pick((*FINANCE, *FINANCE, "support"))
    people_told = ", ".join(line.person for line in listing.lines)
    made: set[str] = {place.name for place in sales.places}
    name = story.name("of list")
    story.both(
        f"{people_told} in {listing.course.name} by {listing.sponsor} ({actor})",
        lambda: sales.carry_out(listing, actor, name),
        lambda: _carry_out(story, listing, actor),
    )
    if listing.name in story.house.lists:
        if listing not in sales.listings:
            sales.listings.append(listing)
        new = [place for place in sales.places if place.name not in made]
        _compare_list(story, listing, new)


def _carry_out(story: Story, listing: Listing, actor: str) -> None:
    house = story.house
    run_id = house.lists.get(listing.name)
    if run_id is None:
        run = services.give_in_list(
            kind="enroll",
            lines=[
                services.Line(number=number, person=house.users[line.person].username)
                for number, line in enumerate(listing.lines, start=2)
            ],
            reason="a sponsor's list",
            name=listing.name,
            all_or_nothing=listing.is_whole,
            course_id=house.courses[listing.course.name],
            sponsor_id=house.users[listing.sponsor].pk,
            actor=house.users[actor],
            now=story.now,
        )
        run_id = house.lists[listing.name] = run.pk
    services.carry_out_list(run_id=run_id, actor=house.users[actor], now=story.now)


def _compare_list(story: Story, listing: Listing, new: list[Place]) -> None:
    run_id = story.house.lists[listing.name]
    rows = list(
        BulkRow.objects.filter(run=run_id).select_related("enrollment").order_by("line")
    )
    assert [row.status for row in rows] == [line.status for line in listing.lines]
    of_person = {row.user_id: row.enrollment for row in rows}
    for place in new:
        found = of_person[story.house.users[place.learner].pk]
        assert found is not None
        story.house.places[place.name] = found.pk
        comparing.place(story, place, found)


@rule(weight=3)
def refund_as_learner(story: Story) -> None:
    """A learner takes the price back, in the window or too late."""
    sales = story.model.sales
    place = story.pick(_worth_refunding(story))
    is_odd = story.chance(5)
    _refund(
        story,
        place,
        place.learner,
        amount=None,
        platform_pays=is_odd and bool(sales.places),
    )


@rule(weight=5)
def refund_as_staff(story: Story) -> None:
    """Staff give back all or a part, with the platform's help or without."""
    place = story.pick(_worth_refunding(story))
    actor = story.pick(STAFF if story.chance(90) else PEOPLE)
    amount = None
    if story.chance(60):
        amount = story.about(max(place.price - place.refunded, Decimal("0.02")))
    _refund(story, place, actor, amount=amount, platform_pays=story.chance(30))


def _worth_refunding(story: Story) -> list[Place]:
    places = story.model.sales.places
    if story.chance(75):
        return [one for one in places if one.status == "active" and one.price] or places
    return places


def _refund(
    story: Story,
    place: Place,
    actor: str,
    *,
    amount: Decimal | None,
    platform_pays: bool,
) -> None:
    sales, house = story.model.sales, story.house
    reason = story.reason()

    def compare(is_replay: bool, found: Any) -> None:
        assert found.is_replay == is_replay
        comparing.place(story, place, Enrollment.objects.get(pk=found.pk))

    if place.name not in house.places:
        raise Skipped
    story.both(
        f"{amount} of {place.name} by {actor}, platform pays: {platform_pays}",
        lambda: sales.refund(
            place, actor, reason=reason, amount=amount, platform_pays=platform_pays
        ),
        lambda: services.refund_enrollment(
            enrollment_id=house.places[place.name],
            actor=house.users[actor],
            reason=reason,
            amount=amount,
            shortfall_from_revenue=platform_pays,
            now=story.now,
        ),
        compare,
    )
