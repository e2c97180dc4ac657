"""The staff console, through its pages."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import balance_of, make_staff
from tests.withdrawals.people import (
    add_method,
    fresh,
    make_approved,
    make_earning_coach,
    request,
)
from withdrawals import services
from withdrawals.models import Payout, PayoutRate, PayoutSwitch, WithdrawalRequest

pytestmark = pytest.mark.django_db


@pytest.fixture
def withdrawal(gateway) -> WithdrawalRequest:
    coach = make_earning_coach("100.00")
    return request(coach, "60.00", add_method(coach))


def console(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def address(model: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:withdrawals_{model}_{page}", args=args)


def act(client: Client, action: str, *rows: Any, **fields: Any) -> Any:
    model = rows[0]._meta.model_name
    return client.post(
        address(model),
        {"action": action, "_selected_action": [str(row.pk) for row in rows], **fields},
        follow=True,
    )


@pytest.mark.parametrize("group", ["support", "finance", "auditors"])
@pytest.mark.parametrize(
    "model",
    [
        "withdrawalrequest",
        "payout",
        "payoutattempt",
        "payoutmethod",
        "payoutrate",
        "payoutswitch",
    ],
)
def test_staff_see_every_list_and_row_with_numbers_masked(gateway, group, model):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    client = console(make_staff(group))

    answer = client.get(address(model), {"q": "a"} if "rate" not in model else {})
    rows = answer.context["cl"].model.objects.all()
    page = client.get(address(model, "change", rows[0].pk))

    assert (answer.status_code, page.status_code) == (200, 200)
    for shown in (answer, page):
        assert "991234567" not in shown.content.decode()
        assert "style=" not in shown.content.decode()
        assert "Content-Security-Policy" in shown


def test_finance_approves(withdrawal):
    answer = act(console(make_staff("finance")), "approve", withdrawal)

    assert fresh(withdrawal).status == "approved"
    text = f"Withdrawal {withdrawal.pk}: approved, 600.00 MWK to Airtel Money ••••567."
    assert text in answer.content.decode()


def test_each_refusal_is_told_and_the_others_go_on(withdrawal):
    coach = withdrawal.user
    other = request(coach, "10.00", coach.payout_methods.get())
    finance = make_staff("finance")
    services.reject_withdrawal(withdrawal_id=withdrawal.pk, actor=finance, reason="no")

    answer = act(console(finance), "approve", withdrawal, other)

    assert fresh(other).status == "approved"
    assert (
        f"Withdrawal {withdrawal.pk}: A step from rejected to approved does not exist."
        in answer.content.decode()
    )


def test_a_rejection_asks_for_its_reason_first(withdrawal):
    client = console(make_staff("finance"))

    page = act(client, "reject", withdrawal)
    assert fresh(withdrawal).status == "requested"
    assert 'name="reason"' in page.content.decode()

    act(client, "reject", withdrawal, confirmed="yes", reason="wrong name")

    assert fresh(withdrawal).status == "rejected"
    assert fresh(withdrawal).failure_reason == "wrong name"
    assert balance_of(withdrawal.user) == Decimal("100.00")


def test_a_large_one_waits_for_the_second_person(withdrawal, settings):
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(5)
    coach = withdrawal.user
    large = request(coach, "10.00", coach.payout_methods.get())

    answer = act(console(make_staff("finance")), "approve", large)

    assert "a second person has to" in answer.content.decode()
    act(console(make_staff("finance")), "approve", large)
    assert fresh(large).status == "approved"


@pytest.mark.parametrize("action", ["approve", "reject", "cancel", "confirm_not_sent"])
@pytest.mark.parametrize("group", ["support", "auditors"])
def test_others_have_no_actions(withdrawal, group, action):
    act(console(make_staff(group)), action, withdrawal, confirmed="yes", reason="mine")

    assert fresh(withdrawal).status == "requested"


def test_finance_cancels_what_is_not_sent_yet(gateway):
    payout = make_approved("50.00")

    act(console(make_staff("finance")), "cancel", payout.withdrawal)

    assert fresh(payout.withdrawal).status == "cancelled"


def test_finance_confirms_that_a_flagged_one_was_not_sent(gateway, settings):
    settings.PAYOUT_SETTLING_MINUTES = 0
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    services.sweep(now=timezone.now(), everything=True)
    client = console(make_staff("finance"))
    listed = client.get(address("withdrawalrequest"), {"flagged": "yes"})
    assert listed.context["cl"].result_count == 1

    act(client, "confirm_not_sent", payout.withdrawal)

    assert fresh(payout.withdrawal).status == "failed"
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")
    none = client.get(address("withdrawalrequest"), {"flagged": "yes"})
    assert none.context["cl"].result_count == 0


def test_who_confirms_several_has_the_gateways_list_read_once(gateway, settings):
    settings.PAYOUT_SETTLING_MINUTES = 0
    withdrawals = [make_approved("50.00").withdrawal for _ in range(3)]
    gateway.fault("payout", "500-before", times=3)
    services.sweep(now=timezone.now(), everything=True)
    before = gateway.state()["counts"]["payout-list"]

    act(console(make_staff("finance")), "confirm_not_sent", *withdrawals)

    assert {fresh(withdrawal).status for withdrawal in withdrawals} == {"failed"}
    assert gateway.state()["counts"]["payout-list"] == before + 1


@pytest.mark.parametrize("model", ["withdrawalrequest", "payoutmethod"])
def test_finance_sees_the_full_number_on_a_page_of_its_own_and_is_noted(
    withdrawal, model
):
    row = withdrawal if model == "withdrawalrequest" else withdrawal.payout_method
    client = console(make_staff("finance"))
    page = address(model, "number", row.pk)
    assert page in client.get(address(model, "change", row.pk)).content.decode()

    assert "991234567" not in client.get(page).content.decode()
    assert not LogEntry.objects.filter(object_id=str(row.pk)).exists()
    assert "991234567" in client.post(page).content.decode()

    assert LogEntry.objects.filter(object_id=str(row.pk)).count() == 1


@pytest.mark.parametrize("group", ["support", "auditors"])
def test_others_do_not_see_full_numbers(withdrawal, group):
    client = console(make_staff(group))
    page = address("withdrawalrequest", "number", withdrawal.pk)

    assert client.get(page).status_code == 403
    assert client.post(page).status_code == 403
    change = client.get(address("withdrawalrequest", "change", withdrawal.pk))
    assert page not in change.content.decode()


def test_a_rate_is_changed_by_adding_one(gateway):
    finance = make_staff("finance")
    client = console(finance)

    client.post(
        address("payoutrate", "add"),
        {
            "rate": "12.5",
            "effective_from_0": "2020-01-01",
            "effective_from_1": "00:00:00",
        },
    )

    rate = PayoutRate.objects.get()
    assert (rate.rate, rate.created_by) == (Decimal("12.5"), finance)
    assert rate.effective_from.year > 2020
    edit = client.post(address("payoutrate", "change", rate.pk), {"rate": "1"})
    assert edit.status_code == 403
    assert client.post(address("payoutrate", "delete", rate.pk)).status_code == 403


def test_payouts_are_frozen_and_unfrozen_with_a_reason():
    client = console(make_staff("finance"))
    switch = PayoutSwitch.objects.get()

    act(client, "freeze", switch)
    assert fresh(switch).frozen_at is None
    act(client, "freeze", switch, confirmed="yes", reason="a leak")
    assert fresh(switch).frozen_at is not None
    act(client, "unfreeze", switch, confirmed="yes", reason="closed")
    assert fresh(switch).frozen_at is None


def test_nothing_is_added_or_edited_by_hand(gateway):
    payout = make_approved("50.00")
    client = console(make_staff("finance"))

    for model, row in (
        ("withdrawalrequest", payout.withdrawal),
        ("payout", payout),
        ("payoutmethod", payout.withdrawal.payout_method),
    ):
        assert client.get(address(model, "add")).status_code == 403
        change = client.post(address(model, "change", row.pk), {"status": "paid"})
        delete = client.post(address(model, "delete", row.pk))
        assert (change.status_code, delete.status_code) == (403, 403)
    assert Payout.objects.get().status == "ready"


def test_a_number_that_cannot_be_decrypted_is_said_to_be_so(withdrawal, settings):
    client = console(make_staff("finance"))
    settings.FIELD_ENCRYPTION_KEY = "another key, another key, another key"

    answer = client.post(address("withdrawalrequest", "number", withdrawal.pk))

    assert answer.status_code == 200
    assert "cannot be decrypted" in answer.content.decode()


def test_a_flag_is_cleared_with_a_reason(gateway):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    services.look_up_payout(
        payout_id=payout.pk, now=timezone.now() + timedelta(hours=25)
    )
    client = console(make_staff("finance"))
    only = client.get(address("withdrawalrequest"), {"flagged": "no"})
    assert only.context["cl"].result_count == 0

    act(client, "clear_flag", payout.withdrawal, confirmed="yes", reason="asked")

    assert fresh(payout.withdrawal).flag == ""


def test_a_refusal_to_cancel_is_told(gateway):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())

    answer = act(console(make_staff("finance")), "cancel", payout.withdrawal)

    text = "A step from sending to cancelled does not exist."
    assert text in answer.content.decode()
