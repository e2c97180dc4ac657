from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits_project import problems
from credits_project.exceptions import InvalidInput, InvalidTransition
from credits_project.urls import urlpatterns as real_urlpatterns
from tests.credits_project.asking import invalid, problem, signed_in
from tests.factories import make_user


class Raiser(APIView):
    """Raises what the test wants."""

    permission_classes = (AllowAny,)
    raised: Exception | None = None

    def get(self, request: Request) -> Response:
        assert Raiser.raised is not None
        raise Raiser.raised


class SlowDatabase(APIView):
    """Waits for the database longer than it may."""

    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '20ms'")
            cursor.execute("SELECT pg_sleep(10)")
        return Response()


class LateRefusal(APIView):
    """Breaks a rule that the database looks at when the transaction ends."""

    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMP TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
            )
            cursor.execute("INSERT INTO late VALUES (1), (1)")
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return Response()


def broken_page(request: HttpRequest) -> Any:
    raise RuntimeError("a bug")


def slow_page(request: HttpRequest) -> Any:
    return SlowDatabase().get(request)  # type: ignore[arg-type]


urlpatterns = [
    path("_allauth/slow", slow_page),
    path("slow", slow_page),
    path("api/v1/raiser", Raiser.as_view()),
    path("api/v1/slow", SlowDatabase.as_view()),
    path("api/v1/late", LateRefusal.as_view()),
    path("broken", broken_page),
    *real_urlpatterns,
]
handler400 = "credits_project.problems.bad_request"
handler403 = "credits_project.problems.forbidden"
handler404 = "credits_project.problems.not_found"
handler500 = "credits_project.problems.server_error"

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SERVER_ERROR = {
    "type": "/problems/server-error",
    "title": "Something went wrong here.",
    "status": 500,
    "detail": "It has been logged. Please try again later.",
}


def answer_to(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Raiser, "raised", error)
    return Client(raise_request_exception=False).get("/api/v1/raiser")


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (
            InvalidInput("amount", "Too odd.", reason="odd"),
            invalid("#/amount", "odd", "Too odd.", said="amount: Too odd."),
        ),
        (
            InvalidTransition(current="paid", wanted="pending"),
            {
                "type": "/problems/invalid-transition",
                "title": "This cannot be done in the present state.",
                "status": 409,
                "detail": "A step from paid to pending does not exist.",
                "current": "paid",
                "wanted": "pending",
            },
        ),
        (
            Http404("No CreditWallet matches the given query."),
            {
                "type": "/problems/not-found",
                "title": "There is nothing at this address for you.",
                "status": 404,
            },
        ),
        (
            PermissionDenied("internal reason"),
            {
                "type": "/problems/permission-denied",
                "title": "You may not do this.",
                "status": 403,
            },
        ),
        (
            RequestDataTooBig("too big"),
            {
                "type": "/problems/payload-too-large",
                "title": "The request's body is too large.",
                "status": 413,
                "detail": "A body has at most 1048576 bytes.",
                "limit": 1048576,
            },
        ),
        (
            SuspiciousOperation("secret reason"),
            {
                "type": "/problems/invalid-request",
                "title": "The request does not have the expected form.",
                "status": 400,
                "detail": "The request was refused.",
            },
        ),
        (
            exceptions.ParseError("Odd."),
            invalid("#", "parse_error", "Odd."),
        ),
        (
            exceptions.ValidationError({"a": {"b": [{}, {"c": ["Odd."]}]}}),
            invalid("#/a/b/1/c", "invalid", "Odd."),
        ),
        (
            exceptions.ValidationError({"non_field_errors": ["Odd."]}),
            invalid("#", "invalid", "Odd."),
        ),
        (
            exceptions.Throttled(wait=2.2),
            {
                "type": "/problems/throttled",
                "title": "Too many requests.",
                "status": 429,
                "detail": "Request was throttled. Expected available in 3 seconds.",
                "retry_after": 3,
            },
        ),
    ],
)
def test_a_refusal_is_a_whole_problem_document(error, body, monkeypatch):
    answer = answer_to(error, monkeypatch)

    assert answer.status_code == body["status"]
    assert problem(answer) == body


def test_an_exception_of_drf_that_has_no_page_of_its_own_is_a_problem(monkeypatch):
    class Teapot(exceptions.APIException):
        status_code = 418
        default_detail = "Short and stout."

    assert problem(answer_to(Teapot(), monkeypatch)) == {
        "type": "/problems/im-a-teapot",
        "title": "I'm a Teapot.",
        "status": 418,
        "detail": "Short and stout.",
    }


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), IntegrityError("a rule that nobody translated")]
)
def test_a_mistake_of_ours_is_a_problem_that_tells_nothing(error, monkeypatch):
    answer = answer_to(error, monkeypatch)

    assert answer.status_code == 500
    assert problem(answer) == SERVER_ERROR


def test_a_rule_that_breaks_when_the_transaction_ends_is_a_problem_too():
    answer = Client(raise_request_exception=False).get("/api/v1/late")

    assert answer.status_code == 500
    assert problem(answer) == SERVER_ERROR


def test_a_database_that_takes_too_long_is_unavailable_for_a_moment():
    answer = Client().get("/api/v1/slow")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"
    assert problem(answer) == {
        "type": "/problems/unavailable",
        "title": "The service is not available now.",
        "status": 503,
        "detail": "Please repeat the request shortly.",
    }


def test_a_lost_connection_is_unavailable(monkeypatch):
    answer = answer_to(OperationalError("connection lost"), monkeypatch)

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")


def test_an_unknown_address_under_the_api_is_a_problem():
    answer = Client().get("/api/v1/nowhere")

    assert answer.status_code == 404
    assert problem(answer) == {
        "type": "/problems/not-found",
        "title": "There is nothing at this address for you.",
        "status": 404,
        "detail": "There is nothing at this address.",
    }


def test_an_address_with_a_slash_at_its_end_is_not_one_of_the_api():
    answer = Client().get("/api/v1/me/")

    assert answer.status_code == 404
    assert problem(answer)["type"] == "/problems/not-found"


def test_a_host_that_is_not_ours_is_a_problem_under_the_api():
    answer = Client().get("/api/v1/me", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert problem(answer) == {
        "type": "/problems/invalid-request",
        "title": "The request does not have the expected form.",
        "status": 400,
        "detail": "The request was refused.",
    }


def test_a_method_that_does_not_exist_names_those_that_do():
    answer = signed_in(make_user()).delete("/api/v1/me")

    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert problem(answer) == {
        "type": "/problems/method-not-allowed",
        "title": "This address does not take this method.",
        "status": 405,
        "detail": 'Method "DELETE" not allowed.',
    }


def test_an_answer_in_a_form_that_does_not_exist_is_a_problem():
    answer = signed_in(make_user()).get("/api/v1/me", headers={"Accept": "text/csv"})

    assert answer.status_code == 406
    assert problem(answer) == {
        "type": "/problems/not-acceptable",
        "title": "The answer does not exist in the form asked for.",
        "status": 406,
        "detail": "Could not satisfy the request Accept header.",
    }


def test_a_caller_without_the_permission_is_refused():
    answer = signed_in(make_user()).post("/api/v1/rpc/transfer_credits", {})

    assert answer.status_code == 403
    assert problem(answer) == {
        "type": "/problems/permission-denied",
        "title": "You may not do this.",
        "status": 403,
        "detail": "You do not have permission to perform this action.",
    }


def test_pages_for_people_stay_pages():
    client = Client(raise_request_exception=False)

    missing, broken = client.get("/nowhere"), client.get("/broken")

    assert (missing.status_code, broken.status_code) == (404, 500)
    for answer in (missing, broken):
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert "To the start page" in answer.content.decode()


def test_a_database_that_does_not_answer_is_not_a_mistake_of_ours_anywhere():
    client = Client(raise_request_exception=False)

    page, answer = client.get("/slow"), client.get("/_allauth/slow")

    assert (page.status_code, answer.status_code) == (503, 503)
    assert (page["Retry-After"], answer["Retry-After"]) == ("1", "1")
    assert "repeat the request" in page.content.decode()
    body = answer.json()
    assert body.pop("request_id")
    assert body == {
        "type": "/problems/unavailable",
        "title": "The service is not available now.",
        "status": 503,
        "detail": "Please repeat the request shortly.",
    }


def test_a_form_without_its_token_is_answered_by_a_page_that_says_what_to_do():
    answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {})

    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()


def test_django_s_own_refusals_are_told_apart():
    request = RequestFactory().get("/api/v1/x")

    too_big = problems.bad_request(request, RequestDataTooBig())
    denied = problems.forbidden(request, PermissionDenied())

    assert (too_big.status_code, denied.status_code) == (413, 403)


@override_settings(DEBUG=False)
def test_the_error_page_needs_no_database():
    request = RequestFactory().get("/x")

    page = problems.server_error(request)

    assert (page.status_code, page["Content-Type"]) == (500, "text/html; charset=utf-8")
