"""Keeping the network out of database transactions."""

from __future__ import annotations

from django.db import transaction


def assert_none_open() -> None:
    """Stop a caller who would ask the gateway inside a database transaction.

    The gateway may take half a minute, and locks would be held as long.
    """
    blocks = transaction.get_connection().atomic_blocks
    # The outermost one of a test that is rolled back is not the caller's.
    is_ours = blocks and not getattr(blocks[-1], "_from_testcase", False)
    assert not is_ours, "the gateway is not asked inside a database transaction"
