"""F24 to F44 for payouts, judged by the gateway's own book.

Whatever the gateway does, a payout is asked for once unless it surely did not arrive,
and is paid, or given back, or waiting to be looked up.
"""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from payments.gateway import from_settings
from tests.factories import balance_of
from tests.simulator_process import until
from tests.withdrawals.answering import never_connecting, trap
from tests.withdrawals.book import posts
from tests.withdrawals.people import AIRTEL, fresh, in_threads, make_approved
from tests.withdrawals.sending import send, sweep
from withdrawals import services
from withdrawals.models import Payout, PayoutCase

pytestmark = pytest.mark.usefixtures("judged")

# How many events of the 1,000 of F43 `make test` has; each costs a look-up.
EVENTS = int(os.environ.get("PAYOUT_EVENTS", "200"))


@pytest.fixture
def payout(db: None, gateway: Any, settings: Any) -> Payout:
    settings.PAYCHANGU_TIMEOUT_SECONDS = 1
    return make_approved("50.00")


def state_of(payout: Payout) -> tuple[str, str]:
    return fresh(payout).status, fresh(payout.withdrawal).status


def test_f24_without_a_connection_in_time_it_is_surely_not_sent(
    payout, gateway, settings
):
    """F24: connect timeout."""
    simulator = settings.PAYCHANGU_BASE_URL
    with never_connecting() as address:
        settings.PAYCHANGU_BASE_URL = address
        result = from_settings().send_mobile_payout(
            charge_id=payout.charge_id,
            amount=payout.amount,
            mobile="991234567",
            operator_id=AIRTEL,
        )
        assert not send(payout)
    settings.PAYCHANGU_BASE_URL = simulator

    assert result.outcome == "not_sent"
    assert state_of(payout) == ("ready", "approved")
    assert posts(gateway) == 0
    sweep(minutes=1)
    assert posts(gateway) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("timeout-after", id="F25-read-timeout-processed"),
        pytest.param("reset-after", id="F27-reset"),
        pytest.param("cut-off", id="F27-reset-mid-body"),
        pytest.param("500-after", id="F28-500-but-processed"),
        pytest.param("html-after", id="F29-502-with-html"),
        pytest.param("truncated", id="F31-truncated-json"),
        pytest.param("invalid-json", id="F31-invalid-json"),
        pytest.param("drip", id="F37-slow-drip"),
    ],
)
def test_what_was_processed_is_paid_once_whatever_the_answer(payout, gateway, fault):
    gateway.fault("payout", fault, times=1, seconds=3)

    send(payout)
    for minutes in (1, 5, 30):
        sweep(minutes=minutes)
    gateway.settle(payout.charge_id)
    sweep(minutes=45)

    assert state_of(payout) == ("paid", "paid")
    assert posts(gateway) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("timeout-before", id="F26-read-timeout-not-processed"),
        pytest.param("reset-before", id="F27-reset-not-processed"),
        pytest.param("500-before", id="F28-500-not-processed"),
        pytest.param("html-before", id="F29-504-with-html"),
    ],
)
def test_what_was_not_processed_is_given_back_once_both_witnesses_agree(
    payout, gateway, settings, fault
):
    settings.PAYOUT_AUTO_RESOLVE = True
    gateway.fault("payout", fault, times=1, seconds=3, status=504)

    send(payout)
    for minutes in (1, 5, 30):
        sweep(minutes=minutes)
    assert state_of(payout) == ("sent", "sending")
    sweep(minutes=90)

    assert state_of(payout) == ("failed", "failed")
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")
    assert posts(gateway) == 1
    assert gateway.state()["payouts"] == []


def test_f30_what_was_turned_away_for_haste_is_sent_later(payout, gateway):
    """F30: 429 with Retry-After."""
    gateway.fault("payout", "rate-limited", times=2, retry_after=9)

    send(payout)
    assert state_of(payout) == ("ready", "sending")
    services.sweep(now=timezone.now() + timedelta(seconds=2))
    assert posts(gateway) == 1
    sweep(minutes=1)
    sweep(minutes=2)
    gateway.settle(payout.charge_id)
    sweep(minutes=3)

    assert state_of(payout) == ("paid", "paid")
    assert len(gateway.state()["payouts"]) == 1
    assert fresh(payout).sendings == 3


def test_f32_a_status_word_that_nobody_knows_books_nothing(payout, gateway):
    """F32: an unknown status word, in the answer and in look-ups."""
    gateway.fault("payout", "unknown-status")
    gateway.fault("lookup", "unknown-status")
    send(payout)
    sweep(minutes=1)
    assert state_of(payout) == ("sent", "sending")
    sweep(minutes=90)
    assert "not understood" in fresh(payout.withdrawal).flag

    gateway.clear_faults()
    gateway.settle(payout.charge_id)
    sweep(minutes=95)

    assert state_of(payout) == ("paid", "paid")
    assert fresh(payout.withdrawal).flag == ""


def test_f33_a_charge_id_that_was_used_is_no_rejection(payout, gateway):
    """F33: "already used" says that an earlier call did arrive."""
    from_settings().send_mobile_payout(
        charge_id=payout.charge_id,
        amount=payout.amount,
        mobile="991234567",
        operator_id=AIRTEL,
    )
    # Of both addresses, so that the look-up before the call does not know it.
    gateway.fault("mobile-lookup", "not-found", times=1)
    gateway.fault("bank-lookup", "not-found", times=1)

    send(payout)

    assert state_of(payout) == ("sent", "sending")
    assert fresh(payout).attempts.filter(kind="send").get().outcome == "unknown"
    gateway.settle(payout.charge_id)
    sweep(minutes=1)
    assert state_of(payout) == ("paid", "paid")


def test_f34_success_and_then_failure_is_a_case(payout, gateway):
    """F34: nothing is given back by itself."""
    send(payout)
    gateway.settle(payout.charge_id)
    sweep(minutes=1)

    gateway.settle(payout.charge_id, "failed")
    services.sweep(now=timezone.now() + timedelta(hours=2))

    assert state_of(payout) == ("paid", "paid")
    assert PayoutCase.objects.open().get().kind == "failed_after_paid"
    assert balance_of(payout.withdrawal.user) == Decimal("50.00")


def test_f35_not_found_right_after_creation_is_no_failure(payout, gateway, settings):
    """F35, with PAYOUT_AUTO_RESOLVE on."""
    settings.PAYOUT_AUTO_RESOLVE = True
    send(payout)
    gateway.fault("lookup", "not-found", times=4)

    sweep(minutes=1)
    sweep(minutes=2)
    assert state_of(payout) == ("sent", "sending")
    gateway.settle(payout.charge_id)
    sweep(minutes=3)

    assert state_of(payout) == ("paid", "paid")
    assert posts(gateway) == 1


def test_f36_pending_then_failed_then_success_is_a_case(payout, gateway):
    """F36: the credits were given back when it turned out that it was paid."""
    send(payout)
    sweep(minutes=1)
    gateway.settle(payout.charge_id, "failed")
    sweep(minutes=2)
    assert state_of(payout) == ("failed", "failed")

    gateway.settle(payout.charge_id, "success")
    services.sweep(now=timezone.now() + timedelta(hours=2))

    assert state_of(payout) == ("failed", "failed")
    assert PayoutCase.objects.open().get().kind == "paid_after_return"
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


@pytest.mark.parametrize("endpoint", ["payout", "lookup", "balance"])
def test_f38_nobody_is_followed_to_another_host(payout, gateway, endpoint):
    """F38: a redirect would take the key and the number elsewhere."""
    with trap() as (elsewhere, heard):
        gateway.fault(endpoint, "redirect", times=3, location=f"{elsewhere}/payout")
        send(payout)
        sweep(minutes=1)
        gateway.clear_faults()
        sweep(minutes=2)

    assert heard == []
    if endpoint == "payout":
        # It may have been processed: nobody sends it again.
        assert posts(gateway) == 1
        assert state_of(payout) == ("sent", "sending")
    else:
        assert len(gateway.state()["payouts"]) == 1


def test_f39_a_certificate_of_another_name_hears_nothing(
    payout, gateway, settings, tmp_path: Path
):
    """F39: nothing left this machine, so that it can be sent later."""
    simulator = settings.PAYCHANGU_BASE_URL
    with trap(tmp_path) as (elsewhere, heard):
        settings.PAYCHANGU_BASE_URL = elsewhere
        assert not send(payout)
    settings.PAYCHANGU_BASE_URL = simulator

    assert heard == []
    assert state_of(payout) == ("ready", "approved")
    sweep(minutes=1)
    assert posts(gateway) == 1


@pytest.mark.parametrize("moment", ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_f40_the_gateways_clock_does_not_matter(payout, gateway, moment):
    """F40: when it was paid is told by our clock."""
    changed = {"created_at": moment, "completed_at": moment}
    gateway.fault("lookup", "alter", set=changed)
    send(payout)
    gateway.settle(payout.charge_id)
    sweep(seconds=5)

    assert state_of(payout) == ("paid", "paid")
    assert abs(fresh(payout.withdrawal).paid_at - timezone.now()) < timedelta(minutes=5)


def test_f41_the_event_comes_before_the_answer(committed, gateway):
    """F41: while one worker waits for the answer, another hears of the result."""
    payout = make_approved("50.00")
    gateway.fault("payout", "slow", times=1, seconds=1.5)

    def send_and_close() -> None:
        send(payout)
        connection.close()

    sender = threading.Thread(target=send_and_close)
    sender.start()
    until(lambda: gateway.state()["payouts"])
    gateway.settle(payout.charge_id)
    services.handle_payout_event(payout.charge_id)
    sender.join(timeout=30)
    services.sweep(now=timezone.now() + timedelta(minutes=1))

    assert state_of(payout) == ("paid", "paid")
    assert posts(gateway) == 1


def test_f42_without_any_event_the_poller_finds_it(payout, gateway):
    """F42: the webhook never comes."""
    send(payout)
    gateway.settle(payout.charge_id)

    services.sweep(now=timezone.now() + timedelta(seconds=10))

    assert state_of(payout) == ("paid", "paid")


def test_f43_one_event_very_often_and_50_at_once_books_once(committed, gateway):
    """F43: each event is a hint to look up, and booking happens under the lock."""
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id, "failed")

    def hear(times: int) -> None:
        for _ in range(times):
            services.handle_payout_event(payout.charge_id)

    outcomes = in_threads(hear, [max(1, EVENTS // 50)] * 50)
    services.sweep(now=timezone.now() + timedelta(minutes=2), everything=True)

    assert outcomes == [None] * 50
    assert state_of(payout) == ("failed", "failed")
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


@pytest.mark.parametrize("fault", ["wrong-amount", "wrong-currency", "wrong-mode"])
def test_f44_another_sum_currency_or_mode_is_a_case(payout, gateway, fault):
    """F44: order, event and look-up differ."""
    send(payout)
    gateway.settle(payout.charge_id)
    gateway.fault("lookup", fault)

    sweep(minutes=1)

    assert state_of(payout) == ("sent", "sending")
    assert PayoutCase.objects.open().get().kind == "other_amount"
    assert balance_of(payout.withdrawal.user) == Decimal("50.00")
