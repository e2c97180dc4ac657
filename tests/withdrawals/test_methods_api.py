"""Destinations and payout methods, over the API."""

from __future__ import annotations

import pytest

from tests.factories import make_coach, make_user
from tests.withdrawals.asking import METHOD, get, post, problem_of_field, without_detail
from tests.withdrawals.people import (
    AIRTEL,
    NATIONAL_BANK,
    TNM,
    add_method,
    problem,
    signed_in,
)
from withdrawals.models import PayoutMethod

pytestmark = pytest.mark.django_db


def test_destinations_are_shown_by_kind(gateway):
    answer = get(make_user(), "/payout-destinations")

    assert answer.status_code == 200
    shown = answer.json()
    assert shown["mobile_money"] == [
        {"id": AIRTEL, "name": "Airtel Money"},
        {"id": TNM, "name": "TNM Mpamba"},
    ]
    assert {"id": NATIONAL_BANK, "name": "National Bank of Malawi"} in shown["bank"]


def test_without_the_gateway_destinations_are_unavailable(gateway):
    gateway.fault("operators", "500-before")

    answer = get(make_user(), "/payout-destinations")

    assert answer.status_code == 502
    assert problem(answer) == {
        "type": "/problems/gateway-unavailable",
        "title": "The payment gateway cannot be reached at the moment.",
        "status": 502,
        "detail": "The payment gateway is out of order.",
    }


def test_a_method_is_added_shown_masked_listed_and_removed(gateway):
    coach = make_coach()

    added = post(coach, "/payout-methods", METHOD)

    assert added.status_code == 201
    method = coach.payout_methods.get()
    shown = {
        "id": str(method.pk),
        "kind": "mobile_money",
        "destination": {"id": AIRTEL, "name": "Airtel Money"},
        "account_name": "Chikondi Banda",
        "account_number": "••••567",
        "usable_from": method.usable_from.isoformat().replace("+00:00", "Z"),
        "created_at": method.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert added.json() == shown
    listed = get(coach, "/payout-methods")
    assert listed.json() == {"next": None, "previous": None, "results": [shown]}

    removed = signed_in(coach).delete(f"/api/v1/payout-methods/{method.pk}")

    assert removed.status_code == 204
    assert get(coach, "/payout-methods").json()["results"] == []


def test_anothers_method_is_not_found(gateway):
    method = add_method(make_coach("alice"))
    charlie = make_coach("charlie")

    answer = signed_in(charlie).delete(f"/api/v1/payout-methods/{method.pk}")

    assert answer.status_code == 404
    assert problem(answer) == {
        "type": "/problems/not-found",
        "title": "There is nothing at this address for you.",
        "status": 404,
        "detail": "You have no such payout method.",
    }
    assert get(charlie, "/payout-methods").json()["results"] == []


@pytest.mark.parametrize(
    ("change", "field", "code", "detail"),
    [
        (
            {"account_number": "12"},
            "account_number",
            "invalid",
            "A phone number looks like 0991234567.",
        ),
        ({"kind": "cash"}, "kind", "invalid_choice", '"cash" is not a valid choice.'),
        ({"user": 1}, "user", "unknown", "This field is not known."),
        (
            {"usable_from": "2020-01-01T00:00:00Z"},
            "usable_from",
            "unknown",
            "This field is not known.",
        ),
    ],
)
def test_a_method_that_cannot_be_is_refused(gateway, change, field, code, detail):
    coach = make_coach()

    answer = post(coach, "/payout-methods", {**METHOD, **change})

    assert answer.status_code == 400
    assert without_detail(problem(answer)) == problem_of_field(field, code, detail)
    assert not PayoutMethod.objects.exists()


def test_a_number_of_another_operator_is_not_found_at_this_one(gateway):
    other = {**METHOD, "account_number": "0881234567"}

    answer = post(make_coach(), "/payout-methods", other)

    assert answer.status_code == 404
    assert problem(answer)["errors"] == [
        {
            "pointer": "#/account_number",
            "code": "does_not_exist",
            "detail": "A number of Airtel Money begins with 099 or 098.",
        }
    ]


def test_an_account_is_added_once(gateway):
    coach = make_coach()
    post(coach, "/payout-methods", METHOD)

    answer = post(coach, "/payout-methods", METHOD)

    assert answer.status_code == 409
    assert problem(answer)["type"] == "/problems/payout-method-exists"


def test_a_destination_that_does_not_exist_is_not_found(gateway):
    answer = post(make_coach(), "/payout-methods", {**METHOD, "destination": "nowhere"})

    assert answer.status_code == 404
    assert problem(answer)["type"] == "/problems/not-found"
    assert problem(answer)["errors"] == [
        {
            "pointer": "#/destination",
            "code": "does_not_exist",
            "detail": "Money cannot be sent to this operator.",
        }
    ]
