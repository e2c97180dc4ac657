"""P8 to P11: only what was approved is paid, to whom and as much as was approved.

P10 and P11 have more in test_policy.py and test_methods.py. The judge is the gateway's
own book, as in test_payout_rules.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.factories import make_staff
from tests.withdrawals.book import posts
from tests.withdrawals.people import (
    add_method,
    fresh,
    make_approved,
    make_earning_coach,
    request,
)
from tests.withdrawals.refusing import refused_by
from tests.withdrawals.sending import send, sweep
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id
from withdrawals import services
from withdrawals.exceptions import ApprovalVoid
from withdrawals.models import Payout, WithdrawalRequest

pytestmark = pytest.mark.usefixtures("judged")


@contextmanager
def behind_the_guards() -> Iterator[Any]:
    """What somebody does who owns the database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        cursor.execute("SET LOCAL session_replication_role = origin")


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
