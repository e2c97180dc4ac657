"""Commissions: what part of a price is the platform's.

The most specific one that has begun wins: the course's own, then its coach's, then the
platform's, then the setting COMMISSION_RATE. A course is more specific than its coach,
as a coach has many: what was agreed on one course stands, whatever the coach's terms.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from courses.models import CommissionRate, Course
from courses.services.catalog import lock_course
from credits_project import audit
from credits_project.exceptions import InvalidInput, NotFound, PermissionDenied
from wallets.statements import constraint_of

ADD: Final = "courses.add_commissionrate"

_UNIQUE_START: Final = "courses_commissionrate_unique_start_of_"
_SCOPES: Final = ("course", "coach", "platform")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What part of a price is the platform's, and by which row."""

    # A fraction, 0.15 for 15 %.
    rate: Decimal
    # None where nothing but the setting says so.
    row: CommissionRate | None


def commission_of(course: Course, *, at: datetime) -> Commission:
    """Return the commission on a sale of the course at a moment."""
    # The newest of each scope, in one query.
    newest = (
        CommissionRate.objects.begun(at)
        .about(course)
        .order_by("course_id", "coach_id", "-effective_from")
        .distinct("course_id", "coach_id")
    )
    by_scope = {row.scope: row for row in newest}
    for scope in _SCOPES:
        row = by_scope.get(scope)
        if row is not None and row.rate is not None:
            return Commission(rate=row.rate, row=row)
    return Commission(rate=settings.COMMISSION_RATE, row=None)


@transaction.atomic
def set_commission_rate(
    *,
    course_id: uuid.UUID,
    rate: Decimal | None,
    actor: Any,
    effective_from: datetime | None = None,
    now: datetime | None = None,
) -> Course:
    """Give a course a commission of its own, or with None none any more.

    Raises:
        As `add_commission_rate`.
    """
    add_commission_rate(
        rate=rate,
        course_id=course_id,
        effective_from=effective_from,
        actor=actor,
        now=now,
    )
    return Course.objects.get(pk=course_id)


@transaction.atomic
def add_commission_rate(
    *,
    rate: Decimal | None,
    course_id: uuid.UUID | None = None,
    coach_id: int | None = None,
    effective_from: datetime | None = None,
    actor: Any = None,
    now: datetime | None = None,
) -> CommissionRate:
    """Set the commission of a course, of a coach, or of the platform. Return its row.

    Who is enrolled keeps the terms they had.

    Args:
        rate: a fraction, 0.15 for 15 %. None: no rate of its own from then on, so that
            the next less specific one holds.
        effective_from: from when on; now unless said, and never earlier.

    Raises:
        PermissionDenied: the actor may not set commissions.
        InvalidInput: not a fraction from 0 to 1 with at most four decimals, a moment
            that is past or taken, or both a course and a coach.
        NotFound: there is no such course or coach.
    """
    now = now or timezone.now()
    effective_from = effective_from or now
    _check_may(actor)
    _check_rate(rate)
    if effective_from < now:
        raise InvalidInput(
            "effective_from", "A commission begins now or later.", reason="min_value"
        )
    _check_scope(course_id, coach_id)
    row = CommissionRate(
        course_id=course_id,
        coach_id=coach_id,
        rate=rate,
        effective_from=effective_from,
        created_at=now,
        created_by=actor,
    )
    _insert(row)
    about = {"course": course_id, "coach": coach_id}
    facts = {name: str(pk) for name, pk in about.items() if pk is not None}
    audit.record(
        actor=actor,
        row=row,
        action="set commission",
        rate="none of its own" if rate is None else str(rate),
        effective_from=effective_from.isoformat(),
        **facts,
    )
    return row


@transaction.atomic
def cancel_commission_rate(
    *, commission_id: uuid.UUID, actor: Any, reason: str, now: datetime | None = None
) -> CommissionRate:
    """Call off a commission that has not begun. Doing so again changes nothing.

    Raises:
        PermissionDenied: the actor may not set commissions.
        InvalidInput: no reason is given, or it has begun.
        NotFound: there is no such commission.
    """
    now = now or timezone.now()
    _check_may(actor)
    if not reason.strip():
        raise InvalidInput("reason", "Say why it is cancelled.", reason="required")
    rows = CommissionRate.objects.select_for_update(no_key=True)
    row = rows.filter(pk=commission_id).first()
    if row is None:
        raise NotFound("There is no such commission.")
    if row.cancelled_at is not None:
        return row
    if row.effective_from <= now:
        raise InvalidInput(
            "commission", "It has begun: add another one that ends it instead."
        )
    row.cancelled_at = now
    row.save(update_fields=["cancelled_at"])
    audit.record(
        actor=actor, row=row, action="cancel commission", reason=reason.strip()
    )
    return row


def _check_may(actor: Any) -> None:
    if actor is not None and not (actor.is_active and actor.has_perm(ADD)):
        raise PermissionDenied("You may not set commissions.")


def _check_rate(rate: Decimal | None) -> None:
    if rate is None:
        return
    if not (rate.is_finite() and 0 <= rate <= 1):
        raise InvalidInput("commission_rate", "A rate is a fraction from 0 to 1.")
    if rate != round(rate, 4):
        raise InvalidInput(
            "commission_rate",
            "Ensure that there are no more than 4 decimal places.",
            reason="max_decimal_places",
        )


def _check_scope(course_id: uuid.UUID | None, coach_id: int | None) -> None:
    if course_id is not None and coach_id is not None:
        raise InvalidInput("coach", "Name a course or a coach, not both.")
    if course_id is not None:
        # Enrolling waits for it, and so sees either commission whole.
        lock_course(course_id=course_id)
    users = get_user_model()._default_manager
    if coach_id is not None and not users.filter(pk=coach_id).exists():
        raise NotFound("There is no such coach.")


def _insert(row: CommissionRate) -> None:
    try:
        # The savepoint stands beside its handler: PostgreSQL refuses every further
        # statement of a transaction in which one has failed.
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if constraint_of(error).startswith(_UNIQUE_START):
            raise InvalidInput(
                "effective_from",
                "Another one begins at that moment: cancel it, or choose another.",
                reason="unique",
            ) from error
        raise
