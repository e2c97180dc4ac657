"""What the database refuses by itself, whoever asks."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from credits_project.ids import new_id
from tests.factories import make_coach, make_staff
from tests.withdrawals.people import (
    add_method,
    fresh,
    make_approved,
    make_earning_coach,
    request,
    set_rate,
)
from tests.withdrawals.refusing import refused_by
from withdrawals import services
from withdrawals.models import (
    Payout,
    PayoutAttempt,
    PayoutMethod,
    PayoutRate,
    WithdrawalRequest,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def withdrawal(gateway) -> WithdrawalRequest:
    coach = make_earning_coach("100.00")
    return request(coach, "60.00", add_method(coach))


@pytest.mark.parametrize(
    ("model", "function"),
    [
        (WithdrawalRequest, "withdrawals_request_may_move"),
        (Payout, "withdrawals_payout_may_move"),
    ],
)
def test_the_steps_in_sql_are_those_of_the_models(model, function):
    with connection.cursor() as cursor:
        for before, after in itertools.product(model.Status.values, repeat=2):
            cursor.execute(f"SELECT {function}(%s, %s)", [before, after])
            (may,) = cursor.fetchone()
            assert may == (after in model.TRANSITIONS[before]), (before, after)


@pytest.mark.parametrize("status", ["sending", "paid", "failed"])
def test_a_step_that_does_not_exist_is_refused(withdrawal, status):
    assert (
        refused_by(
            "UPDATE withdrawal_requests SET status = %s WHERE id = %s",
            status,
            withdrawal.pk,
        )
        == "withdrawals_request_transition"
    )


def test_an_approval_names_who_gave_it(withdrawal):
    constraint = refused_by(
        "UPDATE withdrawal_requests SET status = 'approved' WHERE id = %s",
        withdrawal.pk,
    )

    assert constraint == "withdrawals_withdrawalrequest_approved_by_enough"


@pytest.mark.parametrize("status", ["requested", "approved"])
def test_no_script_decides_on_its_own_withdrawal(withdrawal, status):
    constraint = refused_by(
        "UPDATE withdrawal_requests SET status = %s, decided_by_id = user_id"
        " WHERE id = %s",
        status,
        withdrawal.pk,
    )

    assert constraint == "withdrawals_withdrawalrequest_four_eyes"


def test_two_approvals_come_from_two_people(gateway, settings):
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(50)
    coach = make_earning_coach("100.00")
    large = request(coach, "60.00", add_method(coach))
    finance = make_staff("finance")
    update = (
        "UPDATE withdrawal_requests SET status = 'approved', decided_by_id = %s,"
        " second_decided_by_id = %s WHERE id = %s"
    )

    assert (
        refused_by(update, finance.pk, None, large.pk)
        == "withdrawals_withdrawalrequest_approved_by_enough"
    )
    assert (
        refused_by(update, finance.pk, finance.pk, large.pk)
        == "withdrawals_withdrawalrequest_four_eyes"
    )


@pytest.mark.parametrize(
    "change",
    [
        "credits = credits + 1",
        "net = net - 1, fee = fee + 1",
        "destination_id = 'mine'",
        "account_number_encrypted = '\\x00'",
        "account_name = 'Somebody Else'",
        "user_id = user_id + 1",
        "approvals_required = 0",
        "requested_at = now()",
    ],
)
def test_the_terms_of_a_withdrawal_are_fixed(withdrawal, change):
    constraint = refused_by(
        f"UPDATE withdrawal_requests SET {change} WHERE id = %s",
        withdrawal.pk,
    )

    assert constraint == "withdrawals_request_terms"


def test_a_decision_is_not_blamed_on_somebody_else(gateway):
    payout = make_approved("50.00")

    for decided_by in (make_staff("finance").pk, None):
        assert (
            refused_by(
                "UPDATE withdrawal_requests SET decided_by_id = %s WHERE id = %s",
                decided_by,
                payout.withdrawal_id,
            )
            == "withdrawals_request_decision"
        )


def test_a_withdrawal_without_its_credits_cannot_be_made(withdrawal):
    other = make_coach("other")
    copy = fresh(withdrawal)
    copy.pk, copy.user = new_id(), other

    with (
        pytest.raises(DatabaseError, match="has not taken its credits"),
        transaction.atomic(),
    ):
        copy.save(force_insert=True)


def test_a_withdrawal_is_not_born_approved(withdrawal):
    copy = fresh(withdrawal)
    copy.pk, copy.status = new_id(), "approved"

    with (
        pytest.raises(DatabaseError, match="must begin as requested"),
        transaction.atomic(),
    ):
        copy.save(force_insert=True)


def test_no_payout_without_an_approval_or_of_another_sum(withdrawal):
    def insert(amount: Decimal) -> None:
        with transaction.atomic():
            Payout.objects.create(
                withdrawal=withdrawal, charge_id=f"charge-{amount}", amount=amount
            )

    with pytest.raises(DatabaseError, match="not of an approved withdrawal"):
        insert(withdrawal.net)
    services.approve_withdrawal(
        withdrawal_id=withdrawal.pk, actor=make_staff("finance")
    )
    with pytest.raises(DatabaseError, match="not of an approved withdrawal"):
        insert(withdrawal.net + 1)
    with pytest.raises(DatabaseError, match="withdrawal_id"):
        insert(withdrawal.net)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'paid', ended_at = now()", "withdrawals_payout_transition"),
        ("charge_id = 'another'", "withdrawals_payout_terms"),
        ("amount = amount + 1", "withdrawals_payout_terms"),
    ],
)
def test_a_payout_keeps_its_name_and_sum_and_steps(gateway, change, constraint):
    payout = make_approved("50.00")

    assert (
        refused_by(
            f"UPDATE payouts SET {change} WHERE id = %s",
            payout.pk,
        )
        == constraint
    )


def test_nothing_is_marked_as_sent_while_payouts_are_frozen(gateway):
    payout = make_approved("50.00")
    services.freeze_payouts(actor=make_staff("finance"), reason="a leak")

    assert (
        refused_by("UPDATE payouts SET status = 'sent' WHERE id = %s", payout.pk)
        == "withdrawals_payout_frozen"
    )


def test_a_method_is_neither_exchanged_nor_hurried_nor_brought_back(gateway):
    method = add_method(make_coach())
    for change in (
        "account_number_encrypted = '\\x00'",
        "usable_from = usable_from - interval '1 day'",
        "user_id = user_id + 1",
    ):
        assert (
            refused_by(
                f"UPDATE payout_methods SET {change} WHERE id = %s",
                method.pk,
            )
            == "withdrawals_method_fixed"
        )
    services.remove_payout_method(user=method.user, payout_method_id=method.pk)
    assert (
        refused_by(
            "UPDATE payout_methods SET removed_at = NULL WHERE id = %s", method.pk
        )
        == "withdrawals_method_fixed"
    )


@pytest.mark.parametrize(
    "model", [WithdrawalRequest, Payout, PayoutAttempt, PayoutMethod, PayoutRate]
)
def test_nothing_is_deleted_or_emptied(gateway, model):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    table = model._meta.db_table

    for always in ("origin", "replica"):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL session_replication_role = {always}")
            delete = refused_by(f"DELETE FROM {table}")
            empty = refused_by(f"TRUNCATE {table} CASCADE")
            cursor.execute("SET LOCAL session_replication_role = origin")
        assert delete == "withdrawals_append_only"
        assert empty in {"withdrawals_append_only", "ledger_append_only"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payout_attempts SET outcome = 'accepted'",
        "UPDATE payout_rates SET rate = rate * 2",
    ],
)
def test_exchanges_and_rates_are_not_rewritten(gateway, statement):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    set_rate("12")

    assert refused_by(statement) == "withdrawals_append_only"
