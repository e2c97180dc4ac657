"""Courses and enrollments for tests, made through the services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from courses import services
from courses.models import Course, Enrollment
from tests.factories import make_coach, make_user
from wallets.models import CreditWallet
from wallets.services import transfer_credits
from wallets.system import system_wallet_id

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(days=14)
# When commissions of the tests begin: before whatever moment a test sells at.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


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
            course_id=course.pk, rate=Decimal(rate), actor=None, now=LONG_AGO
        )
    if status == "archived":
        services.update_course(
            coach=course.coach, course_id=course.pk, status="archived"
        )
        course.refresh_from_db()
    return course


def sell(
    price: str = "100.00",
    rate: str = "0.2",
    learner: User | None = None,
    coach: User | None = None,
) -> Enrollment:
    """A learner with exactly the price, enrolled at NOW."""
    return services.enroll_with_credits(
        learner=learner or make_user("learner", balance=price),
        course_id=make_course(coach, price=price, rate=rate).pk,
        now=NOW,
    )


def spend(user: User, amount: str) -> None:
    """Let the user give credits away."""
    transfer_credits(
        from_user_id=user.pk, to_user_id=make_user().pk, amount=Decimal(amount)
    )


def revenue_of(enrollment: Enrollment) -> Decimal:
    """The balance of the part of the revenue that the enrollment's fee went to."""
    wallet_id = system_wallet_id("revenue", cause=enrollment.pk)
    return CreditWallet.objects.get(pk=wallet_id).balance
