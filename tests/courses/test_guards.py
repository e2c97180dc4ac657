"""The rules of enrollments as the database holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

import courses
from courses import services
from courses.models import Course, Enrollment, EnrollmentRefund
from courses.services import selling
from credits_project.exceptions import InvalidTransition
from credits_project.money import ZERO
from tests.courses.offers import make_course
from tests.factories import make_coach, make_staff, make_user
from wallets import proof

pytestmark = pytest.mark.django_db
SQL = Path(courses.__file__).parent / "sql" / "transitions.sql"


@contextmanager
def refused_by(name: str) -> Iterator[None]:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        yield
    assert refusal.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]


def enroll(price: str = "100.00") -> Enrollment:
    return services.enroll_with_credits(
        learner=make_user(balance="500.00"),
        course_id=make_course(price=price, rate="0.2").pk,
    )


def refund(enrollment: Enrollment, **options: Any) -> Enrollment:
    return services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=make_staff("support"),
        reason="Asked for it",
        **options,
    )


def change(enrollment: Enrollment, **columns: Any) -> None:
    Enrollment.objects.filter(pk=enrollment.pk).update(**columns)


def test_the_steps_in_sql_are_those_in_python():
    block = re.search(
        r"\(OLD.status, NEW.status\) NOT IN \((.*?)\n    \)", SQL.read_text(), re.S
    )
    assert block
    in_sql = set(re.findall(r"\('(\w+)', '(\w+)'\)", block[1]))

    in_python = {
        (str(before), str(after))
        for before, steps in Enrollment.TRANSITIONS.items()
        for after in steps
    }
    assert in_sql == in_python


def test_a_step_that_does_not_exist_is_refused_in_memory():
    enrollment = Enrollment(status="refunded")

    with pytest.raises(InvalidTransition):
        enrollment.move_to("active")


def test_a_refunded_learner_is_not_let_in_again():
    enrollment = refund(enroll())

    with refused_by("courses_enrollment_transition"):
        change(enrollment, status="active", refunded_at=None)


@pytest.mark.parametrize(
    "columns",
    [
        {"price": 1, "earnings": 1, "fee": 0},
        {"fee": F("fee") - 1, "earnings": F("earnings") + 1},
        {"commission_rate": 0},
        {"transfer": None},
        {"enrolled_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"matures_at": F("matures_at") + timedelta(days=1)},
        {"idempotency_key": "another"},
    ],
)
def test_the_terms_of_a_sale_stay_as_they_were(columns):
    enrollment = enroll()

    with refused_by("courses_enrollment_immutable"):
        change(enrollment, **columns)


def test_an_enrollment_stays_with_its_course_and_its_learner():
    enrollment = enroll()

    with refused_by("courses_enrollment_immutable"):
        change(enrollment, learner=make_user())
    with refused_by("courses_enrollment_immutable"):
        change(enrollment, course=make_course())


def test_what_was_given_back_never_becomes_less():
    enrollment = enroll()
    refund(enrollment, amount=enrollment.price / 2)

    with refused_by("courses_enrollment_refunds_grow"):
        change(enrollment, refunded_amount=0)
    with refused_by("courses_enrollment_refunds_grow"):
        change(enrollment, refunds=0)


def test_refunded_is_who_got_everything_back():
    enrollment = enroll()

    for columns in (
        {"status": "refunded", "refunded_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"refunded_amount": enrollment.price},
    ):
        with refused_by("courses_enrollment_refunded_iff_whole"):
            change(enrollment, **columns)


def test_nobody_is_in_a_paid_course_without_a_transfer():
    learner, course = make_user(), make_course()

    with refused_by("courses_enrollment_transfer_iff_paid"):
        Enrollment.objects.create(
            course=course,
            learner=learner,
            price=course.price,
            fee=ZERO,
            earnings=course.price,
            commission_rate=ZERO,
            enrolled_at=course.created_at,
            matures_at=course.created_at,
        )


def test_a_mistake_in_the_table_is_not_taken_for_a_second_enrollment():
    course = make_course()
    enrollment = Enrollment(
        course=course,
        learner=make_user(),
        price=ZERO,
        fee=ZERO,
        earnings=ZERO,
        commission_rate=ZERO,
        enrolled_at=course.created_at,
        matures_at=course.created_at - timedelta(days=1),
    )

    with refused_by("courses_enrollment_matures_after_enrolling"):
        selling.insert(enrollment)


def test_enrollments_and_refunds_are_never_deleted():
    enrollment = refund(enroll())

    for row in (enrollment.refund_rows.get(), enrollment):
        with refused_by("courses_append_only"):
            type(row).objects.filter(pk=row.pk)._raw_delete(using="default")


@pytest.mark.parametrize("table", ["enrollments", "enrollment_refunds"])
def test_tables_are_never_emptied(table):
    with refused_by("courses_append_only"), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table} CASCADE")


def test_a_refund_stays_as_it_was():
    enrollment = refund(enroll())

    with refused_by("courses_append_only"):
        EnrollmentRefund.objects.filter(enrollment=enrollment).update(reason="x")


def test_a_course_stays_with_its_coach():
    course = make_course()

    with refused_by("courses_course_identity"):
        Course.objects.filter(pk=course.pk).update(coach=make_coach())


# The proof finds what got past the guards.


BREAKS = [
    (
        "I14",
        "UPDATE enrollments SET earnings = earnings - 1, fee = fee + 1,"
        " commission_rate = 0.21",
    ),
    ("I14", "UPDATE enrollments SET learner_id = {stranger}"),
    ("I14", "UPDATE courses SET coach_id = {stranger}"),
    ("I14", "DELETE FROM enrollment_refunds; DELETE FROM enrollments"),
    ("I14", "UPDATE enrollment_refunds SET number = 7"),
    ("I14", "UPDATE enrollment_refunds SET shortfall = 1"),
    ("I15", "DELETE FROM enrollment_refunds"),
    ("I15", "UPDATE enrollments SET refunded_amount = 51"),
    ("I15", "UPDATE enrollments SET refunds = 3"),
    ("guard", "SELECT"),
]


@pytest.mark.parametrize(("invariant", "sql"), BREAKS)
def test_the_proof_finds_what_got_past_the_guards(invariant, sql):
    enrollment = enroll()
    refund(enrollment, amount=enrollment.price / 2)
    stranger = make_coach().pk
    assert proof.breaks() == []

    with transaction.atomic(), connection.cursor() as cursor:
        # What waits for the commit would keep the tables from being altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("courses", "enrollments", "enrollment_refunds"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql.format(stranger=stranger))
        found = {found.invariant for found in proof.breaks()}
        transaction.set_rollback(True)

    assert invariant in found
