"""Leases: who works on a row while the network is being asked, with no lock held.

A worker claims a row in one short transaction, asks outside of any, and writes only
while the row still bears its token: one that was stopped for a minute finds that
somebody else has taken over, and leaves the row alone. Rows that are leased have the
columns `leased_until` and `lease_token`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet


def free(rows: QuerySet[Any], *, now: datetime) -> QuerySet[Any]:
    """Return those of `rows` that nobody works on, or whose worker has died."""
    return rows.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now))


def claim(
    rows: QuerySet[Any],
    *,
    pk: uuid.UUID,
    now: datetime,
    lasts: timedelta,
    **changes: Any,
) -> uuid.UUID | None:
    """Lease the row if it is among `rows` and nobody has it. Return the lease's token.

    One statement: of those who try at once, one gets the row.

    Args:
        lasts: longer than one exchange can take, and not much longer, as the work of a
            worker that died waits for its end.
        changes: of other columns, in the same statement.
    """
    token = uuid.uuid4()
    mine = free(rows, now=now).filter(pk=pk)
    claimed = mine.update(leased_until=now + lasts, lease_token=token, **changes)
    return token if claimed else None


def is_ours(row: Any, token: uuid.UUID | None) -> bool:
    """Return whether the lease is still the one of `token`; without one, always.

    The caller holds the row's lock: only then nobody takes over between look and write.
    """
    return token is None or row.lease_token == token


def release(row: Any) -> list[str]:
    """End the lease in memory; return the names of the fields to save."""
    row.leased_until = None
    row.lease_token = None
    return ["leased_until", "lease_token"]


def clock(now: datetime) -> Callable[[], datetime]:
    """Return a clock that shows `now` and goes on from there.

    For passes over many rows: a lease that is counted from the beginning of a pass
    would be over before the row's turn has come.
    """
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)
