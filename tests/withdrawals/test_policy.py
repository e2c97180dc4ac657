"""P10, P11: limits of the whole system, numbers of requests, and who hears of them."""

from __future__ import annotations

import threading
import uuid
from decimal import Decimal
from functools import partial

import pytest
from allauth.account.models import EmailAddress

from credits_project.exceptions import DomainError
from tests.withdrawals.people import (
    add_method,
    earn,
    in_threads,
    make_earning_coach,
    request,
    signed_in,
)
from withdrawals import policy, services
from withdrawals.exceptions import WithdrawalLimit
from withdrawals.models import WithdrawalRequest
from withdrawals.services import requests


def make_two_coaches() -> list:
    return [make_earning_coach("100.00", name) for name in ("coach", "other")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("setting", "limit"),
    [
        ("WITHDRAWAL_SYSTEM_DAILY_CAP", "system_daily"),
        ("WITHDRAWAL_SYSTEM_WEEKLY_CAP", "system_weekly"),
    ],
)
def test_a_cap_on_all_together_counts_every_coach(gateway, settings, setting, limit):
    setattr(settings, setting, Decimal(100))
    coach, other = make_two_coaches()
    request(coach, "70.00", add_method(coach))

    with pytest.raises(WithdrawalLimit) as refusal:
        request(other, "30.01", add_method(other))

    assert refusal.value.extra == {"limit": limit, "allowed": "30.00"}
    assert request(other, "30.00", add_method(other, "0981234567")).pk


@pytest.mark.django_db
def test_the_quote_counts_what_others_have_withdrawn(gateway, settings):
    settings.WITHDRAWAL_SYSTEM_DAILY_CAP = Decimal(100)
    coach, other = make_two_coaches()
    request(coach, "70.00", add_method(coach))

    limits = signed_in(other).get("/api/v1/withdrawals/quote?credits=10").json()

    assert limits["limits"]["daily_left"] == "30.00"
    assert limits["limits"]["daily_cap"] is None


def test_parallel_requests_of_different_coaches_keep_the_cap_on_all(
    committed, gateway, settings
):
    settings.WITHDRAWAL_SYSTEM_DAILY_CAP = Decimal(100)
    coaches = [make_earning_coach("60.00", "coach") for _ in range(6)]
    methods = {coach.pk: add_method(coach) for coach in coaches}

    outcomes = in_threads(
        lambda coach: request(coach, "40.00", methods[coach.pk]), coaches
    )

    refused = [one for one in outcomes if isinstance(one, WithdrawalLimit)]
    assert len(refused) == 4
    assert WithdrawalRequest.objects.count() == 2


def test_without_the_lock_the_cap_on_all_would_not_hold(
    committed, gateway, settings, monkeypatch
):
    """The control: both look before either has written."""
    settings.WITHDRAWAL_SYSTEM_DAILY_CAP = Decimal(60)
    coaches = [make_earning_coach("60.00", "coach") for _ in range(2)]
    methods = {coach.pk: add_method(coach) for coach in coaches}
    both_have_looked = threading.Barrier(2, timeout=20)
    check = policy.check_limits

    def check_and_wait(credits, limits):
        check(credits, limits)
        both_have_looked.wait()

    monkeypatch.setattr(policy, "lock_system", lambda: None)
    # In parts of the system's wallet that differ, or they would queue for one.
    ids = iter([uuid.UUID(int=number) for number in range(1, 3)])
    monkeypatch.setattr(requests, "new_id", partial(next, ids))
    monkeypatch.setattr(policy, "check_limits", check_and_wait)

    outcomes = in_threads(
        lambda coach: request(coach, "40.00", methods[coach.pk]), coaches
    )

    assert [type(one) for one in outcomes] == [WithdrawalRequest] * 2


@pytest.mark.django_db
def test_a_coach_requests_so_many_a_day_also_where_they_came_back(gateway, settings):
    settings.WITHDRAWAL_DAILY_COUNT = 2
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    first = request(coach, "10.00", method)
    services.cancel_withdrawal(withdrawal_id=first.pk, actor=coach)
    request(coach, "10.00", method)

    with pytest.raises(WithdrawalLimit) as refusal:
        request(coach, "10.00", method)

    assert refusal.value.extra == {"limit": "daily_count", "allowed": "0.00"}
    quote = signed_in(coach).get("/api/v1/withdrawals/quote?credits=10").json()
    assert quote["limits"]["daily_left"] == "0.00"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "credits", ["0.01", "9.99", "10.00", "33.33", "40.00", "40.01", "80.00", "80.01"]
)
def test_what_the_quote_allows_is_what_the_request_takes(gateway, settings, credits):
    settings.WITHDRAWAL_MINIMUM = Decimal(10)
    settings.WITHDRAWAL_SYSTEM_WEEKLY_CAP = Decimal(40)
    settings.WITHDRAWAL_FEE_RATE = Decimal("0.07")
    settings.WITHDRAWAL_FEE_FLAT = Decimal("3.50")
    coach = make_earning_coach("80.00")
    method = add_method(coach)
    answer = signed_in(coach).get(f"/api/v1/withdrawals/quote?credits={credits}")
    quoted = answer.json()

    try:
        booked = request(coach, credits, method)
    except DomainError:
        booked = None

    amount = Decimal(credits)
    limits = quoted.get("limits")
    allowed = limits is not None and (
        Decimal(limits["minimum"]) <= amount <= Decimal(limits["weekly_left"])
        and amount <= Decimal(limits["withdrawable"])
    )
    assert (booked is not None) == allowed
    if booked is not None:
        fields = ("credits", "rate", "gross", "fee", "net", "currency")
        assert {name: str(getattr(booked, name)) for name in fields} == {
            name: quoted[name] for name in fields
        }


@pytest.mark.django_db
def test_the_owner_is_told_of_each_use_at_every_verified_address(
    gateway, mailoutbox, django_capture_on_commit_callbacks
):
    """P10: whoever changed the address does not keep the owner from hearing of it."""
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    EmailAddress.objects.create(user=coach, email="before@example.com", verified=True)
    EmailAddress.objects.create(user=coach, email="unproven@example.com")
    mailoutbox.clear()

    with django_capture_on_commit_callbacks(execute=True):
        request(coach, "50.00", method)

    assert sorted(mail.to[0] for mail in mailoutbox) == [
        "before@example.com",
        coach.email,
    ]
    assert "50.00 credits, 500.00 MWK" in mailoutbox[0].body
    assert "••••567" in mailoutbox[0].body
    assert "991234567" not in mailoutbox[0].body


@pytest.mark.django_db
def test_a_request_that_is_refused_tells_nobody(
    gateway, mailoutbox, django_capture_on_commit_callbacks
):
    coach = make_earning_coach("10.00")
    method = add_method(coach)
    earn(coach, "5.00")
    mailoutbox.clear()

    with (
        django_capture_on_commit_callbacks(execute=True),
        pytest.raises(DomainError),
    ):
        request(coach, "50.00", method)

    assert mailoutbox == []
