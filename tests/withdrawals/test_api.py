from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from tests.withdrawals.people import (
    AIRTEL,
    NATIONAL_BANK,
    TNM,
    add_method,
    make_earning_coach,
    problem,
    request,
    set_rate,
    signed_in,
)
from wallets.services import freeze_wallet, grant_credits
from withdrawals import services
from withdrawals.models import PayoutMethod, WithdrawalRequest

pytestmark = pytest.mark.django_db

METHOD = {
    "kind": "mobile_money",
    "destination": AIRTEL,
    "account_name": "Chikondi Banda",
    "account_number": "0991234567",
}


def post(user: Any, path: str, body: Any, **headers: str) -> Any:
    return signed_in(user).post(f"/api/v1{path}", body, format="json", headers=headers)


def get(user: Any, path: str) -> Any:
    return signed_in(user).get(f"/api/v1{path}")


def ask(coach: Any, credits: Any, method: PayoutMethod, **headers: str) -> Any:
    body = {"credits": credits, "payout_method": str(method.pk)}
    return post(coach, "/withdrawals", body, **headers)


def problem_of_field(field: str, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "/problems/invalid-request",
        "title": "The request does not have the expected form.",
        "status": 400,
        "errors": [{"pointer": f"#/{field}", "code": code, "detail": detail}],
    }


def without_detail(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "detail"}


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


def test_a_quote_tells_terms_and_limits(gateway, settings):
    settings.WITHDRAWAL_FEE_RATE = Decimal("0.02")
    settings.WITHDRAWAL_MINIMUM = Decimal(5)
    settings.WITHDRAWAL_DAILY_CAP = Decimal(80)
    coach = make_earning_coach("100.00")
    request(coach, "30.00", add_method(coach))

    answer = get(coach, "/withdrawals/quote?credits=10.55")

    assert answer.status_code == 200
    assert answer.json() == {
        "credits": "10.55",
        "rate": "10.0000",
        "gross": "105.50",
        "fee": "2.50",
        "net": "103.00",
        "currency": "MWK",
        "limits": {
            "minimum": "5.00",
            "maximum": None,
            "daily_cap": "80.00",
            "daily_left": "50.00",
            "weekly_cap": None,
            "weekly_left": None,
            "withdrawable": "70.00",
        },
    }


@pytest.mark.parametrize("query", ["", "?credits=0", "?credits=1.005", "?credits=NaN"])
def test_a_quote_of_no_amount_is_refused(gateway, query):
    answer = get(make_earning_coach(), f"/withdrawals/quote{query}")

    assert answer.status_code == 400
    assert problem(answer)["errors"][0]["pointer"] == "?credits"


def test_a_withdrawal_is_answered_whole(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)

    answer = ask(coach, "60.00", method)

    assert answer.status_code == 201
    withdrawal = WithdrawalRequest.objects.get()
    shown = {
        "id": str(withdrawal.pk),
        "status": "requested",
        "credits": "60.00",
        "rate": "10.0000",
        "gross": "600.00",
        "fee": "0.00",
        "net": "600.00",
        "currency": "MWK",
        "payout_method": {
            "id": str(method.pk),
            "kind": "mobile_money",
            "destination": {"id": AIRTEL, "name": "Airtel Money"},
            "account_name": "Chikondi Banda",
            "account_number": "••••567",
        },
        "requested_at": withdrawal.requested_at.isoformat().replace("+00:00", "Z"),
        "decided_at": None,
        "paid_at": None,
        "failure_reason": "",
        "transfer": str(withdrawal.transfer_id),
        "balance_after": "40.00",
    }
    assert answer.json() == shown
    assert get(coach, f"/withdrawals/{withdrawal.pk}").json() == shown
    assert get(coach, "/withdrawals").json()["results"] == [shown]


def test_the_same_key_answers_the_same_withdrawal_as_it_is_now(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    first = ask(coach, "60.00", method, **{"Idempotency-Key": "k1"})
    services.reject_withdrawal(
        withdrawal_id=uuid.UUID(first.json()["id"]),
        actor=make_staff("finance"),
        reason="wrong name",
    )

    again = ask(coach, 60, method, **{"Idempotency-Key": "k1"})

    assert again.status_code == 201
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["status"] == "rejected"
    assert again.json()["failure_reason"] == "wrong name"
    assert balance_of(coach) == Decimal("100.00")


def test_the_same_key_with_another_body_is_refused(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    ask(coach, "60.00", method, **{"Idempotency-Key": "k1"})

    answer = ask(coach, "10.00", method, **{"Idempotency-Key": "k1"})

    assert answer.status_code == 422
    assert problem(answer) == {
        "type": "/problems/idempotency-key-reused",
        "title": "The Idempotency-Key was used for another request.",
        "status": 422,
        "detail": "This Idempotency-Key belongs to a request with another body."
        " Use a new key for a new request.",
    }


def test_more_than_is_available_is_refused(gateway):
    coach = make_earning_coach("10.00")

    answer = ask(coach, "10.01", add_method(coach))

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/insufficient-credits",
        "title": "The wallet does not hold enough credits.",
        "status": 409,
        "detail": "10.01 credits are required and 10.00 are available.",
        "available": "10.00",
        "required": "10.01",
    }
    assert not WithdrawalRequest.objects.exists()


def test_more_than_was_earned_is_refused(gateway):
    coach = make_earning_coach("10.00")
    grant_credits(user_id=coach.pk, amount=Decimal(50), reason="bonus")

    answer = ask(coach, "10.01", add_method(coach))

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/not-withdrawable",
        "title": "Only earned credits can be withdrawn.",
        "status": 409,
        "detail": "10.01 credits are required and 10.00 can be withdrawn.",
        "withdrawable": "10.00",
        "required": "10.01",
    }


def test_outside_of_a_limit_is_refused(gateway, settings):
    settings.WITHDRAWAL_MAXIMUM = Decimal(50)
    coach = make_earning_coach("100.00")

    answer = ask(coach, "50.01", add_method(coach))

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/withdrawal-limit",
        "title": "The withdrawal is outside of the limits.",
        "status": 409,
        "detail": "A withdrawal is of at most 50.00 credits.",
        "limit": "maximum",
        "allowed": "50.00",
    }


def test_a_method_that_cools_off_is_refused(gateway, settings):
    settings.PAYOUT_COOLING_OFF_HOURS = 72
    coach = make_earning_coach()
    method = add_method(coach)
    moment = method.usable_from.isoformat().replace("+00:00", "Z")

    answer = ask(coach, "1.00", method)

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/payout-method-not-usable",
        "title": "The payout method cannot be used yet.",
        "status": 409,
        "detail": f"The payout method can be used from {moment}.",
        "usable_from": moment,
    }


def test_a_frozen_wallet_is_refused(gateway):
    coach = make_earning_coach()
    method = add_method(coach)
    freeze_wallet(
        wallet_id=wallet_of(coach).pk, actor=make_staff("support"), reason="odd"
    )

    answer = ask(coach, "1.00", method)

    assert answer.status_code == 409
    assert problem(answer)["type"] == "/problems/wallet-frozen"


def test_who_is_no_coach_is_refused(gateway):
    learner = make_user("learner")
    method = add_method(learner)
    expected = {
        "type": "/problems/permission-denied",
        "title": "You may not do this.",
        "status": 403,
        "detail": "Only coaches can withdraw.",
    }

    for answer in (
        ask(learner, "1.00", method),
        get(learner, "/withdrawals/quote?credits=1"),
    ):
        assert answer.status_code == 403
        assert problem(answer) == expected
    assert get(learner, "/withdrawals").json()["results"] == []


def test_without_a_rate_withdrawals_are_unavailable(gateway):
    answer = get(make_coach(), "/withdrawals/quote?credits=1")

    assert answer.status_code == 503
    assert problem(answer) == {
        "type": "/problems/payout-rate-missing",
        "title": "Withdrawals are not available at the moment.",
        "status": 503,
        "detail": "No payout rate is in effect. Please try again later.",
    }


@pytest.mark.parametrize(
    ("credits", "code", "detail"),
    [
        (
            "1.005",
            "max_decimal_places",
            "Ensure that there are no more than 2 decimal places.",
        ),
        (1.005, "max_decimal_places", None),
        ("0", "min_value", None),
        ("-1", "min_value", None),
        ("1e3", "invalid", "A number like 100 or 100.50 is required."),
        ("NaN", "invalid", "A number like 100 or 100.50 is required."),
        ("Infinity", "invalid", "A number like 100 or 100.50 is required."),
        (None, "null", "This field may not be null."),
        (True, "invalid", "A number like 100 or 100.50 is required."),
        ("1" * 13, "max_value", "The number must be below 1000000000000."),
    ],
)
def test_an_amount_that_is_none_is_refused(gateway, credits, code, detail):
    coach = make_earning_coach()

    answer = ask(coach, credits, add_method(coach))

    assert answer.status_code == 400
    (error,) = problem(answer)["errors"]
    assert (error["pointer"], error["code"]) == ("#/credits", code)
    assert detail is None or error["detail"] == detail
    assert balance_of(coach) == Decimal("100.00")


def test_fields_that_are_not_the_callers_are_refused(gateway):
    coach = make_earning_coach()
    body = {
        "credits": "1.00",
        "payout_method": str(add_method(coach).pk),
        "status": "paid",
    }

    answer = post(coach, "/withdrawals", body)

    assert answer.status_code == 400
    assert without_detail(problem(answer)) == problem_of_field(
        "status", "unknown", "This field is not known."
    )


def test_anothers_method_in_a_request_is_not_found(gateway):
    coach = make_earning_coach()
    anothers = add_method(make_coach("other"))

    answer = ask(coach, "1.00", anothers)

    assert answer.status_code == 404
    assert problem(answer)["type"] == "/problems/not-found"
    assert balance_of(coach) == Decimal("100.00")


def test_who_asked_cancels(gateway):
    coach = make_earning_coach()
    withdrawal = request(coach, "60.00", add_method(coach))

    answer = post(coach, f"/withdrawals/{withdrawal.pk}/cancel", None)

    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert balance_of(coach) == Decimal("100.00")


def test_cancelling_again_with_the_same_key_answers_the_same(gateway):
    coach = make_earning_coach()
    method = add_method(coach)
    first, second = request(coach, "60.00", method), request(coach, "10.00", method)
    key = {"Idempotency-Key": "k1"}
    path = f"/withdrawals/{first.pk}/cancel"

    answers = [post(coach, path, None, **key) for _ in range(2)]
    other = post(coach, f"/withdrawals/{second.pk}/cancel", None, **key)
    without = post(coach, path, None)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert "Idempotent-Replayed" not in answers[0]
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert (other.status_code, without.status_code) == (422, 409)
    assert balance_of(coach) == Decimal("90.00")


def test_an_approved_one_cannot_be_cancelled(gateway):
    coach = make_earning_coach()
    withdrawal = request(coach, "60.00", add_method(coach))
    services.approve_withdrawal(
        withdrawal_id=withdrawal.pk, actor=make_staff("finance")
    )

    answer = post(coach, f"/withdrawals/{withdrawal.pk}/cancel", None)

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/invalid-transition",
        "title": "This cannot be done in the present state.",
        "status": 409,
        "detail": "A step from approved to cancelled does not exist.",
        "current": "approved",
        "wanted": "cancelled",
    }


def test_anothers_withdrawal_is_neither_found_nor_cancelled(gateway):
    coach = make_earning_coach()
    withdrawal = request(coach, "60.00", add_method(coach))
    for stranger in (make_coach("charlie"), make_staff("finance")):
        seen = get(stranger, f"/withdrawals/{withdrawal.pk}")
        cancelled = post(stranger, f"/withdrawals/{withdrawal.pk}/cancel", None)

        assert (seen.status_code, cancelled.status_code) == (404, 404)
        assert problem(seen) == problem(cancelled)
        assert get(stranger, "/withdrawals").json()["results"] == []
    assert balance_of(coach) == Decimal("40.00")


def test_nobody_unknown_gets_in(gateway):
    from rest_framework.test import APIClient

    for path in (
        "/payout-destinations",
        "/payout-methods",
        "/withdrawals",
        "/withdrawals/quote?credits=1",
    ):
        answer = APIClient().get(f"/api/v1{path}")
        assert answer.status_code == 401
        assert problem(answer)["type"] == "/problems/not-authenticated"


def test_a_page_costs_the_same_however_long_it_is(
    gateway, django_assert_num_queries: Any
):
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    client = signed_in(coach)

    def queries(path: str) -> int:
        with django_assert_num_queries(1):
            answer = client.get(f"/api/v1{path}")
        return len(answer.json()["results"])

    request(coach, "1.00", method)
    assert queries("/withdrawals") == 1
    for _ in range(5):
        request(coach, "1.00", method)
    assert queries("/withdrawals") == 6
    add_method(coach, "0997654321")
    assert queries("/payout-methods") == 2


def test_pages_follow_one_another(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    made = [str(request(coach, "1.00", method).pk) for _ in range(3)]

    first = get(coach, "/withdrawals?limit=2").json()
    second = signed_in(coach).get(first["next"]).json()

    seen = [row["id"] for row in first["results"] + second["results"]]
    assert seen == made[::-1]
    assert get(coach, "/withdrawals?user=1").status_code == 400


def test_no_answer_holds_a_full_number(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    set_rate("11")
    answers = [
        ask(coach, "10.00", method),
        get(coach, "/withdrawals"),
        get(coach, "/payout-methods"),
        post(coach, "/payout-methods", METHOD),
    ]

    assert answers[-1].status_code == 409
    assert not any("991234567" in answer.content.decode() for answer in answers)
