"""The history of commissions comes to a database that has courses and sales."""

from __future__ import annotations

from decimal import Decimal

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from courses import services
from courses.models import CommissionRate, Course, Enrollment
from tests.courses.offers import make_course
from tests.factories import make_user

BEFORE = ("courses", "0002_enrollment_transitions")


def migrate(*target: tuple[str, str]) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([*target] or executor.loader.graph.leaf_nodes())


def test_rates_of_courses_become_history_and_back_with_all_that_was_sold(committed):
    own, plain = make_course(rate="0.25"), make_course()
    sold = services.enroll_with_credits(
        learner=make_user(balance="100.00"), course_id=own.pk
    )

    migrate(BEFORE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, commission_rate FROM courses")
        rates = dict(cursor.fetchall())
    migrate()

    assert rates == {own.pk: Decimal("0.2500"), plain.pk: None}
    row = CommissionRate.objects.get()
    assert (row.course_id, row.rate, row.created_by_id) == (
        own.pk,
        Decimal("0.2500"),
        None,
    )
    assert Enrollment.objects.get(pk=sold.pk).fee == Decimal("25.00")
    again = services.enroll_with_credits(
        learner=make_user(balance="100.00"), course_id=own.pk
    )
    assert (again.fee, again.commission) == (Decimal("25.00"), row)
    assert Course.objects.count() == 2
