"""Requests and cancels whose database fails on the way: done once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from tests.factories import balance_of
from tests.withdrawals.people import (
    add_method,
    fresh,
    make_earning_coach,
    request,
    signed_in,
)
from withdrawals.models import WithdrawalRequest

_DEADLOCK = "RAISE EXCEPTION 'lost' USING ERRCODE = 'deadlock_detected'"
_CUT = "PERFORM pg_terminate_backend(pg_backend_pid())"


@contextmanager
def fails_once(event: str, how: str) -> Iterator[None]:
    """The database fails at the first write of a withdrawal, and is well after it."""
    with connection.cursor() as cursor:
        # What a sequence has given is not taken back by a rollback.
        cursor.execute("CREATE SEQUENCE failures")
        cursor.execute(
            "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN IF nextval('failures') = 1 THEN {how}; END IF;"
            " RETURN NULL; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER fail_once AFTER {event} ON withdrawal_requests"
            " FOR EACH ROW EXECUTE FUNCTION fail_once()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION fail_once() CASCADE")
        cursor.execute("DROP SEQUENCE failures")


@pytest.fixture
def coach(committed: str, gateway: Any) -> Any:
    return make_earning_coach("100.00")


def ask(coach: Any, method: Any) -> Any:
    return signed_in(coach).post(
        "/api/v1/withdrawals",
        {"credits": "30.00", "payout_method": str(method.pk)},
        format="json",
        headers={"Idempotency-Key": "once"},
    )


def test_a_request_that_lost_a_deadlock_is_run_again(coach):
    method = add_method(coach)

    with fails_once("INSERT", _DEADLOCK):
        answer = ask(coach, method)

    assert answer.status_code == 201
    assert WithdrawalRequest.objects.count() == 1
    assert balance_of(coach) == Decimal("70.00")


def test_a_request_whose_connection_was_cut_is_not_done_and_can_be_repeated(coach):
    method = add_method(coach)

    with fails_once("INSERT", _CUT):
        lost = ask(coach, method)
        assert lost.status_code == 503
        assert lost.json()["outcome"] == "not-done"
        assert balance_of(coach) == Decimal("100.00")
        again = ask(coach, method)

    assert again.status_code == 201
    assert balance_of(coach) == Decimal("70.00")


@pytest.mark.parametrize(("how", "status"), [(_DEADLOCK, 200), (_CUT, 503)])
def test_a_cancel_gives_back_once(coach, how, status):
    withdrawal = request(coach, "30.00", add_method(coach))
    address = f"/api/v1/withdrawals/{withdrawal.pk}/cancel"

    with fails_once("UPDATE", how):
        first = signed_in(coach).post(address, headers={"Idempotency-Key": "once"})
        again = signed_in(coach).post(address, headers={"Idempotency-Key": "once"})

    assert (first.status_code, again.status_code) == (status, 200)
    assert fresh(withdrawal).status == "cancelled"
    assert balance_of(coach) == Decimal("100.00")
