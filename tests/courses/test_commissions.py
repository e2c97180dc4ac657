"""Commissions: whose wins, from when on, and what of it stays with a sale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from courses import services
from courses.models import CommissionRate, Course, Enrollment
from credits_project.exceptions import InvalidInput, NotFound, PermissionDenied
from credits_project.money import ZERO, split_fee
from tests.courses.commissions import add
from tests.courses.offers import LONG_AGO, NOW, make_course
from tests.factories import make_coach, make_staff, make_user

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def rate_of(course: Course, *, at: Any = NOW) -> str:
    return f"{services.commission_of(course, at=at).rate:.2f}"


@pytest.mark.parametrize(
    ("course_rate", "coach_rate", "platform_rate", "wins"),
    [
        ("0.10", "0.20", "0.30", "0.10"),
        (None, "0.20", "0.30", "0.20"),
        (None, None, "0.30", "0.30"),
        (None, None, None, "0.40"),
        # Nothing is a rate like any other.
        ("0", "0.20", "0.30", "0.00"),
        (None, "0", "0.30", "0.00"),
        (None, None, "0", "0.00"),
    ],
)
def test_the_most_specific_commission_wins(
    settings, course_rate, coach_rate, platform_rate, wins
):
    settings.COMMISSION_RATE = Decimal("0.40")
    course = make_course(rate=course_rate)
    if coach_rate:
        add(coach_rate, coach_id=course.coach_id)
    if platform_rate:
        add(platform_rate)

    assert rate_of(course) == wins


def test_others_commissions_do_not_matter():
    course = make_course()
    add("0.5", course_id=make_course(course.coach).pk)
    add("0.6", coach_id=make_coach().pk)

    assert rate_of(course) == "0.00"


def test_a_commission_holds_from_its_moment_until_the_next_begins():
    course = make_course()
    add("0.10", course_id=course.pk, effective_from=NOW)
    add("0.20", course_id=course.pk, effective_from=NOW + DAY)

    moments = (NOW - DAY, NOW, NOW + DAY - timedelta(microseconds=1), NOW + DAY)

    assert [rate_of(course, at=at) for at in moments] == [
        "0.00",
        "0.10",
        "0.10",
        "0.20",
    ]


def test_no_rate_of_its_own_any_more_lets_the_next_less_specific_one_hold():
    course = make_course(rate="0.10")
    add("0.30", coach_id=course.coach_id)
    add(None, course_id=course.pk, effective_from=NOW)

    assert rate_of(course, at=NOW - DAY) == "0.10"
    assert rate_of(course, at=NOW) == "0.30"


def test_rate_split_and_rule_stay_with_the_sale_whatever_comes_later():
    course = make_course(price="99.99", rate="0.125")
    enrollment = services.enroll_with_credits(
        learner=make_user(balance="99.99"), course_id=course.pk, now=NOW
    )
    services.set_commission_rate(course_id=course.pk, rate=Decimal("0.5"), actor=None)

    sold = Enrollment.objects.get(pk=enrollment.pk)
    assert (sold.price, sold.fee, sold.earnings, sold.commission_rate) == (
        Decimal("99.99"),
        Decimal("12.50"),
        Decimal("87.49"),
        Decimal("0.1250"),
    )
    assert sold.commission is not None
    assert sold.commission.rate == Decimal("0.1250")


def test_a_sale_by_the_setting_has_no_rule(settings):
    settings.COMMISSION_RATE = Decimal("0.1")

    enrollment = services.enroll_with_credits(
        learner=make_user(balance="100.00"), course_id=make_course().pk
    )

    assert (enrollment.commission, enrollment.fee) == (None, Decimal("10.00"))


def test_quote_and_sale_use_one_commission():
    course = make_course(price="10.00")
    add("0.33", coach_id=course.coach_id)
    learner = make_user(balance="10.00")

    quote = services.quote(learner=learner, course_id=course.pk)
    sold = services.enroll_with_credits(learner=learner, course_id=course.pk)

    assert (quote.fee, quote.earnings) == (sold.fee, sold.earnings)
    assert sold.fee == Decimal("3.30")


@given(
    cents=st.integers(1, 10**8),
    rate=st.decimals(0, 1, places=4, allow_nan=False, allow_infinity=False),
)
def test_the_parts_add_up_and_the_database_agrees_with_every_split(cents, rate):
    price = Decimal(cents).scaleb(-2)
    fee, earnings = split_fee(price, fee_rate=rate)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s::numeric - %s::numeric * %s::numeric BETWEEN -0.005 AND 0.005",
            [fee, price, rate],
        )
        (agrees,) = cursor.fetchone()
    assert agrees
    assert fee + earnings == price
    assert fee >= 0 <= earnings


def test_a_commission_that_is_a_cent_off_is_refused_by_the_database():
    course = make_course(price="10.00", rate="0.1")
    wrong = Enrollment(
        course=course,
        learner=make_user(),
        price=Decimal("10.00"),
        fee=Decimal("1.01"),
        earnings=Decimal("8.99"),
        commission_rate=Decimal("0.1"),
        enrolled_at=NOW,
        matures_at=NOW,
    )

    with (
        pytest.raises(IntegrityError, match="courses_enrollment_fee_of_rate"),
        transaction.atomic(),
    ):
        wrong.save(force_insert=True)


def test_a_sale_on_a_commission_that_is_not_in_force_is_refused_by_the_database():
    course = make_course(price="0.00")
    rows = [
        add("0.1", course_id=make_course(price="0.00").pk),
        add("0.1", coach_id=make_coach().pk),
        add("0.1", course_id=course.pk, effective_from=NOW + DAY),
        add("0.2", course_id=course.pk),
    ]

    for row in rows:
        place = Enrollment(
            course=course,
            learner=make_user(),
            price=ZERO,
            fee=ZERO,
            earnings=ZERO,
            commission_rate=Decimal("0.1"),
            commission=row,
            enrolled_at=NOW,
            matures_at=NOW,
        )
        with (
            pytest.raises(IntegrityError, match="is not in force for course"),
            transaction.atomic(),
        ):
            place.save(force_insert=True)


def test_refunds_return_the_commission_of_the_sale_and_not_of_today():
    course = make_course(price="100.00", rate="0.2")
    learner = make_user(balance="100.00")
    enrollment = services.enroll_with_credits(
        learner=learner, course_id=course.pk, now=NOW
    )
    services.set_commission_rate(course_id=course.pk, rate=Decimal("0.9"), actor=None)

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=None, reason="Late", amount=Decimal("50.00")
    )

    refund = enrollment.refund_rows.get()
    assert (refund.fee, refund.earnings) == (Decimal("10.00"), Decimal("40.00"))


@pytest.mark.parametrize("rate", ["1.0001", "-0.1", "0.00001", "NaN"])
def test_a_commission_is_a_fraction_with_four_decimals(rate):
    with pytest.raises(InvalidInput):
        add(rate)


def test_a_commission_is_not_backdated():
    course = make_course()

    with pytest.raises(InvalidInput):
        add("0.1", course_id=course.pk, now=NOW, effective_from=NOW - DAY)
    row = CommissionRate(
        course=course, rate=0, effective_from=NOW - DAY, created_at=NOW
    )
    with (
        pytest.raises(IntegrityError, match="courses_commissionrate_not_backdated"),
        transaction.atomic(),
    ):
        row.save(force_insert=True)


@pytest.mark.parametrize("scope", ["course", "coach", "platform"])
def test_no_two_commissions_of_one_scope_begin_at_one_moment(scope):
    course = make_course()
    names: dict[str, dict[str, Any]] = {
        "course": {"course_id": course.pk},
        "coach": {"coach_id": course.coach_id},
        "platform": {},
    }
    add("0.1", **names[scope])

    with pytest.raises(InvalidInput, match="Another one begins at that moment"):
        add("0.2", **names[scope])


def test_a_commission_is_for_a_course_or_a_coach_that_exists_and_not_for_both():
    course = make_course()

    with pytest.raises(InvalidInput):
        add("0.1", course_id=course.pk, coach_id=course.coach_id)
    with pytest.raises(NotFound):
        add("0.1", coach_id=2**31 - 1)
    with pytest.raises(NotFound):
        add("0.1", course_id=make_user().wallet.pk)


@pytest.mark.parametrize("group", ["support", "auditors", None])
def test_only_finance_sets_and_cancels_commissions(group):
    who = make_coach() if group is None else make_staff(group)
    row = add("0.1", effective_from=NOW)

    with pytest.raises(PermissionDenied):
        add("0.1", actor=who)
    with pytest.raises(PermissionDenied):
        services.cancel_commission_rate(
            commission_id=row.pk, actor=who, reason="No", now=LONG_AGO
        )


def test_what_has_not_begun_is_cancelled_with_a_reason_and_another_takes_its_place():
    course, finance = make_course(), make_staff("finance")
    row = add("0.1", course_id=course.pk, effective_from=NOW)

    for _ in range(2):
        services.cancel_commission_rate(
            commission_id=row.pk, actor=finance, reason="Typed wrong", now=LONG_AGO
        )
    add("0.2", course_id=course.pk, effective_from=NOW)

    assert rate_of(course) == "0.20"
    told = LogEntry.objects.filter(object_id=str(row.pk))
    assert [entry.get_change_message() for entry in told] == [
        "cancel commission: Typed wrong"
    ]


def test_what_has_begun_is_not_cancelled():
    row = add("0.1", effective_from=NOW)

    with pytest.raises(InvalidInput):
        services.cancel_commission_rate(
            commission_id=row.pk, actor=None, reason="Late", now=NOW
        )
    with (
        pytest.raises(
            IntegrityError,
            match="courses_commissionrate_cancelled_before_it_begins",
        ),
        transaction.atomic(),
    ):
        CommissionRate.objects.filter(pk=row.pk).update(cancelled_at=NOW)


def test_a_commission_never_changes_and_never_vanishes():
    row = add("0.1", effective_from=NOW)
    changes: list[dict[str, Any]] = [
        {"rate": "0.2"},
        {"effective_from": NOW + DAY},
        {"coach": make_coach()},
    ]

    for change in changes:
        with (
            pytest.raises(IntegrityError, match="may only be cancelled, once"),
            transaction.atomic(),
        ):
            CommissionRate.objects.filter(pk=row.pk).update(**change)
    with pytest.raises(IntegrityError, match="kept for good"), transaction.atomic():
        CommissionRate.objects.filter(pk=row.pk).delete()


def test_a_commission_costs_a_sale_one_query(django_assert_num_queries):
    course = make_course(rate="0.1")
    add("0.2", coach_id=course.coach_id)
    add("0.3")

    with django_assert_num_queries(1):
        services.commission_of(course, at=NOW)
