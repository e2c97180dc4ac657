from __future__ import annotations

import pytest
from django.db import DataError, connection

from credits_project import timeouts

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
