"""P1 to P17, each a test; the judge is the gateway's own book.

P10 and P11 have more in test_policy.py and test_methods.py, P14 and P17 in
test_restored.py, P16 in test_cases.py; races are in test_races.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from credits_project.exceptions import PermissionDenied
from credits_project.ids import new_id
from payments.gateway import from_settings
from tests.factories import balance_of, make_staff
from tests.withdrawals.book import judge, posts
from tests.withdrawals.people import (
    add_method,
    fresh,
    make_approved,
    make_earning_coach,
    request,
)
from tests.withdrawals.test_guards import refused_by
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id
from withdrawals import services
from withdrawals.exceptions import ApprovalVoid
from withdrawals.models import Payout, PayoutAttempt, PayoutSwitch, WithdrawalRequest
from withdrawals.services import leases, outcomes, payouts


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest, gateway: Any) -> Iterator[None]:
    # Asked for before the test, so that it is judged before its database goes.
    name = "committed" if "committed" in request.fixturenames else "db"
    request.getfixturevalue(name)
    yield
    judge(gateway)


def send(payout: Payout, **later: float) -> bool:
    now = timezone.now() + timedelta(**later)
    return services.send_payout(payout_id=payout.pk, now=now)


def sweep(**later: float) -> None:
    services.sweep(now=timezone.now() + timedelta(**later), everything=True)


@contextmanager
def behind_the_guards() -> Iterator[Any]:
    """What somebody does who owns the database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        cursor.execute("SET LOCAL session_replication_role = origin")


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


def test_p8_maker_checker_and_beneficiary_are_three(gateway):
    """P8, in the service; in SQL it is test_no_script_decides_on_its_own_withdrawal."""
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "60.00", add_method(coach))
    coach.is_superuser = True
    coach.save(update_fields=["is_superuser"])

    with pytest.raises(PermissionDenied):
        services.approve_withdrawal(withdrawal_id=withdrawal.pk, actor=coach)

    assert not Payout.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        "net = net - 1, fee = fee + 1",
        "destination_id = 'elsewhere'",
        "account_name = 'Somebody Else'",
        "decided_by_id = (SELECT max(id) FROM auth_user)",
        "approvals_required = 0",
        "approval_seal = repeat('0', 64)",
    ],
)
def test_p9_an_approval_is_void_once_anything_of_it_was_changed(gateway, change):
    """P9: also by whoever switches the guards off; nothing is sent."""
    payout = make_approved("50.00")
    make_staff("finance")
    before = "net, fee, destination_id, account_name, decided_by_id,"
    before += " approvals_required, approval_seal"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {before} FROM withdrawal_requests")
        was = cursor.fetchone()
    with behind_the_guards() as cursor:
        cursor.execute(f"UPDATE withdrawal_requests SET {change}")

    assert not send(payout)

    assert posts(gateway) == 0
    # An account number does not open for another destination to begin with.
    assert fresh(payout.withdrawal).flag in {
        "The withdrawal is not as it was approved. Cancel it.",
        "The account number cannot be decrypted.",
    }
    # Put back, so that the books are right at the end.
    with behind_the_guards() as cursor:
        cursor.execute(
            f"UPDATE withdrawal_requests SET ({before}) = (%s, %s, %s, %s, %s, %s, %s)",
            was,
        )


def test_p9_a_change_after_the_first_approval_voids_it(gateway, settings):
    """P9: the second person approves what the first one saw, or nothing."""
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(10)
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "60.00", add_method(coach))
    services.approve_withdrawal(
        withdrawal_id=withdrawal.pk, actor=make_staff("finance")
    )
    with behind_the_guards() as cursor:
        cursor.execute("UPDATE withdrawal_requests SET account_name = 'Somebody'")

    with pytest.raises(ApprovalVoid):
        services.approve_withdrawal(
            withdrawal_id=withdrawal.pk, actor=make_staff("finance")
        )

    assert not Payout.objects.exists()


def test_p9_a_script_approves_nothing_without_the_key(gateway):
    """P9: an approval by SQL has no seal, or one that does not fit."""
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "60.00", add_method(coach))
    finance = make_staff("finance")
    update = (
        "UPDATE withdrawal_requests SET status = 'approved', decided_by_id = %s"
        " WHERE id = %s"
    )

    assert refused_by(update, finance.pk, withdrawal.pk) == "withdrawals_request_sealed"

    with connection.cursor() as cursor:
        cursor.execute(
            update.replace(" WHERE", ", approval_seal = repeat('0', 64) WHERE"),
            [finance.pk, withdrawal.pk],
        )
    payout = Payout.objects.create(
        withdrawal=withdrawal,
        charge_id="withdrawal-by-hand",
        amount=withdrawal.net,
        next_check_at=timezone.now(),
    )

    assert not send(payout)
    assert posts(gateway) == 0


def refused_copy(withdrawal: WithdrawalRequest, **changes: Any) -> str:
    """The name of what refuses another such row with changes; blank if nothing does."""
    refused = ""
    with transaction.atomic():
        copy = fresh(withdrawal)
        copy.pk = new_id()
        copy.transfer = post(
            Leg(
                wallet_id=wallet_id_of(user_id=copy.user_id),
                amount=-copy.credits,
                transaction_type=TransactionType.WITHDRAWAL,
            ),
            Leg(
                wallet_id=system_wallet_id("withdrawals", cause=copy.pk),
                amount=copy.credits,
                transaction_type=TransactionType.WITHDRAWAL,
            ),
            key=f"withdrawal:{copy.pk}:request",
        )
        for name, value in changes.items():
            setattr(copy, name, value)
        try:
            with transaction.atomic():
                copy.save(force_insert=True)
        except DatabaseError as error:
            refused = error.__cause__.diag.constraint_name  # type: ignore[union-attr]
        transaction.set_rollback(True)
    return refused


def test_p10_a_method_that_cools_off_is_used_by_no_script_either(gateway, settings):
    """P10, in SQL: nor somebody else's, a removed one, or another account than its."""
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    withdrawal = request(coach, "10.00", method)
    others = add_method(make_earning_coach("10.00", "stranger"))
    settings.PAYOUT_COOLING_OFF_HOURS = 72
    cooling = add_method(coach, "0981234567")
    refused = "withdrawals_request_method"

    assert refused_copy(withdrawal) == ""
    assert refused_copy(withdrawal, payout_method=others) == refused
    assert refused_copy(withdrawal, account_name="Somebody Else") == refused
    last = {"account_number_last": cooling.account_number_last}
    assert refused_copy(withdrawal, payout_method=cooling, **last) == refused
    services.remove_payout_method(user=coach, payout_method_id=method.pk)
    assert refused_copy(withdrawal) == refused


def test_p11_the_money_follows_from_the_credits_in_whole_kwacha(gateway):
    """P11, in SQL: no limit on credits would help, were the money another one."""
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "10.00", add_method(coach))
    half = Decimal("0.50")

    for changes in (
        {"gross": withdrawal.gross + 1, "fee": withdrawal.fee + 1},
        {"net": withdrawal.net - half, "fee": withdrawal.fee + half},
    ):
        assert refused_copy(withdrawal, **changes) == "withdrawals_request_money"


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


def test_approvals_from_before_they_were_sealed_are_sealed_as_they_are(gateway):
    """P9: what was approved when seals came is sent, once its migration has run."""
    payout = make_approved("50.00")
    with behind_the_guards() as cursor:
        cursor.execute("UPDATE withdrawal_requests SET approval_seal = ''")
    migration = import_module("withdrawals.migrations.0008_seal_approvals")
    with behind_the_guards():
        migration.seal(apps, SimpleNamespace(connection=connection))

    assert send(payout)
    gateway.settle(payout.charge_id)
    sweep(minutes=1)
    assert fresh(payout.withdrawal).status == "paid"
