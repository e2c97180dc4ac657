from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from courses.models import Enrollment
from tests.courses.asking import (
    enroll,
    problem,
    problem_of_field,
    signed_in,
)
from tests.courses.offers import make_course
from tests.factories import balance_of, make_coach, make_user, wallet_of
from wallets.services import freeze_wallet

pytestmark = pytest.mark.django_db


def test_enrolling_answers_with_exactly_the_enrollment(settings):
    settings.REFUND_WINDOW_DAYS = 7
    learner = make_user(balance="150.00")
    course = make_course(price="100.00", title="Sewing")

    answer = signed_in(learner).post(
        f"/api/v1/courses/{course.pk}/enroll", {"price": "100.00"}, format="json"
    )

    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer
    enrollment = Enrollment.objects.get(learner=learner)
    shown = answer.json()
    assert shown == {
        "id": str(enrollment.pk),
        "course": {"id": str(course.pk), "title": "Sewing"},
        "status": "active",
        "price": "100.00",
        "refundable_until": shown["refundable_until"],
        "transfer": str(enrollment.transfer_id),
        "balance_after": "50.00",
        "enrolled_at": shown["enrolled_at"],
        "refunded_at": None,
    }
    assert shown["refundable_until"].endswith("Z")


def test_enrolling_needs_no_body():
    learner = make_user(balance="100.00")

    answer = signed_in(learner).post(f"/api/v1/courses/{make_course().pk}/enroll")

    assert answer.status_code == 201
    assert answer.json()["refundable_until"] is None


def test_enrolling_in_a_free_course_shows_no_transfer():
    course = make_course(price="0.00")

    shown = signed_in(make_user()).post(f"/api/v1/courses/{course.pk}/enroll").json()

    assert (shown["price"], shown["transfer"], shown["balance_after"]) == (
        "0.00",
        None,
        None,
    )


def test_a_repeat_with_the_same_key_answers_the_same_and_says_so():
    learner = make_user(balance="100.00")
    address = f"/api/v1/courses/{make_course().pk}/enroll"
    client = signed_in(learner)
    key: Any = {"HTTP_IDEMPOTENCY_KEY": "once"}

    first = client.post(address, {"price": 100}, format="json", **key)
    again = client.post(address, {"price": "100.00"}, format="json", **key)
    other = client.post(address, {}, format="json", **key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert problem(other)["type"] == "/problems/idempotency-key-reused"
    assert balance_of(learner) == 0


def test_an_empty_key_is_refused():
    answer = signed_in(make_user()).post(
        f"/api/v1/courses/{make_course().pk}/enroll", HTTP_IDEMPOTENCY_KEY=""
    )

    assert problem(answer) == {
        "detail": "An Idempotency-Key has 1 to 255 visible ASCII characters.",
        **problem_of_field(
            "Idempotency-Key",
            "invalid",
            "An Idempotency-Key has 1 to 255 visible ASCII characters.",
        ),
    }


def already_enrolled(learner):
    course = make_course()
    enroll(learner, course)
    return course


def of_frozen_learner(learner):
    freeze_wallet(wallet_id=wallet_of(learner).pk, actor=learner, reason="checks")
    return make_course()


REFUSALS: dict[str, tuple[Any, dict[str, Any]]] = {
    "insufficient-credits": (
        lambda learner: make_course(price="500.01"),
        {
            "title": "The wallet does not hold enough credits.",
            "status": 409,
            "detail": "500.01 credits are required and 500.00 are available.",
            "available": "500.00",
            "required": "500.01",
        },
    ),
    "wallet-frozen": (
        of_frozen_learner,
        {
            "title": "The wallet is frozen.",
            "status": 409,
            "detail": (
                "The wallet is frozen: it can receive credits and pays none."
                " Please contact support."
            ),
        },
    ),
    "already-enrolled": (
        already_enrolled,
        {
            "title": "You are enrolled in this course already.",
            "status": 409,
            "detail": "Nothing was paid again.",
        },
    ),
    "course-not-available": (
        lambda learner: make_course(status="archived"),
        {
            "title": "The course is not available.",
            "status": 409,
            "detail": "This course takes no new learners.",
        },
    ),
    "own-course": (
        lambda learner: make_course(learner),
        {
            "title": "This is your own course.",
            "status": 409,
            "detail": "Coaches cannot enroll in their own courses.",
        },
    ),
    "not-found": (
        lambda learner: make_course(status="draft"),
        {
            "title": "There is nothing at this address for you.",
            "status": 404,
            "detail": "There is no such course.",
        },
    ),
}


@pytest.mark.parametrize("slug", REFUSALS)
def test_a_refused_enrollment_says_why_and_moves_nothing(slug):
    learner = make_coach(balance="500.00")
    arrange, expected = REFUSALS[slug]
    course = arrange(learner)
    before = (balance_of(learner), Enrollment.objects.count())

    answer = signed_in(learner).post(f"/api/v1/courses/{course.pk}/enroll")

    assert problem(answer) == {"type": f"/problems/{slug}", **expected}
    assert (balance_of(learner), Enrollment.objects.count()) == before


def test_a_price_that_has_changed_is_refused_with_the_price_now():
    learner = make_user(balance="500.00")
    course = make_course(price="120.00")

    answer = signed_in(learner).post(
        f"/api/v1/courses/{course.pk}/enroll", {"price": "100.00"}, format="json"
    )

    assert problem(answer) == {
        "type": "/problems/price-changed",
        "title": "The price has changed.",
        "status": 409,
        "detail": "The course costs 120.00 credits now.",
        "price": "120.00",
    }
    assert balance_of(learner) == 500


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"price": "1.001"}, "price", "max_decimal_places"),
        ({"price": "NaN"}, "price", "invalid"),
        ({"price": "-1"}, "price", "min_value"),
        ({"learner": 1}, "learner", "unknown"),
    ],
)
def test_an_enrollment_of_another_form_is_refused(body, field, code):
    learner = make_user(balance="500.00")

    answer = signed_in(learner).post(
        f"/api/v1/courses/{make_course().pk}/enroll", body, format="json"
    )

    told = problem(answer)
    assert told == problem_of_field(f"#/{field}", code, told["errors"][0]["detail"])
    assert balance_of(learner) == 500


def test_the_quote_says_what_enrolling_would_do(settings):
    settings.COMMISSION_RATE = Decimal("0.10")
    course = make_course(price="99.99")

    answer = signed_in(make_user(balance="50.00")).get(
        f"/api/v1/courses/{course.pk}/quote"
    )

    assert answer.status_code == 200
    assert answer.json() == {
        "price": "99.99",
        "fee": "10.00",
        "earnings": "89.99",
        "available": "50.00",
        "enough": False,
    }


def test_visitors_get_no_quote_and_cannot_enroll():
    address = f"/api/v1/courses/{make_course().pk}"

    for answer in (
        APIClient().get(f"{address}/quote"),
        APIClient().post(f"{address}/enroll"),
    ):
        assert problem(answer)["type"] == "/problems/not-authenticated"
