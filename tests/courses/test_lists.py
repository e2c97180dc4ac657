"""Lists of people: carried out line by line or whole, and never twice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, transaction

from courses import services
from courses.exceptions import OwnCourse
from courses.models import BulkRow, BulkRun, Enrollment
from courses.services import ListRefused
from credits_project.exceptions import InvalidInput, NotFound, PermissionDenied
from credits_project.money import ZERO
from tests.courses.lists import carry_out, give_bonus, give_places, statuses, told
from tests.courses.offers import NOW, make_course
from tests.factories import (
    balance_of,
    make_coach,
    make_staff,
    make_user,
    wallet_of,
)
from wallets.exceptions import InsufficientCredits
from wallets.models import CreditTransfer
from wallets.services import grant_credits

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_everybody_on_a_list_gets_the_bonus_once_however_often_it_is_given_in(
    all_or_nothing,
):
    people = [make_user() for _ in range(4)]

    for _ in range(3):
        run = give_bonus(people, "12.50", all_or_nothing=all_or_nothing)
        carry_out(run)

    assert run.is_replay
    assert [balance_of(person) for person in people] == [Decimal("12.50")] * 4
    assert statuses(run) == ["done"] * 4
    assert BulkRun.objects.get().finished_at is not None


@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_everybody_on_a_list_is_enrolled_at_the_sponsors_cost(settings, all_or_nothing):
    settings.REFUND_WINDOW_DAYS = 7
    sponsor, coach = make_user(balance="350.00"), make_coach()
    course = make_course(coach, price="100.00", rate="0.1")
    people = [make_user() for _ in range(3)]

    for _ in range(2):
        run = carry_out(
            give_places(people, course, sponsor, all_or_nothing=all_or_nothing)
        )

    assert statuses(run) == ["done"] * 3
    assert balance_of(sponsor) == 50
    assert [balance_of(person) for person in people] == [0, 0, 0]
    assert (balance_of(coach), wallet_of(coach).held) == (270, 270)
    places = Enrollment.objects.filter(course=course, payer=sponsor)
    assert {place.learner for place in places} == set(people)
    assert {(place.fee, place.earnings) for place in places} == {
        (Decimal("10.00"), Decimal("90.00"))
    }


def test_a_free_course_is_given_to_a_list_for_nothing():
    course, sponsor = make_course(price="0.00"), make_user()

    run = carry_out(give_places([make_user()], course, sponsor))

    assert statuses(run) == ["done"]
    assert Enrollment.objects.get(course=course).transfer is None


def test_lines_that_cannot_be_are_told_with_the_reason_and_the_others_done():
    sponsor, coach = make_user(balance="500.00"), make_coach()
    course = make_course(coach)
    enrolled = make_user(balance="100.00")
    services.enroll_with_credits(learner=enrolled, course_id=course.pk)
    gone = make_user(is_active=False)
    good = make_user()

    run = carry_out(
        give_places(
            [enrolled, "nobody@example.com", gone, coach, sponsor, good, good.username],
            course,
            sponsor,
        )
    )

    assert told(run) == [
        (2, "refused", "Nothing was paid again."),
        (3, "refused", "Names no user."),
        (4, "refused", "This account is closed."),
        (5, "refused", "Coaches cannot enroll in their own courses."),
        (6, "refused", "person: This is the sponsor."),
        (7, "done", ""),
        (8, "refused", "Is the user of line 7."),
    ]
    assert balance_of(sponsor) == 400


def test_a_name_of_two_users_is_refused():
    one, other = make_user(), make_user()
    other.username = one.email
    other.save(update_fields=["username"])

    run = carry_out(give_bonus([one.email.upper()]))

    assert told(run) == [(2, "refused", "Names more than one user.")]


def test_people_are_named_by_address_username_or_id():
    people = [make_user() for _ in range(3)]

    carry_out(
        give_bonus([people[0].email.upper(), people[1].username, str(people[2].pk)])
    )

    assert [balance_of(person) for person in people] == [5, 5, 5]


def test_all_or_nothing_names_all_lines_that_cannot_be_and_does_none():
    sponsor, coach = make_user(balance="500.00"), make_coach()
    course, good = make_course(coach), make_user()

    with pytest.raises(ListRefused) as unknown:
        give_places(["nobody", good, "noone"], course, sponsor, all_or_nothing=True)
    run = give_places([coach, good, sponsor], course, sponsor, all_or_nothing=True)
    with pytest.raises(ListRefused) as refused:
        carry_out(run)

    assert unknown.value.lines == {2: "Names no user.", 4: "Names no user."}
    assert refused.value.lines == {
        2: "Coaches cannot enroll in their own courses.",
        4: "person: This is the sponsor.",
    }
    assert statuses(run) == ["pending"] * 3
    assert not Enrollment.objects.exists()
    assert balance_of(sponsor) == 500


def test_a_sponsor_who_cannot_pay_for_all_pays_for_nobody_of_all_or_nothing():
    sponsor, course = make_user(balance="150.00"), make_course()
    run = give_places([make_user(), make_user()], course, sponsor, all_or_nothing=True)

    with pytest.raises(InsufficientCredits):
        carry_out(run)

    assert statuses(run) == ["pending"] * 2
    assert balance_of(sponsor) == 150


def test_a_list_stops_where_the_sponsor_cannot_pay_and_goes_on_when_they_can():
    sponsor, course = make_user(balance="150.00"), make_course()
    people = [make_user() for _ in range(3)]
    run = give_places(people, course, sponsor)
    with pytest.raises(InsufficientCredits):
        carry_out(run)
    assert statuses(run) == ["done", "pending", "pending"]

    grant_credits(user_id=sponsor.pk, amount=Decimal("150.00"), reason="Topped up")
    carry_out(run)

    assert statuses(run) == ["done"] * 3
    assert balance_of(sponsor) == 0


def test_a_sponsored_place_is_refunded_to_the_sponsor(settings):
    settings.REFUND_WINDOW_DAYS = 7
    sponsor, learner = make_user(balance="100.00"), make_user()
    carry_out(give_places([learner], make_course(rate="0.1"), sponsor), now=NOW)
    place = Enrollment.objects.get(learner=learner)

    services.refund_enrollment(
        enrollment_id=place.pk, actor=learner, reason="No time", now=NOW
    )

    assert (balance_of(sponsor), balance_of(learner)) == (100, 0)


def test_staff_do_not_refund_to_themselves_what_they_sponsored():
    sponsor = make_staff("finance", balance="100.00")
    learner = make_user()
    carry_out(give_places([learner], make_course(), sponsor))

    with pytest.raises(PermissionDenied):
        services.refund_enrollment(
            enrollment_id=Enrollment.objects.get(learner=learner).pk,
            actor=sponsor,
            reason="Mine",
        )


def test_a_coach_does_not_sponsor_places_in_the_own_course():
    coach = make_coach(balance="100.00")
    course, learner = make_course(coach), make_user()
    run = give_places([learner], course, coach)

    with pytest.raises(OwnCourse):
        carry_out(run)
    place = Enrollment(
        course=make_course(coach, price="0.00"),
        learner=learner,
        payer=coach,
        price=ZERO,
        fee=ZERO,
        earnings=ZERO,
        commission_rate=0,
        enrolled_at=NOW,
        matures_at=NOW,
    )
    with (
        pytest.raises(IntegrityError, match="a coach may not pay for a place"),
        transaction.atomic(),
    ):
        place.save(force_insert=True)


def test_another_list_cannot_have_the_name_of_one():
    person = make_user()
    give_bonus([person], name="November")

    with pytest.raises(InvalidInput, match="Another list has this name"):
        give_bonus([person], "6.00", name="November")


def test_the_same_list_under_another_name_is_another_list():
    person = make_user()

    for name in ("November", "December"):
        carry_out(give_bonus([person], name=name))

    assert balance_of(person) == 10


@pytest.mark.parametrize("amount", ["0", "-1", "0.001"])
def test_a_bonus_that_is_no_amount_is_refused_on_its_line(amount):
    person = make_user()

    run = carry_out(give_bonus([person], amount))

    assert statuses(run) == ["refused"]
    assert balance_of(person) == 0


@pytest.mark.parametrize(
    "options", [{"reason": " "}, {"reason": "x" * 501}, {"name": "x" * 101}]
)
def test_a_list_has_a_reason_and_no_endless_name(options):
    with pytest.raises(InvalidInput):
        give_bonus([make_user()], **options)


def test_an_empty_list_and_one_without_end_are_refused():
    with pytest.raises(InvalidInput):
        give_bonus([])
    with pytest.raises(InvalidInput):
        give_bonus(["x"] * 1_001, all_or_nothing=True)


def test_a_list_that_does_not_exist_is_not_carried_out():
    with pytest.raises(NotFound):
        services.carry_out_list(run_id=make_user().wallet.pk)


@pytest.mark.parametrize("group", ["support", "auditors"])
def test_only_who_may_do_it_to_one_may_do_it_to_many(group):
    staff, finance = make_staff(group), make_staff("finance")
    with pytest.raises(PermissionDenied):
        give_bonus([make_user()], actor=staff)
    with pytest.raises(PermissionDenied):
        give_places([make_user()], make_course(), make_user(), actor=staff)
    run = give_bonus([make_user()], actor=finance)
    with pytest.raises(PermissionDenied):
        carry_out(run, actor=staff)


def test_nobody_gives_themselves_a_bonus_by_a_list():
    finance = make_staff("finance")

    run = carry_out(give_bonus([finance], actor=finance), actor=finance)

    assert told(run) == [(2, "refused", "Nobody gives credits to themselves.")]


def test_who_gave_a_list_in_and_each_bonus_of_it_are_on_record():
    finance, people = make_staff("finance"), [make_user(), make_user()]

    run = carry_out(give_bonus(people, actor=finance), actor=finance)

    entries = LogEntry.objects.filter(user=finance)
    assert [entry.get_change_message() for entry in entries.order_by("pk")] == [
        "list of bonus: Prize of the week (lines 2)",
        "grant: Prize of the week",
        "grant: Prize of the week",
    ]
    transfers = CreditTransfer.objects.filter(key__startswith=f"bulk:{run.pk}:")
    assert {transfer.actor for transfer in transfers} == {finance}


def test_a_list_begins_no_further_line_after_its_time():
    people = [make_user() for _ in range(3)]
    run = give_bonus(people)

    carry_out(run, seconds=0)
    assert statuses(run) == ["done", "pending", "pending"]
    assert run.finished_at is None
    carry_out(run)

    assert [balance_of(person) for person in people] == [5, 5, 5]


# What the database refuses.


def test_a_line_is_decided_once_and_a_list_stays_what_it_was():
    run = carry_out(give_bonus([make_user(), make_user()]))
    row = BulkRow.objects.filter(run=run).first()
    assert row is not None

    for rows, change, rule in (
        (BulkRow.objects.filter(pk=row.pk), {"status": "pending"}, "decided, once"),
        (BulkRow.objects.filter(pk=row.pk), {"amount": 7}, "decided, once"),
        (BulkRun.objects.filter(pk=run.pk), {"reason": "x"}, "finished, once"),
        (BulkRun.objects.filter(pk=run.pk), {"finished_at": None}, "finished, once"),
    ):
        with pytest.raises(IntegrityError, match=rule), transaction.atomic():
            rows.update(**change)
    for table in (BulkRow, BulkRun):
        with pytest.raises(IntegrityError, match="kept for good"), transaction.atomic():
            table.objects.all()._raw_delete(using="default")


def test_nothing_is_called_done_that_made_nothing():
    run = give_bonus([make_user()])

    with (
        pytest.raises(IntegrityError, match="courses_bulkrow_done_iff_made"),
        transaction.atomic(),
    ):
        BulkRow.objects.filter(run=run).update(status="done", decided_at=NOW)
