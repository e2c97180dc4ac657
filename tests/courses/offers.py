"""Courses and enrollments for tests, made through the services."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from courses import services
from courses.models import Course
from tests.factories import make_coach


def make_course(
    coach: User | None = None,
    *,
    price: str = "100.00",
    status: str = "published",
    rate: str | None = None,
    **fields: Any,
) -> Course:
    """A course, published unless told otherwise, with its own commission if `rate`."""
    begins_as = "published" if status == "archived" else status
    course = services.create_course(
        coach=coach or make_coach(),
        title=fields.pop("title", "Bookkeeping for market stalls"),
        price=Decimal(price),
        status=begins_as,
        **fields,
    )
    if rate is not None:
        course = services.set_commission_rate(
            course_id=course.pk, rate=Decimal(rate), actor=None
        )
    if status == "archived":
        services.update_course(
            coach=course.coach, course_id=course.pk, status="archived"
        )
        course.refresh_from_db()
    return course
