"""Enrolling: a place in a course for its price in credits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from courses.exceptions import AlreadyEnrolled, OwnCourse, PriceChanged
from courses.models import Course, Enrollment
from courses.services.selling import (
    Terms,
    check_on_offer,
    enrolled_among,
    insert,
    lock_against_changes,
    place_on_terms,
    sell,
    terms_of,
)
from credits_project import idempotency
from credits_project.exceptions import PermissionDenied
from credits_project.money import checked_amount
from wallets.exceptions import WalletFrozen
from wallets.models import CreditWallet
from wallets.services import wallet_id_of

SCOPE: Final = "enroll"


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
    terms = _terms(course, learner, at=timezone.now())
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
    course = lock_against_changes(course_id)
    now = now or timezone.now()
    terms = _terms(course, learner, at=now)
    assert course is not None, "its terms were refused otherwise"
    if price is not None and price != terms.price:
        raise PriceChanged(price=terms.price)
    enrollment = place_on_terms(terms, course, now=now, learner=learner)
    if idempotency_key is not None:
        enrollment.idempotency_key = idempotency_key
        enrollment.idempotency_digest = digest
    sell([enrollment], actor=learner)
    insert(enrollment)
    return enrollment


def find_enrollment(*, learner: Any, idempotency_key: str) -> Enrollment | None:
    """Return what was made under the learner's key, if anything was."""
    places = Enrollment.objects.filter(learner=learner)
    return places.filter(idempotency_key=idempotency_key).first()


def _lock_learner(learner_id: int) -> None:
    """Let one person enroll in one course at a time, and only while they may."""
    # With two at once, the second would look for an enrollment that the first has not
    # committed, and be told that credits are missing which it spent itself.
    users = get_user_model()._default_manager
    locked = users.select_for_update(no_key=True).filter(pk=learner_id)
    if not locked.values_list("is_active", flat=True).get():
        raise PermissionDenied("This account is closed.")


def _terms(course: Course | None, learner: Any, *, at: datetime) -> Terms:
    """Return the terms, or refuse; for quoting and enrolling alike."""
    if course is not None and course.coach_id == learner.pk:
        raise OwnCourse
    course = check_on_offer(course)
    if enrolled_among(course, [learner.pk]):
        raise AlreadyEnrolled
    return terms_of(course, at=at)
