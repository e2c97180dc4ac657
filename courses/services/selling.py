"""What selling a place takes, whether the learner pays for it or a sponsor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from courses.exceptions import AlreadyEnrolled, CourseNotAvailable
from courses.models import Course, Enrollment
from courses.services.commission import Commission, commission_of
from courses.services.holding import hold_earnings
from credits_project.exceptions import NotFound
from credits_project.ids import new_id
from credits_project.money import split_fee
from wallets.services import Leg, Posting, TransactionType, post_many, wallet_id_of
from wallets.statements import constraint_of
from wallets.system import system_wallet_id

_ONE_ACTIVE: Final = "courses_enrollment_one_active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a place costs now and who would get it, in credits."""

    price: Decimal
    fee: Decimal
    earnings: Decimal
    commission: Commission


def lock_against_changes(course_id: UUID) -> Course | None:
    """Return the course as it stays until the transaction ends."""
    # FOR SHARE, which the ORM does not know: the price cannot change meanwhile, and
    # learners of one course do not queue for its row.
    found = Course.objects.raw(
        "SELECT * FROM courses WHERE id = %s FOR SHARE", [course_id]
    )
    return next(iter(found), None)


def check_on_offer(course: Course | None) -> Course:
    """Return the course if it takes learners.

    Raises:
        NotFound: there is no such course, or it is somebody's draft.
        CourseNotAvailable: it is archived, or its coach's account was closed.
    """
    if course is None or course.status == Course.Status.DRAFT:
        raise NotFound("There is no such course.")
    if course.status != Course.Status.PUBLISHED or not course.coach.is_active:
        raise CourseNotAvailable
    return course


def enrolled_among(course: Course, learner_ids: Collection[int]) -> set[int]:
    """Return those of the learners who are in the course now."""
    places = Enrollment.objects.active().filter(
        course=course, learner_id__in=learner_ids
    )
    return set(places.values_list("learner_id", flat=True))


def terms_of(course: Course, *, at: datetime) -> Terms:
    """Return what a place in the course costs at a moment, and who gets it."""
    commission = commission_of(course, at=at)
    fee, earnings = split_fee(course.price, fee_rate=commission.rate)
    return Terms(price=course.price, fee=fee, earnings=earnings, commission=commission)


def place_on_terms(
    terms: Terms, course: Course, *, now: datetime, **people: Any
) -> Enrollment:
    """Return a new place, not yet paid for and not yet saved."""
    return Enrollment(
        pk=new_id(),
        course=course,
        price=terms.price,
        fee=terms.fee,
        earnings=terms.earnings,
        commission_rate=terms.commission.rate,
        commission=terms.commission.row,
        enrolled_at=now,
        matures_at=now + timedelta(days=settings.REFUND_WINDOW_DAYS),
        **people,
    )


def sell(enrollments: Sequence[Enrollment], *, actor: Any) -> None:
    """Move the price of each place, and hold the coach's part until its window closes.

    The places are of one course on one payer's account, and not saved yet.
    """
    first = enrollments[0]
    if not first.price:
        return
    coach_wallet_id = wallet_id_of(user_id=first.course.coach_id)
    payer_wallet_id = wallet_id_of(user_id=first.paid_by_id)
    transfers = post_many(
        [
            _posting_of(
                enrollment,
                actor=actor,
                payer_wallet_id=payer_wallet_id,
                coach_wallet_id=coach_wallet_id,
            )
            for enrollment in enrollments
        ]
    )
    for enrollment, transfer in zip(enrollments, transfers, strict=True):
        enrollment.transfer = transfer
        hold_earnings(
            enrollment,
            enrollment.earnings,
            wallet_id=coach_wallet_id,
            refunds=0,
            now=enrollment.enrolled_at,
        )


def insert(enrollment: Enrollment) -> None:
    """Save a new place.

    Raises:
        AlreadyEnrolled: the learner got one meanwhile.
    """
    try:
        # The savepoint stands beside its handler: PostgreSQL refuses every further
        # statement of a transaction in which one has failed.
        with transaction.atomic():
            enrollment.save(force_insert=True)
    except IntegrityError as error:
        # Reached only by whoever has not locked the learner.
        if constraint_of(error) == _ONE_ACTIVE:
            raise AlreadyEnrolled from error
        raise


def _posting_of(
    enrollment: Enrollment, *, actor: Any, payer_wallet_id: UUID, coach_wallet_id: UUID
) -> Posting:
    """Return the transfer of the price: from who pays to coach and platform."""
    course = enrollment.course
    legs = [
        Leg(
            wallet_id=payer_wallet_id,
            amount=-enrollment.price,
            transaction_type=TransactionType.COURSE_PAYMENT,
        ),
        Leg(
            wallet_id=coach_wallet_id,
            amount=enrollment.earnings,
            transaction_type=TransactionType.COURSE_PAYMENT,
        ),
        Leg(
            wallet_id=system_wallet_id("revenue", cause=enrollment.pk),
            amount=enrollment.fee,
            transaction_type=TransactionType.PLATFORM_FEE,
        ),
    ]
    metadata = {
        "enrollment": str(enrollment.pk),
        "course": str(course.pk),
        "title": course.title,
    }
    if enrollment.payer_id is not None:
        metadata["learner"] = str(enrollment.learner_id)
    return Posting(
        # A leg of zero does not exist: no commission, or nothing but commission.
        legs=tuple(leg for leg in legs if leg.amount),
        key=f"enrollment:{enrollment.pk}",
        description=f"Course: {course.title}",
        actor_id=None if actor is None else actor.pk,
        metadata=metadata,
    )
