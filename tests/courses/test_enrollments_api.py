from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.courses.asking import (
    NOT_FOUND,
    enroll,
    problem,
    problem_of_field,
    signed_in,
)
from tests.courses.offers import make_course
from tests.factories import balance_of, make_coach, make_staff, make_user

pytestmark = pytest.mark.django_db


def test_learners_list_their_own_and_coaches_those_in_their_courses():
    learner, coach = make_user(balance="100.00"), make_coach(balance="10.00")
    enrollment = enroll(learner, make_course(coach, price="40.00", rate="0.25"))
    enroll(make_user(balance="100.00"), make_course())

    of_learner = signed_in(learner).get("/api/v1/enrollments").json()["results"]
    of_coach = signed_in(coach).get("/api/v1/enrollments?role=coach").json()["results"]

    assert [row["id"] for row in of_learner] == [str(enrollment.pk)]
    assert [row["id"] for row in of_coach] == [str(enrollment.pk)]
    assert of_learner[0]["balance_after"] == "60.00"
    assert of_coach[0]["balance_after"] == "40.00"
    assert signed_in(coach).get("/api/v1/enrollments").json()["results"] == []


def test_coaches_learn_nothing_about_who_their_learners_are():
    learner = make_user("zikomo", balance="100.00", last_name="Phiri")
    course = make_course()
    enrollment = enroll(learner, course)
    client = signed_in(course.coach)

    for address in ("?role=coach", f"/{enrollment.pk}"):
        text = client.get(f"/api/v1/enrollments{address}").content.decode()
        assert str(enrollment.pk) in text
        for private in (learner.email, learner.username, "Phiri", "learner"):
            assert private not in text


def test_an_enrollment_is_found_by_its_learner_and_its_coach_alone():
    learner = make_user(balance="100.00")
    course = make_course()
    address = f"/api/v1/enrollments/{enroll(learner, course).pk}"

    assert signed_in(learner).get(address).status_code == 200
    assert signed_in(course.coach).get(address).status_code == 200
    for stranger in (make_user(), make_coach(), make_staff("support")):
        assert problem(signed_in(stranger).get(address)) == {
            **NOT_FOUND,
            "detail": "It does not exist, or it is not for you to see.",
        }


def test_an_unknown_role_is_refused():
    answer = signed_in(make_user()).get("/api/v1/enrollments?role=admin")

    assert problem(answer) == {
        "detail": "The query has a parameter that is not known or not valid.",
        **problem_of_field("?role", "invalid_choice", '"admin" is not a valid choice.'),
    }


def test_a_learner_takes_the_price_back_inside_the_window(settings):
    settings.REFUND_WINDOW_DAYS = 7
    learner = make_user(balance="100.00")
    enrollment = enroll(learner, make_course())

    answer = signed_in(learner).post(
        f"/api/v1/enrollments/{enrollment.pk}/refund",
        {"reason": "Not for me"},
        format="json",
    )

    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["refundable_until"]) == ("refunded", None)
    assert shown["refunded_at"] is not None
    assert balance_of(learner) == 100


def test_asking_for_the_refund_twice_gives_it_once_and_says_so(settings):
    settings.REFUND_WINDOW_DAYS = 7
    learner = make_user(balance="100.00")
    address = f"/api/v1/enrollments/{enroll(learner, make_course()).pk}/refund"
    client = signed_in(learner)

    first = client.post(address, HTTP_IDEMPOTENCY_KEY="r-1")
    same_key, no_key = (
        client.post(address, HTTP_IDEMPOTENCY_KEY="r-1"),
        client.post(address),
    )

    assert first.json() == same_key.json() == no_key.json()
    assert "Idempotent-Replayed" not in first
    assert same_key["Idempotent-Replayed"] == no_key["Idempotent-Replayed"] == "true"
    assert balance_of(learner) == 100


@pytest.mark.parametrize(
    ("days", "price", "detail"),
    [
        (0, "100.00", "This course has no refund window."),
        (7, "0.00", "The course was free."),
    ],
)
def test_what_cannot_be_refunded_is_refused_with_the_reason(
    settings, days, price, detail
):
    settings.REFUND_WINDOW_DAYS = days
    learner = make_user(balance="100.00")
    enrollment = enroll(learner, make_course(price=price))

    answer = signed_in(learner).post(f"/api/v1/enrollments/{enrollment.pk}/refund")

    assert problem(answer) == {
        "type": "/problems/not-refundable",
        "title": "This cannot be refunded.",
        "status": 409,
        "detail": detail,
    }


def test_after_the_window_a_refund_is_refused(settings):
    settings.REFUND_WINDOW_DAYS = 7
    learner = make_user(balance="100.00")
    then = timezone.now() - timedelta(days=8)
    enrollment = enroll(learner, make_course(), now=then)

    answer = signed_in(learner).post(f"/api/v1/enrollments/{enrollment.pk}/refund")

    closed = then + timedelta(days=7)
    assert problem(answer) == {
        "type": "/problems/not-refundable",
        "title": "This cannot be refunded.",
        "status": 409,
        "detail": f"The refund window closed at {closed:%Y-%m-%d %H:%M} UTC.",
    }


def test_nobody_but_the_learner_refunds_over_the_api(settings):
    settings.REFUND_WINDOW_DAYS = 7
    course = make_course()
    enrollment = enroll(make_user(balance="100.00"), course)

    for other in (course.coach, make_user(), make_staff("support")):
        answer = signed_in(other).post(f"/api/v1/enrollments/{enrollment.pk}/refund")
        assert problem(answer) == {
            **NOT_FOUND,
            "detail": "It does not exist, or it is not for you to see.",
        }


@pytest.mark.parametrize(
    "address",
    ["courses/{}", "courses/{}/quote", "enrollments/{}"],
)
def test_an_id_that_does_not_exist_is_not_found(address):
    answer = signed_in(make_user()).get(f"/api/v1/{address.format(uuid.uuid4())}")

    assert problem(answer)["type"] == "/problems/not-found"
