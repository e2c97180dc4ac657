"""What coaches offer."""

from __future__ import annotations

import secrets
import uuid
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from courses.models import Course
from credits_project import audit
from credits_project.exceptions import InvalidInput, NotFound, PermissionDenied
from credits_project.money import checked_amount
from wallets.statements import constraint_of

PUBLISH: Final = "courses.publish_course"

_UNIQUE_SLUG: Final = "courses_course_unique_slug"
_SLUG_ATTEMPTS: Final = 5
_EDITABLE: Final = frozenset({"title", "summary", "description", "price", "status"})


@transaction.atomic
def create_course(
    *,
    coach: Any,
    title: str,
    price: Decimal,
    summary: str = "",
    description: str = "",
    status: str = Course.Status.DRAFT,
) -> Course:
    """Add a course of the coach's, a draft unless it is to be published at once.

    `price` is in credits; 0 makes it free.

    Raises:
        PermissionDenied: the user is no coach.
        InvalidInput: no title, a bad price, or a state that no course begins in.
    """
    _check_coach(coach)
    if status not in (Course.Status.DRAFT, Course.Status.PUBLISHED):
        raise InvalidInput(
            "status",
            "A new course is a draft or published.",
            reason="invalid_choice",
        )
    course = Course(
        coach=coach,
        title=_checked_title(title),
        summary=summary,
        description=description,
        price=_checked_price(price),
        status=status,
    )
    _insert_under_free_slug(course)
    return course


@transaction.atomic
def update_course(*, coach: Any, course_id: uuid.UUID, **changes: Any) -> Course:
    """Change the coach's own course: title, summary, description, price or status.

    The slug stays, as people may have linked to it.

    Raises:
        PermissionDenied: the user is no coach.
        NotFound: the course is not the coach's.
        InvalidTransition: the course cannot take that status now.
        InvalidInput: no title, or a bad price.
    """
    assert changes.keys() <= _EDITABLE, f"not for coaches: {changes.keys() - _EDITABLE}"
    _check_coach(coach)
    course = lock_course(course_id=course_id, coach=coach)
    if "title" in changes:
        changes["title"] = _checked_title(changes["title"])
    if "price" in changes:
        changes["price"] = _checked_price(changes["price"])
    wanted = changes.pop("status", course.status)
    for name, value in changes.items():
        setattr(course, name, value)
    if wanted != course.status:
        course.move_to(wanted)
        changes["status"] = wanted
    if changes:
        course.save(update_fields=[*changes, "updated_at"])
    return course


@transaction.atomic
def archive_course(*, course_id: uuid.UUID, actor: Any, reason: str) -> Course:
    """Take a course off the catalogue, as staff. Archiving it again changes nothing.

    Who is enrolled stays enrolled.

    Raises:
        InvalidInput: no reason is given.
        NotFound: there is no such course.
    """
    if not reason.strip():
        raise InvalidInput("reason", "Say why it is archived.", reason="required")
    course = lock_course(course_id=course_id)
    if course.status != Course.Status.ARCHIVED:
        course.move_to(Course.Status.ARCHIVED)
        course.save(update_fields=["status", "updated_at"])
        audit.record(actor=actor, row=course, action="archive", reason=reason.strip())
    return course


def _check_coach(user: Any) -> None:
    if not (user.is_active and user.has_perm(PUBLISH)):
        raise PermissionDenied("Only coaches may offer courses.")


def lock_course(*, course_id: uuid.UUID, **owner: Any) -> Course:
    """Return the course, locked against enrolling until the transaction ends.

    Raises:
        NotFound: there is no such course, or it is not the owner's.
    """
    courses = Course.objects.select_for_update(no_key=True)
    course = courses.filter(pk=course_id, **owner).first()
    if course is None:
        raise NotFound("There is no such course.")
    return course


def _checked_title(title: str) -> str:
    if not (title := title.strip()):
        raise InvalidInput("title", "A course has a title.", reason="blank")
    if len(title) > 200:
        raise InvalidInput("title", "No more than 200 characters.", reason="max_length")
    return title


def _checked_price(price: Decimal) -> Decimal:
    price = checked_amount(price, field="price")
    if price < 0:
        raise InvalidInput(
            "price", "The price must not be below zero.", reason="min_value"
        )
    return price


def _insert_under_free_slug(course: Course) -> None:
    """Insert the course under the slug of its title, with an ending where it is taken.

    The insert itself is the question whether the slug is free: any other would be
    answered too early.
    """
    base = slugify(course.title)[:200].strip("-") or "course"
    course.slug = base
    for _ in range(_SLUG_ATTEMPTS - 1):
        try:
            # The savepoint stands beside its handler: PostgreSQL refuses every further
            # statement of a transaction in which one has failed.
            with transaction.atomic():
                course.save(force_insert=True)
            return
        except IntegrityError as error:
            if constraint_of(error) != _UNIQUE_SLUG:
                raise
            # Random: counting up would try every number that is taken, each time.
            course.slug = f"{base}-{secrets.token_hex(4)}"
    course.save(force_insert=True)
