"""Asking for a withdrawal over the API: quotes, answers and refusals."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from tests.withdrawals.asking import ask, get, post, problem_of_field, without_detail
from tests.withdrawals.people import (
    AIRTEL,
    add_method,
    make_earning_coach,
    problem,
    request,
)
from wallets.services import freeze_wallet, grant_credits
from withdrawals import services
from withdrawals.models import WithdrawalRequest

pytestmark = pytest.mark.django_db


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
