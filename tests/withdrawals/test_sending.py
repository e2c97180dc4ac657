"""Sending payouts: once, or for sure not yet."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tests.factories import balance_of, make_staff
from tests.withdrawals.people import NATIONAL_BANK, fresh, make_approved
from tests.withdrawals.sending import claimed, look_up, send
from withdrawals import services
from withdrawals.models import PayoutAttempt
from withdrawals.services import leases, outcomes, payouts

pytestmark = pytest.mark.django_db


def test_an_approved_withdrawal_is_sent_once_and_paid_when_the_gateway_says_so(gateway):
    payout = make_approved("50.00")

    assert send(payout)

    at_gateway = gateway.payout(payout.charge_id)
    assert (at_gateway["amount"], at_gateway["mobile"]) == ("500", "991234567")
    assert fresh(payout).status == "sent"
    assert fresh(payout.withdrawal).status == "sending"

    gateway.settle(payout.charge_id)
    look_up(payout)

    withdrawal = fresh(payout.withdrawal)
    assert (fresh(payout).status, withdrawal.status) == ("paid", "paid")
    assert withdrawal.paid_at is not None
    assert withdrawal.closing_transfer.key == f"withdrawal:{withdrawal.pk}:paid"
    assert balance_of(withdrawal.user) == Decimal("50.00")


def test_a_bank_payout_goes_to_the_bank_account(gateway):
    payout = make_approved(kind="bank", destination=NATIONAL_BANK, number="1007534422")

    assert send(payout)

    at_gateway = gateway.payout(payout.charge_id)
    assert at_gateway["account_number"] == "1007534422"
    assert at_gateway["account_name"] == "Chikondi Banda"


def test_a_conclusive_rejection_gives_the_credits_back(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "refused", message="The account is closed.")

    assert send(payout)

    assert fresh(payout).status == "failed"
    assert fresh(payout).note == "Rejected: The account is closed."
    assert fresh(payout.withdrawal).status == "failed"
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


@pytest.mark.parametrize(
    "fault", ["500-after", "html-after", "reset-after", "timeout-after", "truncated"]
)
def test_an_unknown_outcome_is_never_sent_again_and_only_looked_up(gateway, fault):
    payout = make_approved("50.00")
    gateway.fault("payout", fault, times=1, seconds=3)

    send(payout)
    assert fresh(payout).status == "sent"
    services.sweep(now=timezone.now() + timedelta(minutes=5), everything=True)
    gateway.settle(payout.charge_id)
    services.sweep(now=timezone.now() + timedelta(minutes=10), everything=True)

    assert fresh(payout.withdrawal).status == "paid"
    assert gateway.state()["counts"]["payout"] == 1
    assert len(gateway.state()["payouts"]) == 1


@pytest.mark.parametrize("fault", ["rate-limited"])
def test_what_was_surely_not_sent_is_sent_later(gateway, fault):
    payout = make_approved("50.00")
    gateway.fault("payout", fault, times=1, retry_after=7)

    send(payout)

    waiting = fresh(payout)
    assert waiting.status == "ready"
    assert waiting.sent_at is None
    assert waiting.next_check_at > timezone.now() + timedelta(seconds=5)
    assert fresh(payout.withdrawal).status == "sending"

    services.sweep(now=timezone.now() + timedelta(seconds=30))

    assert fresh(payout).status == "sent"
    assert len(gateway.state()["payouts"]) == 1


def test_without_a_connection_it_stays_ready(gateway, settings):
    payout = make_approved("50.00")
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"

    assert not send(payout)

    assert fresh(payout).status == "ready"
    assert "could not be asked" in fresh(payout).note
    assert fresh(payout.withdrawal).status == "approved"


def test_with_too_little_at_the_gateway_it_stays_ready(gateway):
    payout = make_approved("50.00")
    gateway.post("balance", main="499.99")

    assert not send(payout)

    assert fresh(payout).status == "ready"
    assert fresh(payout).note == "The gateway holds too little for this payout."

    gateway.post("balance", main="500")
    services.sweep(now=timezone.now() + timedelta(minutes=1))

    assert fresh(payout).status == "sent"


def test_nothing_is_sent_while_payouts_are_frozen(gateway):
    payout = make_approved("50.00")
    finance = make_staff("finance")
    services.freeze_payouts(actor=finance, reason="a leak")

    assert not send(payout)
    swept = services.sweep(now=timezone.now() + timedelta(minutes=1), everything=True)
    assert swept == {"payouts_sent": 0, "payouts_looked_up": 0}
    assert gateway.state()["payouts"] == []

    services.unfreeze_payouts(actor=finance, reason="closed")
    services.sweep(now=timezone.now() + timedelta(minutes=1))

    assert fresh(payout).status == "sent"


def test_a_freeze_that_comes_after_the_balance_was_asked_still_stops_it(gateway):
    payout = make_approved("50.00")
    claim = claimed(payout, "ready")
    services.freeze_payouts(actor=make_staff("finance"), reason="a leak")

    begun = payouts._begin(claim, balance=Decimal(1000), asked_at=timezone.now())

    assert not begun
    assert fresh(payout).status == "ready"


def test_every_exchange_is_kept_without_the_number(gateway):
    payout = make_approved("50.00")
    send(payout)
    look_up(payout)

    attempts = PayoutAttempt.objects.filter(payout=payout).order_by("id")

    assert [(a.kind, a.outcome) for a in attempts] == [
        ("begin", "begun"),
        ("send", "accepted"),
        ("look_up", "pending"),
    ]
    assert attempts[0].request["account_number"] == "••••567"
    assert attempts[1].request["mobile"] == "******567"
    assert "991234567" not in str([(a.request, a.response) for a in attempts])


def test_a_payout_that_somebody_works_on_is_left_alone(gateway):
    payout = make_approved("50.00")
    now = timezone.now()
    leases.claim(payout.pk, now=now, statuses=["ready"])

    assert not services.send_payout(payout_id=payout.pk, now=now)
    assert gateway.state()["payouts"] == []

    assert services.send_payout(payout_id=payout.pk, now=now + timedelta(minutes=5))


def test_a_number_that_cannot_be_decrypted_is_flagged_and_not_sent(gateway, settings):
    payout = make_approved("50.00")
    settings.FIELD_ENCRYPTION_KEY = "another key, another key, another key"

    assert not send(payout)

    assert fresh(payout).status == "ready"
    assert fresh(payout.withdrawal).flag == "The account number cannot be decrypted."
    assert gateway.state()["payouts"] == []


def test_the_test_phones_that_fail_fail(gateway):
    payout = make_approved("50.00", number="990000001")
    send(payout)
    gateway.post("options", settle_seconds=3600)

    assert gateway.payout(payout.charge_id)["results"] == ["failed"]


def test_a_gateway_in_another_mode_is_sent_nothing(gateway):
    payout = make_approved("50.00")
    gateway.post("options", mode="live")
    try:
        assert not send(payout)
    finally:
        gateway.post("options", mode="test")

    assert fresh(payout).status == "ready"
    assert fresh(payout).note == "The gateway is in live mode."


def test_a_worker_that_was_stopped_before_the_call_does_not_make_it(
    gateway, monkeypatch
):
    payout = make_approved("50.00")
    # As if the process had been stopped right after the payout was marked as sent.
    monkeypatch.setattr(payouts, "_BEGIN_WITHIN_SECONDS", -1.0)

    assert not send(payout)

    assert fresh(payout).status == "ready"
    assert fresh(payout).note == "The worker was stopped before the call."
    assert gateway.state()["payouts"] == []


def test_a_stopped_worker_changes_nothing_once_another_took_over(gateway):
    payout = make_approved("50.00")
    sleeper = claimed(payout, "ready")
    assert payouts._begin(sleeper, balance=Decimal(9999), asked_at=timezone.now())
    look_up(payout, minutes=5)

    outcomes.record_unsent(sleeper, note="too late")

    assert fresh(payout).status == "sent"


def test_a_bug_with_one_payout_does_not_keep_the_others_waiting(
    gateway, monkeypatch, caplog
):
    broken, good = make_approved("50.00"), make_approved("50.00")
    call = payouts._call

    def call_with_a_bug(client, claim, *rest):
        assert claim.payout_id != broken.pk, "a bug"
        return call(client, claim, *rest)

    monkeypatch.setattr(payouts, "_call", call_with_a_bug)

    services.sweep(now=timezone.now(), everything=True)

    assert fresh(good).status == "sent"
    assert f"payout {broken.pk} could not be worked on" in caplog.text


def test_a_payout_that_another_began_meanwhile_is_not_begun_again(gateway):
    payout = make_approved("50.00")
    sleeper = claimed(payout, "ready")
    later = timezone.now() + timedelta(minutes=5)
    assert services.send_payout(payout_id=payout.pk, now=later)

    begun = payouts._begin(sleeper, balance=Decimal(9999), asked_at=timezone.now())

    assert not begun
    assert len(gateway.state()["payouts"]) == 1
