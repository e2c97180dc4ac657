"""Enrolling: a place in a course for its price in credits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from courses.exceptions import (
    AlreadyEnrolled,
    CourseNotAvailable,
    OwnCourse,
    PriceChanged,
)
from courses.models import Course, Enrollment
from credits_project import idempotency
from credits_project.exceptions import NotFound, PermissionDenied
from credits_project.ids import new_id
from credits_project.money import ZERO, checked_amount, split_fee
from wallets.exceptions import WalletFrozen
from wallets.models import CreditTransfer, CreditWallet
from wallets.services import Leg, TransactionType, place_hold, post, wallet_id_of
from wallets.statements import constraint_of
from wallets.system import system_wallet_id

SCOPE: Final = "enroll"

_ONE_ACTIVE: Final = "courses_enrollment_one_active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a learner would pay for a course now and who would get it, in credits."""

    price: Decimal
    fee: Decimal
    earnings: Decimal
    # A fraction, 0.15 for 15 %.
    commission_rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The terms beside what the learner has, in credits."""

    price: Decimal
    fee: Decimal
    earnings: Decimal
    available: Decimal
    enough: bool


def quote(*, learner: Any, course_id: uuid.UUID) -> Quote:
    """Return what enrolling now would do; too few credits are told, not refused.

    Raises:
        As `enroll_with_credits`, but for PriceChanged and InsufficientCredits.
    """
    course = Course.objects.select_related("coach").filter(pk=course_id).first()
    terms = _terms(course, learner)
    wallet = CreditWallet.objects.get(pk=wallet_id_of(user_id=learner.pk))
    if terms.price and wallet.frozen_at is not None:
        raise WalletFrozen
    return Quote(
        price=terms.price,
        fee=terms.fee,
        earnings=terms.earnings,
        available=wallet.available,
        enough=wallet.available >= terms.price,
    )


@transaction.atomic
def enroll_with_credits(
    *,
    learner: Any,
    course_id: uuid.UUID,
    price: Decimal | None = None,
    idempotency_key: str | None = None,
    now: datetime | None = None,
) -> Enrollment:
    """Enroll the learner for the course's price. Return the enrollment.

    One transfer takes the price from the learner and gives the coach what is left of it
    after the commission. Within the refund window the coach's part is held. A free
    course moves nothing.

    Args:
        price: what the client saw, in credits; None takes whatever it costs now.
        idempotency_key: the client's; a repeat returns the first enrollment with
            `is_replay` set.

    Raises:
        NotFound: there is no such course, or it is somebody's draft.
        CourseNotAvailable: it is archived, or its coach's account was closed.
        OwnCourse: the learner is its coach.
        AlreadyEnrolled: the learner is in it.
        PriceChanged: it does not cost `price`.
        InsufficientCredits, WalletFrozen: the learner cannot pay.
        PermissionDenied: the learner's account was closed.
        RequestInProgress, IdempotencyKeyReused: see `credits_project.idempotency`.
    """
    if price is not None:
        price = checked_amount(price, field="price")
    digest = idempotency.digest_of(course=course_id, price=price)
    if idempotency_key is not None:
        idempotency.claim(user_id=learner.pk, scope=SCOPE, key=idempotency_key)
        rows = Enrollment.objects.filter(learner=learner)
        earlier = idempotency.earlier(rows, key=idempotency_key, digest=digest)
        if earlier is not None:
            return earlier
    _lock_learner(learner.pk)
    course = _lock_course(course_id)
    terms = _terms(course, learner)
    assert course is not None, "its terms were refused otherwise"
    if price is not None and price != terms.price:
        raise PriceChanged(price=terms.price)
    enrollment = _on_terms(terms, course, learner, now=now or timezone.now())
    if idempotency_key is not None:
        enrollment.idempotency_key = idempotency_key
        enrollment.idempotency_digest = digest
    if terms.price:
        enrollment.transfer = _pay(enrollment, course)
    _insert(enrollment)
    return enrollment


def _lock_learner(learner_id: int) -> None:
    """Let one person enroll in one course at a time, and only while they may."""
    # With two at once, the second would look for an enrollment that the first has not
    # committed, and be told that credits are missing which it spent itself.
    users = get_user_model()._default_manager
    locked = users.select_for_update(no_key=True).filter(pk=learner_id)
    if not locked.values_list("is_active", flat=True).get():
        raise PermissionDenied("This account is closed.")


def _lock_course(course_id: uuid.UUID) -> Course | None:
    """Return the course as it stays until the transaction ends."""
    # FOR SHARE, which the ORM does not know: the price cannot change meanwhile, and
    # learners of one course do not queue for its row.
    found = Course.objects.raw(
        "SELECT * FROM courses WHERE id = %s FOR SHARE", [course_id]
    )
    return next(iter(found), None)


def _terms(course: Course | None, learner: Any) -> Terms:
    """Return the terms, or refuse; for quoting and enrolling alike."""
    if course is None:
        raise NotFound("There is no such course.")
    if course.coach_id == learner.pk:
        raise OwnCourse
    if course.status == Course.Status.DRAFT:
        raise NotFound("There is no such course.")
    if course.status != Course.Status.PUBLISHED or not course.coach.is_active:
        raise CourseNotAvailable
    if Enrollment.objects.active().filter(course=course, learner=learner).exists():
        raise AlreadyEnrolled
    rate = course.commission_rate
    if rate is None:
        rate = settings.COMMISSION_RATE
    fee, earnings = split_fee(course.price, fee_rate=rate)
    return Terms(price=course.price, fee=fee, earnings=earnings, commission_rate=rate)


def _on_terms(
    terms: Terms, course: Course, learner: Any, *, now: datetime
) -> Enrollment:
    return Enrollment(
        pk=new_id(),
        course=course,
        learner=learner,
        price=terms.price,
        fee=terms.fee,
        earnings=terms.earnings,
        commission_rate=terms.commission_rate,
        enrolled_at=now,
        matures_at=now + timedelta(days=settings.REFUND_WINDOW_DAYS),
    )


def _pay(enrollment: Enrollment, course: Course) -> CreditTransfer:
    """Move the price, and hold the coach's part until the window closes."""
    coach_wallet_id = wallet_id_of(user_id=course.coach_id)
    legs = [
        Leg(
            wallet_id=wallet_id_of(user_id=enrollment.learner_id),
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
    transfer = post(
        # A leg of zero does not exist: no commission, or nothing but commission.
        *(leg for leg in legs if leg.amount),
        key=f"enrollment:{enrollment.pk}",
        description=f"Course: {course.title}",
        actor=enrollment.learner,
        metadata={
            "enrollment": str(enrollment.pk),
            "course": str(course.pk),
            "title": course.title,
        },
    )
    if enrollment.earnings > ZERO and enrollment.matures_at > enrollment.enrolled_at:
        place_hold(
            wallet_id=coach_wallet_id,
            amount=enrollment.earnings,
            key=f"enrollment:{enrollment.pk}",
            reason="Earnings within the refund window",
            releases_at=enrollment.matures_at,
        )
    return transfer


def _insert(enrollment: Enrollment) -> None:
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
