"""Enrolling people at a sponsor's cost."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from courses.exceptions import AlreadyEnrolled, OwnCourse
from courses.models import Course, Enrollment
from courses.services.selling import (
    check_on_offer,
    enrolled_among,
    lock_against_changes,
    place_on_terms,
    sell,
    terms_of,
)
from credits_project.exceptions import DomainError, InvalidInput, PermissionDenied


class PeopleRefused(Exception):
    """Some of the people cannot be enrolled, each for a reason of their own.

    For whoever made a list of them, who tells it line by line.
    """

    def __init__(self, reasons: dict[int, DomainError]) -> None:
        super().__init__(f"{len(reasons)} of the people cannot be enrolled.")
        self.reasons = reasons


def enroll_sponsored(
    *,
    learner_ids: Sequence[int],
    course_id: uuid.UUID,
    sponsor_id: int,
    actor: Any,
    now: datetime,
) -> dict[int, Enrollment]:
    """Enroll all of the learners, or nobody, out of the sponsor's wallet.

    Return their enrollments by learner. Called within a transaction.

    Raises:
        PeopleRefused: somebody is in the course, is its coach or the sponsor, or has a
            closed account.
        NotFound, CourseNotAvailable: the course takes nobody.
        OwnCourse: the sponsor is its coach.
        InsufficientCredits, WalletFrozen: the sponsor cannot pay for all of them.
    """
    active = _lock_learners(learner_ids)
    course = check_on_offer(lock_against_changes(course_id))
    if course.coach_id == sponsor_id:
        raise OwnCourse
    refused = dict(_refusals(course, active, sponsor_id))
    if refused:
        raise PeopleRefused(refused)
    terms = terms_of(course, at=now)
    places = [
        place_on_terms(
            terms, course, now=now, learner_id=learner_id, payer_id=sponsor_id
        )
        for learner_id in learner_ids
    ]
    sell(places, actor=actor)
    Enrollment.objects.bulk_create(places)
    return {place.learner_id: place for place in places}


def _lock_learners(learner_ids: Sequence[int]) -> dict[int, bool]:
    """Lock the learners against enrolling; return whether each account is open."""
    users = get_user_model()._default_manager
    # In the order of their ids: two lists that share people queue up.
    locked = users.select_for_update(no_key=True).filter(pk__in=learner_ids)
    return dict(locked.order_by("pk").values_list("pk", "is_active"))


def _refusals(
    course: Course, active: dict[int, bool], sponsor_id: int
) -> Iterator[tuple[int, DomainError]]:
    enrolled = enrolled_among(course, list(active))
    for learner_id, is_active in active.items():
        if not is_active:
            yield learner_id, PermissionDenied("This account is closed.")
        elif learner_id == sponsor_id:
            yield learner_id, InvalidInput("person", "This is the sponsor.")
        elif learner_id == course.coach_id:
            yield learner_id, OwnCourse()
        elif learner_id in enrolled:
            yield learner_id, AlreadyEnrolled()
