from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from courses import services
from courses.models import Course
from tests.courses.asking import (
    NOT_FOUND,
    enroll,
    problem,
    problem_of_field,
    signed_in,
    titles,
)
from tests.courses.offers import make_course
from tests.factories import make_coach, make_staff, make_user

pytestmark = pytest.mark.django_db


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
