"""Asking the API of courses, and what it refuses."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from courses import services
from courses.models import Course, Enrollment

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
