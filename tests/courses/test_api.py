from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from courses import services
from courses.models import Course, Enrollment
from tests.courses.offers import make_course
from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from wallets.services import freeze_wallet

pytestmark = pytest.mark.django_db
FORM = "The request does not have the expected form."
NOT_FOUND = {
    "type": "/problems/not-found",
    "title": "There is nothing at this address for you.",
    "status": 404,
}


def signed_in(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def problem(answer: Any) -> dict[str, Any]:
    """The whole problem, but for the id of the request."""
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    body.pop("request_id", None)
    assert answer.status_code == body["status"]
    return body


def problem_of_field(field: str, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "/problems/invalid-request",
        "title": FORM,
        "status": 400,
        "errors": [{"pointer": field, "code": code, "detail": detail}],
    }


def titles(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [course["title"] for course in answer.json()["results"]]


def enroll(learner: Any, course: Course, **options: Any) -> Enrollment:
    return services.enroll_with_credits(learner=learner, course_id=course.pk, **options)


# The catalogue


def test_visitors_see_published_courses_newest_first_and_nothing_else():
    for status in ("published", "draft", "archived"):
        make_course(title=status, status=status)
    make_course(title="newer")
    make_course(make_coach(is_active=True), title="of a closed account")
    closed = Course.objects.get(title="of a closed account").coach
    closed.is_active = False
    closed.save(update_fields=["is_active"])

    assert titles(APIClient().get("/api/v1/courses")) == ["newer", "published"]


def test_a_course_is_shown_with_exactly_its_fields():
    coach = make_coach(last_name="Banda")
    course = make_course(
        coach,
        price="12.50",
        title="Sewing",
        summary="In short",
        description="At length",
    )

    answer = APIClient().get(f"/api/v1/courses/{course.pk}")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": str(course.pk),
        "title": "Sewing",
        "slug": "sewing",
        "summary": "In short",
        "description": "At length",
        "price": "12.50",
        "status": "published",
        "coach": {"id": coach.pk, "name": "Coach Banda"},
        "enrolled": None,
    }


def test_a_coach_without_a_name_is_not_named_by_their_address():
    coach = make_coach()
    coach.first_name = ""
    coach.save(update_fields=["first_name"])
    course = make_course(coach)

    shown = APIClient().get(f"/api/v1/courses/{course.pk}").json()

    assert shown["coach"] == {"id": coach.pk, "name": f"Coach {coach.pk}"}


def test_enrolled_is_about_the_caller_and_ends_with_a_refund():
    learner, other = make_user(balance="100.00"), make_user(balance="100.00")
    course = make_course()
    enrollment = enroll(learner, course)
    enroll(other, make_course())

    def seen_by(user):
        return signed_in(user).get(f"/api/v1/courses/{course.pk}").json()["enrolled"]

    assert (seen_by(learner), seen_by(other)) == (True, False)
    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=None, reason="returned"
    )
    assert seen_by(learner) is False


def test_coaches_list_their_own_courses_in_every_state():
    coach = make_coach()
    for status in ("published", "draft", "archived"):
        make_course(coach, title=status, status=status)
    make_course(title="somebody else's")

    mine = signed_in(coach).get("/api/v1/courses?mine=true")

    assert titles(mine) == ["archived", "draft", "published"]
    assert titles(signed_in(make_user()).get("/api/v1/courses?mine=true")) == []


def test_visitors_have_no_courses_of_their_own():
    answer = APIClient().get("/api/v1/courses?mine=true")

    assert problem(answer) == {
        "type": "/problems/not-authenticated",
        "title": "You are not signed in.",
        "status": 401,
        "detail": "Authentication credentials were not provided.",
    }


def test_an_unknown_filter_is_refused():
    answer = APIClient().get("/api/v1/courses?coach__password=x")

    assert problem(answer) == {
        "detail": "The query has a parameter that is not known or not valid.",
        **problem_of_field("?coach__password", "unknown", "This field is not known."),
    }


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_a_course_that_is_not_published_is_seen_by_its_coach_alone(status):
    course = make_course(status=status)
    address = f"/api/v1/courses/{course.pk}"

    assert signed_in(course.coach).get(address).status_code == 200
    for client in (APIClient(), signed_in(make_coach())):
        assert problem(client.get(address)) == {
            **NOT_FOUND,
            "detail": "It does not exist, or it is not for you to see.",
        }


def test_who_is_enrolled_still_sees_the_course_once_it_is_archived():
    learner = make_user(balance="100.00")
    course = make_course()
    enroll(learner, course)
    services.archive_course(course_id=course.pk, actor=None, reason="old")

    answer = signed_in(learner).get(f"/api/v1/courses/{course.pk}")

    assert (answer.status_code, answer.json()["status"]) == (200, "archived")


def test_pages_of_courses_hold_together():
    coach = make_coach()
    for number in range(5):
        make_course(coach, title=f"course {number}")

    first = APIClient().get("/api/v1/courses?limit=3")
    second = APIClient().get(first.json()["next"])

    assert titles(first) == ["course 4", "course 3", "course 2"]
    assert titles(second) == ["course 1", "course 0"]
    assert second.json()["next"] is None


@pytest.mark.parametrize(
    "address",
    ["/api/v1/courses", "/api/v1/enrollments", "/api/v1/enrollments?role=coach"],
)
def test_a_page_costs_the_same_number_of_queries_however_full_it_is(address):
    person = make_coach(balance="1000.00")

    def cost():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert signed_in(person).get(address).status_code == 200
        return len(queries)

    def fill(times):
        for _ in range(times):
            enroll(person, make_course(price="1.00"))
            enroll(make_user(balance="1.00"), make_course(person, price="1.00"))

    fill(1)
    few = cost()
    fill(6)

    assert cost() == few <= 2


# Coaches


def test_a_coach_adds_a_draft_unless_it_is_to_be_published():
    coach = make_coach()

    answer = signed_in(coach).post(
        "/api/v1/courses", {"title": " Sewing ", "price": 25}, format="json"
    )

    assert answer.status_code == 201
    assert answer.json() == {
        "id": answer.json()["id"],
        "title": "Sewing",
        "slug": "sewing",
        "summary": "",
        "description": "",
        "price": "25.00",
        "status": "draft",
        "coach": {"id": coach.pk, "name": "Coach"},
        "enrolled": False,
    }


@pytest.mark.parametrize("who", ["learner", "support", "finance"])
def test_only_coaches_offer_courses(who):
    user = make_user() if who == "learner" else make_staff(who)
    course = make_course()

    answers = [
        signed_in(user).post(
            "/api/v1/courses", {"title": "x", "price": "1"}, format="json"
        ),
        signed_in(user).patch(
            f"/api/v1/courses/{course.pk}", {"price": "1"}, format="json"
        ),
    ]

    for answer in answers:
        assert problem(answer) == {
            "type": "/problems/permission-denied",
            "title": "You may not do this.",
            "status": 403,
            "detail": "You do not have permission to perform this action.",
        }


def test_visitors_offer_nothing():
    answer = APIClient().post(
        "/api/v1/courses", {"title": "x", "price": "1"}, format="json"
    )

    assert problem(answer)["type"] == "/problems/not-authenticated"


@pytest.mark.parametrize(
    ("field", "value", "code", "detail"),
    [
        ("price", "-1", "min_value", None),
        ("price", "1.001", "max_decimal_places", None),
        ("price", "NaN", "invalid", None),
        ("price", "1e3", "invalid", None),
        ("price", "1000000000000", "max_value", None),
        ("price", None, "null", None),
        ("title", "", "blank", None),
        ("title", "  ", "blank", None),
        ("title", "x" * 201, "max_length", None),
        ("summary", "x" * 501, "max_length", None),
        ("status", "archived", "invalid_choice", None),
        ("commission_rate", "0", "unknown", "This field is not known."),
        ("slug", "mine", "unknown", "This field is not known."),
        ("coach", 1, "unknown", "This field is not known."),
    ],
)
def test_a_course_of_another_form_is_refused(field, value, code, detail):
    coach = make_coach()
    body = {"title": "Sewing", "price": "1.00", field: value}

    answer = signed_in(coach).post("/api/v1/courses", body, format="json")

    told = problem(answer)
    assert told == problem_of_field(
        f"#/{field}", code, detail or told["errors"][0]["detail"]
    )
    assert not Course.objects.filter(coach=coach).exists()


def test_a_coach_changes_what_is_sent_and_nothing_else():
    coach = make_coach()
    course = make_course(coach, price="10.00", title="Sewing", summary="Old")

    answer = signed_in(coach).patch(
        f"/api/v1/courses/{course.pk}",
        {"title": "Sewing for all", "price": "12"},
        format="json",
    )

    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["title"], shown["price"], shown["summary"], shown["slug"]) == (
        "Sewing for all",
        "12.00",
        "Old",
        "sewing",
    )


def test_the_commission_is_not_the_coachs_to_change():
    course = make_course(rate="0.3")

    answer = signed_in(course.coach).patch(
        f"/api/v1/courses/{course.pk}", {"commission_rate": "0"}, format="json"
    )

    assert problem(answer) == problem_of_field(
        "#/commission_rate", "unknown", "This field is not known."
    )


def test_anothers_course_is_not_found_for_changes():
    course = make_course()

    answer = signed_in(make_coach()).patch(
        f"/api/v1/courses/{course.pk}", {"price": "0"}, format="json"
    )

    assert problem(answer) == {**NOT_FOUND, "detail": "There is no such course."}


def test_a_published_course_does_not_become_a_draft_again():
    course = make_course()

    answer = signed_in(course.coach).patch(
        f"/api/v1/courses/{course.pk}", {"status": "draft"}, format="json"
    )

    assert problem(answer) == {
        "type": "/problems/invalid-transition",
        "title": "This cannot be done in the present state.",
        "status": 409,
        "detail": "A step from published to draft does not exist.",
        "current": "published",
        "wanted": "draft",
    }


# Enrolling


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


# Enrollments


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


# The document


@pytest.fixture(scope="module")
def paths():
    return SchemaGenerator().get_schema(request=None, public=True)["paths"]


def test_the_document_names_every_address_and_method(paths):
    found = {
        (path.removeprefix("/api/v1"), method)
        for path, item in paths.items()
        for method in item
        if path.startswith(("/api/v1/courses", "/api/v1/enrollments"))
    }

    assert found == {
        ("/courses", "get"),
        ("/courses", "post"),
        ("/courses/{course_id}", "get"),
        ("/courses/{course_id}", "patch"),
        ("/courses/{course_id}/quote", "get"),
        ("/courses/{course_id}/enroll", "post"),
        ("/enrollments", "get"),
        ("/enrollments/{enrollment_id}", "get"),
        ("/enrollments/{enrollment_id}/refund", "post"),
    }


def test_the_document_says_what_visitors_may_read(paths):
    def is_open(path, method):
        return {} in paths[f"/api/v1{path}"][method]["security"]

    assert is_open("/courses", "get")
    assert is_open("/courses/{course_id}", "get")
    assert not is_open("/courses", "post")
    assert not is_open("/courses/{course_id}", "patch")
    assert not is_open("/enrollments", "get")


@pytest.mark.parametrize(
    ("path", "method", "names"),
    [
        ("/courses", "get", {"mine", "cursor", "limit"}),
        ("/enrollments", "get", {"role", "cursor", "limit"}),
        ("/courses/{course_id}/enroll", "post", {"course_id", "Idempotency-Key"}),
        (
            "/enrollments/{enrollment_id}/refund",
            "post",
            {"enrollment_id", "Idempotency-Key"},
        ),
    ],
)
def test_the_document_names_every_parameter(paths, path, method, names):
    parameters = paths[f"/api/v1{path}"][method]["parameters"]

    assert {parameter["name"] for parameter in parameters} == names
