"""Reads of the catalogue and of enrollments that feed more than one edge."""

from __future__ import annotations

from typing import Any

from django.db.models import (
    BooleanField,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)

from courses.models import Course, Enrollment
from wallets.models import CreditTransaction


def published_courses(*, user: Any) -> QuerySet[Course]:
    """Return the courses on offer, as `user` sees them; see `visible_courses`."""
    return _shown(Course.objects.published(), user)


def courses_of_coach(*, user: Any) -> QuerySet[Course]:
    """Return the user's own courses in any state; see `visible_courses`."""
    return _shown(Course.objects.of_coach(user), user)


def visible_courses(*, user: Any) -> QuerySet[Course]:
    """Return the courses that `user`, signed in or not, may look at.

    Those on offer, one's own, and those that one is enrolled in. Each has its `coach`
    and `enrolled`: whether the user is in it now, None for a visitor.
    """
    courses = Course.objects.published()
    if user.is_authenticated:
        is_in = Exists(_places(user))
        courses = Course.objects.filter(
            Q(status=Course.Status.PUBLISHED, coach__is_active=True)
            | Q(coach=user)
            | Q(is_in, status=Course.Status.ARCHIVED)
        )
    return _shown(courses, user)


def enrollments_of_learner(*, user: Any) -> QuerySet[Enrollment]:
    """Return the user's own enrollments; see `visible_enrollments`."""
    return _with_balance(Enrollment.objects.filter(learner=user), user)


def enrollments_of_coach(*, user: Any) -> QuerySet[Enrollment]:
    """Return the enrollments in the user's courses; see `visible_enrollments`."""
    return _with_balance(Enrollment.objects.filter(course__coach=user), user)


def visible_enrollments(*, user: Any) -> QuerySet[Enrollment]:
    """Return the enrollments of the user, and those in the user's courses.

    Each has its `course` and `balance_after`: the user's balance right after the
    enrollment's transfer, in credits; None where that did not touch their wallet.
    """
    return _with_balance(
        Enrollment.objects.filter(Q(learner=user) | Q(course__coach=user)), user
    )


def _places(user: Any) -> QuerySet[Enrollment]:
    return Enrollment.objects.active().filter(course=OuterRef("pk"), learner=user)


def _shown(courses: QuerySet[Course], user: Any) -> QuerySet[Course]:
    enrolled: Any = Value(None, output_field=BooleanField(null=True))
    if user.is_authenticated:
        enrolled = Exists(_places(user))
    return courses.select_related("coach").annotate(enrolled=enrolled)


def _with_balance(enrollments: QuerySet[Enrollment], user: Any) -> QuerySet[Enrollment]:
    rows = CreditTransaction.objects.filter(
        transfer=OuterRef("transfer_id"), wallet__user=user
    )
    return enrollments.select_related("course").annotate(
        balance_after=Subquery(rows.values("balance_after")[:1])
    )
