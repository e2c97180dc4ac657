"""The proof finds what should not have been possible in the first place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.withdrawals.people import (
    add_method,
    make_approved,
    make_earning_coach,
    request,
)
from wallets import proof
from withdrawals import services

pytestmark = pytest.mark.django_db


@contextmanager
def behind_the_guards() -> Iterator[None]:
    """What somebody can do who owns the database; undone at the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")
        transaction.set_rollback(True)


def found_after(statement: str, *parameters: Any) -> set[str]:
    assert proof.breaks() == []
    with behind_the_guards():
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
        return {found.invariant for found in proof.breaks()}


def test_credits_of_a_withdrawal_that_do_not_add_up_are_found(gateway):
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "50.00", add_method(coach))

    found = found_after(
        "UPDATE withdrawal_requests SET credits = 40 WHERE id = %s", withdrawal.pk
    )

    assert found == {"I12", "I13"}


def test_a_payout_that_ended_without_its_withdrawal_is_found(gateway):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())

    found = found_after(
        "UPDATE payouts SET status = 'paid', ended_at = now() WHERE id = %s", payout.pk
    )

    assert found == {"I11"}


def test_a_withdrawal_that_names_anothers_transfer_is_found(gateway):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    gateway.settle(payout.charge_id, "failed")
    services.look_up_payout(payout_id=payout.pk, now=timezone.now())

    found = found_after(
        "UPDATE withdrawal_requests SET status = 'paid', paid_at = now() WHERE id = %s",
        payout.withdrawal_id,
    )

    assert found == {"I11", "I12", "I13"}


def test_a_withdrawal_that_vanished_is_found(gateway):
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "50.00", add_method(coach))
    assert proof.breaks() == []
    with behind_the_guards(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE withdrawal_requests DISABLE TRIGGER ALL")
        cursor.execute("DELETE FROM withdrawal_requests WHERE id = %s", [withdrawal.pk])

        found = {one.invariant for one in proof.breaks()}

    assert found >= {"I12", "I13"}
