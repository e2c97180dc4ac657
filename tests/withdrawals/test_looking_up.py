"""Looking payouts up: what follows from what the gateway says of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments.gateway import from_settings
from tests.factories import balance_of, make_staff
from tests.withdrawals.people import fresh, make_approved
from tests.withdrawals.sending import claimed, look_up, send
from withdrawals import services
from withdrawals.models import PayoutAttempt
from withdrawals.services import outcomes, payouts

pytestmark = pytest.mark.django_db


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
