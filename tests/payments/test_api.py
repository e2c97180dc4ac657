"""Money in over HTTP: literal addresses, whole bodies."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from payments.models import CreditPurchase
from tests.factories import make_user
from tests.payments.buying import buy, make_package, now_of, start

pytestmark = pytest.mark.django_db


def client_of(user: Any) -> Client:
    client = Client(headers={"X-Request-ID": "r"})
    client.force_login(user)
    return client


@pytest.fixture
def buyer():
    return make_user("buyer")


@pytest.fixture
def client(buyer) -> Client:
    return client_of(buyer)


def order(client: Client, body: Any, **headers: str) -> Any:
    return client.post(
        "/api/v1/purchases", body, content_type="application/json", headers=headers
    )


def problem(code: str, title: str, status: int, **facts: Any) -> dict[str, Any]:
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "request_id": "r",
        **facts,
    }


def assert_refused(answer: Any, expected: dict[str, Any]) -> None:
    assert answer.status_code == expected["status"]
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == expected
    assert not CreditPurchase.objects.filter(status="pending").exists()


def invalid(pointer: str, code: str, detail: str) -> dict[str, Any]:
    return problem(
        "invalid-request",
        "The request does not have the expected form.",
        400,
        errors=[{"pointer": pointer, "code": code, "detail": detail}],
    )


def test_anyone_sees_the_packages_on_sale_in_their_order():
    large = make_package(name="Large", position=2)
    small = make_package(name="Small", position=1)
    make_package(name="Gone", active=False)

    answer = Client().get("/api/v1/credit-packages")

    assert answer.status_code == 200
    assert answer.json() == {
        "next": None,
        "previous": None,
        "results": [
            {
                "id": str(package.pk),
                "name": package.name,
                "credits": "100.00",
                "bonus_credits": "10.00",
                "price": "1000.00",
                "currency": "MWK",
            }
            for package in (small, large)
        ],
    }


def test_an_order_is_answered_with_the_page_to_pay_on(simulator, client, buyer):
    package = make_package()

    answer = order(client, {"package": str(package.pk)})

    purchase = CreditPurchase.objects.get(user=buyer)
    assert answer.status_code == 201
    assert answer.json() == {
        "id": str(purchase.pk),
        "tx_ref": purchase.tx_ref,
        "status": "pending",
        "credits": "100.00",
        "bonus_credits": "10.00",
        "price": "1000.00",
        "currency": "MWK",
        "checkout_url": purchase.checkout_url,
        "transfer": None,
        "created_at": answer.json()["created_at"],
        "paid_at": None,
    }


def test_the_same_order_under_the_same_key_is_replayed(simulator, client):
    body = {"package": str(make_package().pk)}

    first = order(client, body, **{"Idempotency-Key": "k"})
    second = order(client, body, **{"Idempotency-Key": "k"})

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"


def test_another_order_under_the_same_key_is_refused(simulator, client):
    order(client, {"package": str(make_package().pk)}, **{"Idempotency-Key": "k"})

    answer = order(
        client, {"package": str(make_package().pk)}, **{"Idempotency-Key": "k"}
    )

    assert answer.status_code == 422
    assert answer.json() == problem(
        "idempotency-key-reused",
        "The Idempotency-Key was used for another request.",
        422,
        detail=(
            "This Idempotency-Key belongs to a request with another body."
            " Use a new key for a new request."
        ),
    )


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_a_key_that_is_none_is_refused(simulator, client, key):
    body = {"package": str(make_package().pk)}

    assert_refused(
        order(client, body, **{"Idempotency-Key": key}),
        {
            **invalid(
                "Idempotency-Key",
                "invalid",
                "An Idempotency-Key has 1 to 255 visible ASCII characters.",
            ),
            "detail": "An Idempotency-Key has 1 to 255 visible ASCII characters.",
        },
    )


def test_a_package_that_is_not_on_sale_is_refused(simulator, client):
    package = make_package(active=False)
    detail = "There is no such package on sale."

    assert_refused(
        order(client, {"package": str(package.pk)}),
        problem(
            "not-found",
            "There is nothing at this address for you.",
            404,
            detail=f"package: {detail}",
            errors=[
                {"pointer": "#/package", "code": "does_not_exist", "detail": detail}
            ],
        ),
    )


@pytest.mark.parametrize(
    ("body", "pointer", "code", "detail"),
    [
        ({}, "#/package", "required", "This field is required."),
        ({"package": None}, "#/package", "null", "This field may not be null."),
        ({"package": "x"}, "#/package", "invalid", "Must be a valid UUID."),
        ({"package": 1.5}, "#/package", "invalid", "Must be a valid UUID."),
    ],
)
def test_an_order_without_a_package_is_refused(
    simulator, client, body, pointer, code, detail
):
    answer = order(client, body)

    assert_refused(answer, invalid(pointer, code, detail))


def test_a_price_of_the_clients_own_is_refused(simulator, client):
    body = {"package": str(make_package().pk), "price": "1.00"}

    assert_refused(
        order(client, body),
        invalid("#/price", "unknown", "This field is not known."),
    )


def test_who_is_not_signed_in_cannot_buy(simulator):
    client = Client(headers={"X-Request-ID": "r"})

    assert_refused(
        order(client, {"package": str(make_package().pk)}),
        problem(
            "not-authenticated",
            "You are not signed in.",
            401,
            detail="Authentication credentials were not provided.",
        ),
    )


def test_without_the_gateway_the_order_is_refused(client, settings):
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"

    assert_refused(
        order(client, {"package": str(make_package().pk)}),
        problem(
            "gateway-unavailable",
            "The payment gateway cannot be reached at the moment.",
            502,
            detail="The payment gateway cannot be reached.",
        ),
    )


def test_one_sees_ones_own_purchases_newest_first(simulator, client, buyer):
    older, newer = start(buyer), start(buyer)
    start(make_user("other"))

    answer = client.get("/api/v1/purchases")

    assert [row["id"] for row in answer.json()["results"]] == [
        str(newer.pk),
        str(older.pk),
    ]


def test_reading_an_open_purchase_asks_the_gateway_and_shows_the_credits(
    simulator, client, buyer
):
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    answer = client.get(f"/api/v1/purchases/{purchase.pk}")

    assert answer.status_code == 200
    assert answer.json()["status"] == "paid"
    assert answer.json()["transfer"] == str(now_of(purchase).transfer_id)
    assert answer.json()["paid_at"] is not None


def test_reading_it_often_asks_the_gateway_seldom(simulator, client, buyer):
    purchase = start(buyer)

    for _ in range(5):
        assert client.get(f"/api/v1/purchases/{purchase.pk}").status_code == 200

    assert simulator.control.state()["counts"]["verify"] == 1


def test_reading_a_paid_purchase_does_not_ask(simulator, client, buyer):
    purchase = buy(simulator, buyer)
    before = simulator.control.state()["counts"]["verify"]

    client.get(f"/api/v1/purchases/{purchase.pk}")

    assert simulator.control.state()["counts"]["verify"] == before


def test_while_the_gateway_is_down_a_purchase_is_shown_as_it_is_known(
    simulator, client, buyer, settings
):
    purchase = start(buyer)
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"

    answer = client.get(f"/api/v1/purchases/{purchase.pk}")

    assert (answer.status_code, answer.json()["status"]) == (200, "pending")


def test_the_purchase_of_another_is_not_found(simulator, client):
    theirs = start(make_user("other"))
    expected = problem(
        "not-found",
        "There is nothing at this address for you.",
        404,
        detail="There is no such purchase.",
    )

    for pk in (theirs.pk, uuid.uuid4()):
        answer = client.get(f"/api/v1/purchases/{pk}")
        assert (answer.status_code, answer.json()) == (404, expected)


@pytest.mark.parametrize(
    "path", ["/api/v1/purchases?status=paid", "/api/v1/credit-packages?active=0"]
)
def test_an_unknown_filter_is_refused(client, path):
    answer = client.get(path)

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-request"


def test_a_package_without_a_bonus_says_so(db):
    make_package(bonus_credits=Decimal(0))

    (row,) = Client().get("/api/v1/credit-packages").json()["results"]

    assert row["bonus_credits"] == "0.00"
