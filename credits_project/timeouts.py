"""Lets work that takes its time do so: migrations, and whatever reads a whole ledger.

The time-outs of a connection are made for requests, where somebody waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

# Not lock_timeout: nobody should wait long for a lock, as others queue up behind.
_LIFTED: Final = (
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    # Only newer servers have it.
    "transaction_timeout",
)
_SET: Final = """
SELECT set_config(name, coalesce(%s, reset_val), false)
FROM pg_settings WHERE name = ANY (%s)
"""


@contextmanager
def lifted(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Let statements and transactions of the connection last, until the block ends."""
    _set(database, "0")
    try:
        yield
    finally:
        # A connection that is gone, or is to be rolled back, forgets them by itself.
        if database.connection is not None and not database.needs_rollback:
            _set(database, None)


def _set(database: BaseDatabaseWrapper, value: str | None) -> None:
    with database.cursor() as cursor:
        cursor.execute(_SET, [value, [*_LIFTED]])
