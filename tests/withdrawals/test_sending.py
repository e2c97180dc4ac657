from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments.gateway import from_settings
from tests.factories import balance_of, make_staff
from tests.withdrawals.people import (
    NATIONAL_BANK,
    fresh,
    make_approved,
)
from withdrawals import services
from withdrawals.models import Payout, PayoutAttempt
from withdrawals.services import leases, outcomes, payouts

pytestmark = pytest.mark.django_db


def send(payout: Payout) -> bool:
    return services.send_payout(payout_id=payout.pk, now=timezone.now())


def claimed(payout: Payout, status: str) -> leases.Claim:
    claim = leases.claim(payout.pk, now=timezone.now(), statuses=[status])
    assert claim is not None
    return claim


def look_up(payout: Payout, **later: float):
    now = timezone.now() + timedelta(**later)
    return services.look_up_payout(payout_id=payout.pk, now=now)


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


def test_a_payout_that_fails_gives_the_credits_back_once(gateway):
    payout = make_approved("50.00")
    send(payout)

    gateway.settle(payout.charge_id, "failed")
    look_up(payout)
    look_up(payout)

    withdrawal = fresh(payout.withdrawal)
    assert (fresh(payout).status, withdrawal.status) == ("failed", "failed")
    assert withdrawal.failure_reason == "The payout failed at the payment gateway."
    assert balance_of(withdrawal.user) == Decimal("100.00")


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


def test_not_found_soon_after_sending_is_not_a_failure(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)

    status = look_up(payout)

    assert status is not None
    assert status.outcome == "not_found"
    assert fresh(payout).status == "sent"
    assert fresh(payout.withdrawal).flag == ""


def test_not_found_after_the_settling_time_is_flagged_with_both_witnesses(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)

    look_up(payout, hours=2)

    note = "Look-up: not known to the gateway; the list does not have it."
    assert fresh(payout).status == "sent"
    assert fresh(payout).note == note
    assert fresh(payout.withdrawal).flag == note
    assert balance_of(payout.withdrawal.user) == Decimal("50.00")


def test_two_agreeing_witnesses_suffice_where_settings_say_so(gateway, settings):
    settings.PAYOUT_AUTO_RESOLVE = True
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)

    look_up(payout, hours=2)

    assert fresh(payout).status == "failed"
    assert fresh(payout.withdrawal).flag == ""
    assert fresh(payout.withdrawal).failure_reason == "The payout could not be sent."
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


def test_where_the_list_has_it_nothing_is_given_back(gateway, settings):
    settings.PAYOUT_AUTO_RESOLVE = True
    payout = make_approved("50.00")
    send(payout)
    gateway.fault("lookup", "not-found")

    look_up(payout, hours=2)

    flag = "Look-up: not known to the gateway; the list says pending."
    assert fresh(payout).status == "sent"
    assert fresh(payout.withdrawal).flag == flag

    gateway.clear_faults()
    gateway.settle(payout.charge_id)
    look_up(payout, hours=3)

    assert fresh(payout.withdrawal).status == "paid"
    assert fresh(payout.withdrawal).flag == ""


def test_a_list_that_cannot_be_read_is_no_witness(gateway, settings):
    settings.PAYOUT_AUTO_RESOLVE = True
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    gateway.fault("payout-list", "500-before")
    send(payout)

    look_up(payout, hours=2)

    assert fresh(payout).status == "sent"
    assert "the list could not be read whole" in fresh(payout.withdrawal).flag


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        ("wrong-amount", "The gateway paid 1, not 500.00."),
        ("wrong-currency", "The gateway paid in USD, not MWK."),
        ("wrong-mode", "The gateway paid in live mode."),
    ],
)
def test_another_sum_than_ordered_is_flagged_and_not_booked(gateway, fault, flag):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id)
    gateway.fault("lookup", fault)

    look_up(payout)

    assert fresh(payout).status == "sent"
    assert fresh(payout.withdrawal).flag == flag


def test_a_status_word_that_is_not_known_changes_nothing(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.fault("lookup", "unknown-status")

    look_up(payout)

    assert fresh(payout).status == "sent"
    assert fresh(payout.withdrawal).flag == ""

    look_up(payout, hours=2)

    assert "not understood (reviewing)" in fresh(payout.withdrawal).flag


def test_success_after_the_credits_were_given_back_is_flagged(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id, "failed")
    look_up(payout)

    gateway.settle(payout.charge_id, "success")
    services.handle_payout_event(payout.charge_id)

    withdrawal = fresh(payout.withdrawal)
    assert withdrawal.status == "failed"
    assert withdrawal.flag == (
        "The credits were given back, and the gateway says success."
    )
    assert balance_of(withdrawal.user) == Decimal("100.00")


def test_failure_after_it_was_paid_is_flagged_and_gives_nothing_back(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id, "success")
    look_up(payout)

    gateway.settle(payout.charge_id, "failed")
    services.handle_payout_event(payout.charge_id)

    withdrawal = fresh(payout.withdrawal)
    assert withdrawal.status == "paid"
    assert withdrawal.flag == "It was paid, and now the gateway says failed."
    assert balance_of(withdrawal.user) == Decimal("50.00")


def test_what_the_gateway_knows_is_not_sent_though_it_is_ready_here(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id)
    # As after a restore of the database to a moment before the call.
    claim = claimed(payout, "sent")
    outcomes.record_unsent(claim, note="")
    assert fresh(payout).status == "ready"

    services.handle_payout_event(payout.charge_id)

    assert fresh(payout).status == "sent"
    assert "before it was sent" in fresh(payout.withdrawal).flag


def test_an_event_about_nobodys_payout_is_nobodys(gateway):
    from payments.gateway import events_registry

    assert not events_registry.handle_payout("somebody-elses")


def test_an_event_is_a_hint_and_no_proof(gateway):
    from payments.gateway import events_registry

    payout = make_approved("50.00")
    send(payout)

    assert events_registry.handle_payout(payout.charge_id)

    assert fresh(payout).status == "sent"

    gateway.settle(payout.charge_id)
    events_registry.handle_payout(payout.charge_id)

    assert fresh(payout).status == "paid"


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


def test_a_worker_that_slept_through_its_lease_writes_nothing(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id, "failed")
    sleeper = claimed(payout, "sent")
    status, listing = payouts._ask(from_settings(), sleeper)
    look_up(payout, minutes=5)
    assert fresh(payout.withdrawal).status == "failed"

    outcomes.record_look_up(sleeper, status, listing)

    assert balance_of(payout.withdrawal.user) == Decimal("100.00")
    last = PayoutAttempt.objects.filter(payout=payout).order_by("id").last()
    assert last is not None
    assert last.response["lease"] == "lost: nothing followed from this"


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


def test_reconciling_finds_nothing_where_both_sides_agree(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id)
    look_up(payout)
    start = timezone.now() - timedelta(days=1)

    assert services.reconcile_payouts(start, timezone.now()) == []

    gateway.settle(payout.charge_id, "failed")

    assert services.reconcile_payouts(start, timezone.now()) == [
        f"payout {payout.charge_id}: paid, and the gateway says failed"
    ]


def test_reconciling_finds_what_only_one_side_knows(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)
    start = timezone.now() - timedelta(days=1)

    assert services.reconcile_payouts(start, timezone.now()) == [
        f"payout {payout.charge_id}: sent, and the gateway has none"
    ]


def test_while_the_gateway_is_silent_nothing_changes_and_it_is_asked_again(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.fault("lookup", "500-before")

    assert look_up(payout) is None

    waiting = fresh(payout)
    assert waiting.status == "sent"
    assert waiting.next_check_at < timezone.now() + timedelta(seconds=30)
    last = PayoutAttempt.objects.filter(payout=payout).order_by("id").last()
    assert last is not None
    assert (last.outcome, last.http_status) == ("unavailable", 500)


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


def test_a_payout_that_stays_pending_is_asked_about_ever_more_rarely(gateway):
    payout = make_approved("50.00")
    send(payout)
    pauses = []
    now = timezone.now()
    for _ in range(8):
        services.look_up_payout(payout_id=payout.pk, now=now)
        pause = fresh(payout).next_check_at - now
        pauses.append(round(pause.total_seconds()))
        now += pause

    assert pauses == [5, 10, 20, 60, 120, 300, 300, 300]


def test_a_payout_that_is_pending_for_a_day_is_flagged(gateway):
    payout = make_approved("50.00")
    send(payout)

    look_up(payout, hours=25)

    flag = "The payout has been pending for more than a day."
    assert fresh(payout.withdrawal).flag == flag
    assert fresh(payout).status == "sent"


def test_another_sum_that_shows_up_after_it_was_paid_is_flagged(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id)
    look_up(payout)
    gateway.fault("lookup", "wrong-amount")

    services.handle_payout_event(payout.charge_id)

    assert fresh(payout.withdrawal).flag == "The gateway paid 1, not 500.00."


def test_an_event_about_a_frozen_ready_payout_sends_nothing_and_is_flagged(gateway):
    payout = make_approved("50.00")
    send(payout)
    outcomes.record_unsent(claimed(payout, "sent"), note="")
    services.freeze_payouts(actor=make_staff("finance"), reason="restored")

    services.handle_payout_event(payout.charge_id)

    assert fresh(payout).status == "ready"
    assert "before it was sent" in fresh(payout.withdrawal).flag


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


def test_reconciling_finds_a_payout_that_nobody_here_knows(gateway):
    make_approved("50.00")
    operators = from_settings().mobile_money_operators()
    from_settings().send_mobile_payout(
        charge_id="not-ours",
        amount=Decimal(100),
        mobile="991234567",
        operator_id=operators[0].id,
    )

    lines = services.reconcile_payouts(timezone.now(), timezone.now())

    assert lines == ["payout not-ours: the gateway has it and nobody here knows it"]


def test_a_rejected_payout_is_rightly_not_at_the_gateway(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "refused")
    send(payout)
    start = timezone.now() - timedelta(days=1)

    assert services.reconcile_payouts(start, timezone.now()) == []


def test_a_list_of_several_pages_is_read_to_its_end(gateway, settings):
    settings.PAYOUT_AUTO_RESOLVE = True
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)
    operator = from_settings().mobile_money_operators()[0]
    for number in range(12):
        from_settings().send_mobile_payout(
            charge_id=f"other-{number}",
            amount=Decimal(100),
            mobile="991234567",
            operator_id=operator.id,
        )

    look_up(payout, hours=2)

    last = PayoutAttempt.objects.filter(payout=payout).order_by("id").last()
    assert last is not None
    assert last.response["list"] == {"found": None, "rows": 12, "complete": True}
    assert fresh(payout).status == "failed"


def test_a_payout_that_another_began_meanwhile_is_not_begun_again(gateway):
    payout = make_approved("50.00")
    sleeper = claimed(payout, "ready")
    later = timezone.now() + timedelta(minutes=5)
    assert services.send_payout(payout_id=payout.pk, now=later)

    begun = payouts._begin(sleeper, balance=Decimal(9999), asked_at=timezone.now())

    assert not begun
    assert len(gateway.state()["payouts"]) == 1
