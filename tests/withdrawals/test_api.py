"""Withdrawals over the API: cancelling, lists, and what nobody else sees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.factories import balance_of, make_coach, make_staff
from tests.withdrawals.asking import METHOD, ask, get, post
from tests.withdrawals.people import (
    add_method,
    make_earning_coach,
    problem,
    request,
    set_rate,
    signed_in,
)
from withdrawals import services

pytestmark = pytest.mark.django_db


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
