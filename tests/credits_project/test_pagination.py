from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests.credits_project.asking import invalid, problem, signed_in
from tests.factories import make_user
from wallets import services

pytestmark = pytest.mark.django_db

LIST = "/api/v1/wallet/transactions"
QUERY = "The query has a parameter that is not known or not valid."


@pytest.fixture
def reader() -> Any:
    user = make_user("reader")
    for number in range(1, 8):
        grant(user, number)
    client: Any = signed_in(user)
    client.user = user
    return client


def grant(user: Any, number: int) -> None:
    services.grant_credits(user_id=user.pk, amount=Decimal(number), reason="a test")


def numbers(page: Any) -> list[int]:
    return [row["sequence"] for row in page["results"]]


def test_pages_lead_forward_and_back(reader):
    first = reader.get(LIST, {"limit": 3}).json()
    second = reader.get(first["next"]).json()
    third = reader.get(second["next"]).json()
    back = reader.get(third["previous"]).json()

    assert [numbers(page) for page in (first, second, third, back)] == [
        [7, 6, 5],
        [4, 3, 2],
        [1],
        [4, 3, 2],
    ]
    assert set(first) == {"next", "previous", "results"}
    assert first["previous"] is None
    assert third["next"] is None


def test_rows_that_are_added_meanwhile_move_no_page(reader):
    first = reader.get(LIST, {"limit": 3}).json()
    grant(reader.user, 8)

    second = reader.get(first["next"]).json()

    assert numbers(second) == [4, 3, 2]


def test_fifty_rows_are_a_page_unless_said(reader):
    for number in range(8, 53):
        grant(reader.user, number)

    assert len(reader.get(LIST).json()["results"]) == 50
    assert len(reader.get(LIST, {"limit": 200}).json()["results"]) == 52


@pytest.mark.parametrize(
    "limit", ["0", "201", "-1", "abc", "", "1.5", "1e2", "٣", "9" * 5000, " 5"]
)
def test_a_limit_out_of_range_is_refused(reader, limit):
    answer = reader.get(LIST, {"limit": limit})

    assert answer.status_code == 400
    assert problem(answer) == invalid(
        "?limit", "invalid", "The limit is a whole number from 1 to 200.", said=QUERY
    )


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "garbage",
        "é",
        "!!!!",
        b64encode(b"p=not-a-number").decode(),
        b64encode(b"p=1%00").decode(),
        b64encode(b"p=" + b"9" * 5000).decode(),
        b64encode(b"o=-1").decode(),
        b64encode(b"r=x").decode(),
        b64encode(b"\xff\xff").decode(),
    ],
)
def test_a_cursor_that_no_page_named_is_refused(reader, cursor):
    answer = reader.get(LIST, {"cursor": cursor})

    assert answer.status_code == 400
    assert problem(answer) == invalid(
        "?cursor",
        "invalid",
        "The cursor is not one that an earlier page named.",
        said=QUERY,
    )


def test_a_cursor_for_ids_is_checked_as_well():
    answer = Client().get(
        "/api/v1/courses", {"cursor": b64encode(b"p=no-uuid").decode()}
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "?cursor"


def test_a_filter_that_is_not_known_is_refused(reader):
    answer = reader.get(LIST, {"user__password": "x", "limit": 5})

    assert answer.status_code == 400
    assert problem(answer) == invalid(
        "?user__password", "unknown", "This field is not known.", said=QUERY
    )


def test_a_filter_with_a_value_that_does_not_exist_is_refused(reader):
    answer = reader.get(LIST, {"transaction_type": "theft"})

    assert answer.status_code == 400
    assert problem(answer) == invalid(
        "?transaction_type",
        "invalid_choice",
        '"theft" is not a valid choice.',
        said=QUERY,
    )


def test_a_filter_that_stands_twice_is_refused(reader):
    answer = reader.get(f"{LIST}?transaction_type=purchase&transaction_type=bonus")

    assert answer.status_code == 400
    assert problem(answer) == invalid(
        "?transaction_type", "repeated", "This parameter stands twice.", said=QUERY
    )


def test_filters_stay_on_in_the_links(reader):
    kind = reader.get(LIST, {"limit": 1}).json()["results"][0]["transaction_type"]

    page = reader.get(LIST, {"limit": 2, "transaction_type": kind}).json()

    assert f"transaction_type={kind}" in page["next"]
    assert numbers(reader.get(page["next"]).json()) == [5, 4]
