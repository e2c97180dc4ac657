from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.db import DataError, Error, connection, transaction

from credits_project import timeouts
from tests.credits_project.connecting import connected_with

pytestmark = pytest.mark.usefixtures("committed")

LIMITS = (
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
)


def limits() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(f'current_setting({name!r})' for name in LIMITS)}"
        )
        return list(cursor.fetchone() or ())


def test_the_limits_are_lifted_for_as_long_as_the_block_lasts_but_not_that_on_locks():
    before = limits()
    with timeouts.lifted(connection):
        within = limits()

    assert within == ["0", "0", "3s"]
    assert limits() == before == ["10s", "15s", "3s"]


def test_the_limits_come_back_after_a_failure():
    def fail() -> None:
        with timeouts.lifted(connection), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    with pytest.raises(DataError):
        fail()

    assert limits() == ["10s", "15s", "3s"]


def test_a_connection_that_was_lost_meanwhile_is_no_second_failure():
    with timeouts.lifted(connection):
        connection.close()

    assert limits() == ["10s", "15s", "3s"]


@pytest.mark.parametrize("is_lifted", [True, False])
def test_a_transaction_may_last_longer_than_the_role_lets_requests(is_lifted: bool):
    connection.ensure_connection()
    if connection.connection.info.server_version < 170000:
        pytest.skip("PostgreSQL 17 and newer limit transactions")
    # As a role's own setting comes: with the session.
    with connected_with(options="-c transaction_timeout=50ms"):
        lift = timeouts.lifted(connection) if is_lifted else nullcontext()

        def take_long() -> None:
            with lift, transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.1)")

        if is_lifted:
            take_long()
        else:
            with pytest.raises(Error, match="transaction timeout"):
                take_long()
