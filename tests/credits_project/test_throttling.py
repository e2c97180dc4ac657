from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from tests.credits_project.asking import RPC, problem, signed_in
from tests.factories import make_staff, make_user

pytestmark = pytest.mark.django_db

ME = "/api/v1/me"
OPEN = "/api/v1/openapi.json"


@pytest.fixture
def rates(settings: Any) -> Any:
    def change(**rates: str | None) -> None:
        rest = settings.REST_FRAMEWORK
        settings.REST_FRAMEWORK = {
            **rest,
            "DEFAULT_THROTTLE_RATES": {**rest["DEFAULT_THROTTLE_RATES"], **rates},
        }

    return change


def test_too_many_calls_are_told_when_to_come_back(rates):
    rates(user="2/min")
    client = signed_in(make_user())

    answers = [client.get(ME) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    wait = int(answers[2]["Retry-After"])
    # Two a minute: half a minute each.
    assert 25 <= wait <= 30
    assert problem(answers[2]) == {
        "type": "/problems/throttled",
        "title": "Too many requests.",
        "status": 429,
        "detail": f"Request was throttled. Expected available in {wait} seconds.",
        "retry_after": wait,
    }


def test_each_user_has_a_limit_of_their_own(rates):
    rates(user="1/min")
    alice, bob = signed_in(make_user()), signed_in(make_user())

    assert [client.get(ME).status_code for client in (alice, bob, alice)] == [
        200,
        200,
        429,
    ]


def test_those_who_are_not_signed_in_are_limited_by_address(rates):
    rates(anon="1/min")

    statuses = [
        Client().get(OPEN, REMOTE_ADDR=address).status_code
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    ]

    assert statuses == [200, 200, 429]


def test_a_forwarded_address_is_not_believed_without_a_proxy(rates):
    rates(anon="1/min")

    statuses = [
        Client()
        .get(OPEN, headers={"X-Forwarded-For": f"203.0.113.{number}"})
        .status_code
        for number in range(2)
    ]

    assert statuses == [200, 429]


def test_requests_that_move_money_have_a_lower_limit(rates):
    rates(money="1/min")
    client = signed_in(make_staff("finance"))

    moves = [client.post(RPC, {}, format="json").status_code for _ in range(2)]

    assert moves == [400, 429]
    assert client.get(ME).status_code == 200


def test_limits_are_off_where_there_is_no_rate(rates):
    rates(anon=None, user=None, money=None)
    client = signed_in(make_user())

    assert {client.get(ME).status_code for _ in range(5)} == {200}


def test_a_limit_comes_back_bit_by_bit_and_not_by_the_clock(rates):
    rates(user="2/min")
    user = make_user()
    client = signed_in(user)
    spent = [client.get(ME).status_code for _ in range(3)]

    with connection.cursor() as cursor:
        # As if half of the time had passed.
        cursor.execute(
            "UPDATE call_limits SET idle_at = idle_at - interval '30 seconds'"
            " WHERE key = %s",
            [f"user:{user.pk}"],
        )

    assert spent == [200, 200, 429]
    assert [client.get(ME).status_code for _ in range(2)] == [200, 429]


def test_a_refused_call_does_not_make_the_wait_longer(rates):
    rates(user="1/min")
    client = signed_in(make_user())
    client.get(ME)

    waits = [int(client.get(ME)["Retry-After"]) for _ in range(5)]

    assert max(waits) <= 60


def test_calls_that_cannot_be_counted_are_let_through(rates):
    rates(user="1/min")
    client = signed_in(make_user())
    with connection.cursor() as cursor:
        # Undone with the test.
        cursor.execute(
            "ALTER TABLE call_limits ADD CONSTRAINT broken CHECK (false) NOT VALID"
        )

    with connection.execute_wrapper(_in_a_savepoint):
        statuses = [client.get(ME).status_code for _ in range(3)]

    assert statuses == [200, 200, 200]


def _in_a_savepoint(
    execute: Any, sql: str, params: Any, many: bool, context: Any
) -> Any:
    """Let a statement fail without ending the transaction that the test runs in."""
    if "call_limits" not in sql:
        return execute(sql, params, many, context)
    with transaction.atomic():
        return execute(sql, params, many, context)
