"""Enrolling and refunding where the database's answer is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from courses.models import Enrollment
from tests.courses.asking import enroll, signed_in
from tests.courses.offers import make_course
from tests.credits_project.test_retries import connected_through
from tests.factories import balance_of, make_user


def ask(learner: Any, path: str, key: str | None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return signed_in(learner).post(
        f"/api/v1/{path}", {}, format="json", headers=headers
    )


@pytest.mark.parametrize("key", [None, "k"])
def test_an_enrollment_that_was_booked_is_answered_although_the_answer_was_lost(
    committed, key
):
    learner, course = make_user(balance="100.00"), make_course()

    with connected_through("answer lost"):
        answer = ask(learner, f"courses/{course.pk}/enroll", key)

    assert answer.status_code == 201
    assert answer.json()["balance_after"] == "0.00"
    assert Enrollment.objects.count() == 1
    assert balance_of(learner) == 0


def test_an_enrollment_that_was_not_booked_is_said_not_to_be_and_can_be_repeated(
    committed,
):
    learner, course = make_user(balance="100.00"), make_course()

    with connected_through("lost"):
        answer = ask(learner, f"courses/{course.pk}/enroll", "k")

    assert (answer.status_code, answer.json()["outcome"]) == (503, "not-done")
    assert ask(learner, f"courses/{course.pk}/enroll", "k").status_code == 201
    assert balance_of(learner) == 0


@pytest.mark.parametrize("key", [None, "k"])
def test_a_refund_that_was_booked_is_answered_although_the_answer_was_lost(
    committed, settings, key
):
    settings.REFUND_WINDOW_DAYS = 7
    learner = make_user(balance="100.00")
    place = enroll(learner, make_course(rate="0.1"))

    with connected_through("answer lost"):
        answer = ask(learner, f"enrollments/{place.pk}/refund", key)

    assert (answer.status_code, answer.json()["status"]) == (200, "refunded")
    assert balance_of(learner) == 100


def test_a_refund_that_was_not_booked_is_said_not_to_be_and_can_be_repeated(
    committed, settings
):
    settings.REFUND_WINDOW_DAYS = 7
    learner = make_user(balance="100.00")
    place = enroll(learner, make_course())

    with connected_through("lost"):
        answer = ask(learner, f"enrollments/{place.pk}/refund", None)

    assert (answer.status_code, answer.json()["outcome"]) == (503, "not-done")
    assert balance_of(learner) == 0
    assert ask(learner, f"enrollments/{place.pk}/refund", None).status_code == 200
    assert balance_of(learner) == 100
