"""P1 to P17, each a test; the judge is the gateway's own book.

P8 to P11 are in test_approval_rules.py. P14 and P17 have more in test_restored.py, P16
in test_cases.py; races are in test_races.py.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone

from payments.gateway import from_settings
from tests.factories import balance_of, make_staff
from tests.withdrawals.book import posts
from tests.withdrawals.people import fresh, make_approved
from tests.withdrawals.refusing import refused_by
from tests.withdrawals.sending import send, sweep
from withdrawals import services
from withdrawals.models import PayoutAttempt, PayoutSwitch
from withdrawals.services import leases, outcomes, payouts

pytestmark = pytest.mark.usefixtures("judged")


def test_p1_the_intent_is_kept_before_the_call_and_its_name_is_fixed(gateway):
    """P1. The worker dies between the commit and the call."""
    payout = make_approved("50.00")
    claim = leases.claim(payout.pk, now=timezone.now(), statuses=["ready"])
    assert claim is not None

    assert payouts._begin(claim, balance=Decimal(9999), asked_at=timezone.now())

    intent = PayoutAttempt.objects.get(payout=payout)
    assert (intent.kind, intent.outcome) == ("begin", "begun")
    assert intent.request["charge_id"] == payout.charge_id
    assert fresh(payout).status == "sent"
    sweep(minutes=5)
    assert posts(gateway) == 0
    update = "UPDATE payouts SET charge_id = charge_id || '2' WHERE id = %s"
    assert refused_by(update, payout.pk) == "withdrawals_payout_terms"


def test_p2_what_works_on_payouts_refuses_to_run_inside_a_transaction(
    committed, gateway
):
    """P2: what is begun is committed before the gateway is called, or not at all.

    That none is open during a call is seen by another connection in test_races.py.
    """
    payout = make_approved("50.00")

    with (
        pytest.raises(RuntimeError, match="durable"),
        transaction.atomic(),
    ):
        send(payout)

    assert posts(gateway) == 0
    assert fresh(payout).status == "ready"


def test_p3_an_unknown_payout_is_not_made_ready_again_by_anyone(gateway):
    """P3: not by the sweep, not by a look-up, not by SQL."""
    payout = make_approved("50.00")
    gateway.fault("payout", "500-after", times=1)
    send(payout)
    assert fresh(payout).attempts.get(kind="send").outcome == "unknown"

    for minutes in (1, 10, 60, 600):
        sweep(minutes=minutes)
    update = "UPDATE payouts SET status = 'ready', sent_at = NULL WHERE id = %s"

    assert refused_by(update, payout.pk) == "withdrawals_payout_evidence"
    assert posts(gateway) == 1


def test_p3_a_sending_that_surely_was_none_does_not_excuse_the_next(gateway):
    """P3: the record has to be of this very sending."""
    payout = make_approved("50.00")
    gateway.fault("payout", "rate-limited", times=1, retry_after=1)
    send(payout)
    gateway.fault("payout", "500-after", times=1)
    send(payout, minutes=1)
    assert fresh(payout).sendings == 2

    update = "UPDATE payouts SET status = 'ready', sent_at = NULL WHERE id = %s"

    assert refused_by(update, payout.pk) == "withdrawals_payout_evidence"


def test_p4_not_found_counts_after_the_settling_time_and_with_a_second_witness(
    gateway,
):
    """P4: until then, and without it, the payout is flagged and visible."""
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)

    sweep(minutes=59)
    assert fresh(payout.withdrawal).flag == ""
    sweep(minutes=61)
    assert fresh(payout.withdrawal).flag == (
        "Look-up: not known to the gateway; the list does not have it."
    )
    assert fresh(payout).status == "sent"


@pytest.mark.parametrize("status", ["failed", "paid"])
def test_p5_nothing_is_given_back_or_booked_without_the_gateways_word(gateway, status):
    """P5, in SQL."""
    payout = make_approved("50.00")
    gateway.fault("payout", "500-after", times=1)
    send(payout)
    sweep(minutes=1)

    update = "UPDATE payouts SET status = %s, ended_at = now() WHERE id = %s"

    assert refused_by(update, status, payout.pk) == "withdrawals_payout_evidence"


def test_p5_a_withdrawal_ends_as_its_payout_did(gateway):
    """P5, in SQL: a reversal needs a payout that failed."""
    payout = make_approved("50.00")
    send(payout)
    update = (
        "UPDATE withdrawal_requests SET status = 'failed',"
        " closing_transfer_id = transfer_id WHERE id = %s"
    )

    constraint = refused_by(update, payout.withdrawal_id)

    assert constraint == "withdrawals_request_ends_as_payout"


def test_p6_a_worker_that_slept_through_its_lease_writes_nothing(gateway):
    """P6, F04: it wakes with a rejection, after another worker saw the success."""
    payout = make_approved("50.00")
    send(payout)
    sleeper = leases.claim(payout.pk, now=timezone.now(), statuses=["sent"])
    assert sleeper is not None
    stale = from_settings().payout_status(payout.charge_id, kind=sleeper.kind)
    gateway.settle(payout.charge_id)
    sweep(minutes=10)
    assert fresh(payout).status == "paid"

    outcomes.record_look_up(sleeper, stale, None)

    assert fresh(payout).status == "paid"
    assert fresh(payout).lease_token is None
    assert "lost" in str(fresh(payout).attempts.order_by("id").last().response)


@pytest.mark.parametrize(
    ("table", "status", "constraint"),
    [
        ("payouts", "paid", "withdrawals_payout_transition"),
        ("payouts", "failed", "withdrawals_payout_transition"),
        ("withdrawal_requests", "paid", "withdrawals_request_transition"),
        ("withdrawal_requests", "rejected", "withdrawals_request_transition"),
    ],
)
def test_p7_no_step_is_taken_that_does_not_exist(gateway, table, status, constraint):
    """P7, in SQL."""
    payout = make_approved("50.00")
    pk = payout.pk if table == "payouts" else payout.withdrawal_id

    assert (
        refused_by(f"UPDATE {table} SET status = %s WHERE id = %s", status, pk)
        == constraint
    )


def test_p12_too_little_float_leaves_it_queued_with_a_reason(gateway):
    """P12."""
    payout = make_approved("50.00")
    gateway.post("balance", main="499.99")

    assert not send(payout)
    assert fresh(payout).status == "ready"
    assert fresh(payout).note == "The gateway holds too little for this payout."
    assert posts(gateway) == 0

    gateway.post("balance", main="500.00")
    sweep(minutes=1)
    assert posts(gateway) == 1


def test_p13_one_row_freezes_all_payouts_also_for_scripts(gateway):
    """P13."""
    first, second = make_approved("50.00"), make_approved("20.00")
    services.freeze_payouts(actor=make_staff("finance"), reason="a leak")
    assert PayoutSwitch.objects.count() == 1

    sweep(minutes=1)
    for payout in (first, second):
        update = (
            "UPDATE payouts SET status = 'sent', sendings = sendings + 1 WHERE id = %s"
        )
        assert refused_by(update, payout.pk) == "withdrawals_payout_frozen"

    assert posts(gateway) == 0


def test_p14_another_database_than_before_sends_nothing(gateway):
    """P14; a backup that is put back is in test_restored.py."""
    payout = make_approved("50.00")
    PayoutSwitch.objects.update(database="1/2/00000001")

    sweep(minutes=1)

    assert PayoutSwitch.objects.get().needs_reconciling
    assert fresh(payout).status == "ready"
    assert posts(gateway) == 0


def test_p15_the_number_stands_nowhere_in_the_database(gateway):
    """P15: encrypted with its row, masked in every record."""
    payout = make_approved("50.00", number="0997654321")
    send(payout)
    gateway.settle(payout.charge_id)
    sweep(minutes=1)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS row'
                " WHERE row::text LIKE '%%997654321%%'"
            )
            assert cursor.fetchone() == (0,), table
    # Where it belongs, it arrived.
    assert gateway.payout(payout.charge_id)["mobile"] == "997654321"


def test_p16_success_and_then_failure_gives_nothing_back_silently(gateway):
    """P16."""
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id)
    sweep(minutes=1)

    gateway.settle(payout.charge_id, "failed")
    services.handle_payout_event(payout.charge_id)

    assert payout.withdrawal.cases.open().count() == 1
    assert balance_of(payout.withdrawal.user) == Decimal("50.00")


def test_p17_the_daily_comparison_goes_both_ways(gateway):
    """P17: one that only we know, one that only the gateway knows, one that differs."""
    lost, turned = make_approved("50.00"), make_approved("20.00")
    gateway.fault("payout", "500-before", times=1)
    send(lost)
    send(turned)
    gateway.settle(turned.charge_id)
    services.look_up_payout(payout_id=turned.pk, now=timezone.now())
    gateway.settle(turned.charge_id, "failed")
    from_settings().send_mobile_payout(
        charge_id="not-ours",
        amount=Decimal(100),
        mobile="991234567",
        operator_id=turned.withdrawal.destination_id,
    )

    lines = services.reconcile_daily(now=timezone.now() + timedelta(hours=1))

    assert sorted(lines) == sorted(
        [
            f"payout {lost.charge_id}: sent, and the gateway has none",
            f"payout {turned.charge_id}: paid, and the gateway says failed",
            "payout not-ours: the gateway has it and nobody here knows it",
        ]
    )
    services.handle_payout_event(turned.charge_id)
