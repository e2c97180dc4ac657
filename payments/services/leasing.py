"""Leases: who works on a row while the gateway is being asked, with no lock held.

A worker claims a row in one short transaction, asks the gateway outside of any, and
writes only while the row still bears its token: one that was stopped for a minute finds
that somebody else has taken over, and leaves the row alone.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models
from django.db.models import Q, QuerySet

from payments import gateway

_MARGIN_SECONDS: Final = 5.0


def lease_time() -> timedelta:
    """Return for how long a row is leased: longer than one exchange can take."""
    # Not much longer, as the work of a worker that died waits for it to end.
    config = gateway.from_settings().config
    exchange = config.connect_timeout_seconds + config.read_timeout_seconds
    return timedelta(seconds=exchange + _MARGIN_SECONDS)


def claim(
    rows: QuerySet[Any], *, pk: uuid.UUID, now: datetime, **changes: Any
) -> uuid.UUID | None:
    """Lease the row if it is among `rows` and nobody has it. Return the lease's token.

    One statement: of those who try at once, one gets the row.
    """
    token = uuid.uuid4()
    free = rows.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now), pk=pk)
    claimed = free.update(leased_until=now + lease_time(), lease_token=token, **changes)
    return token if claimed else None


def is_ours(row: models.Model, token: uuid.UUID | None) -> bool:
    """Return whether the lease is still the one of `token`; without one, always."""
    return token is None or getattr(row, "lease_token", None) == token


def release(row: Any) -> list[str]:
    """End the lease in memory; return the names of the fields to save."""
    row.leased_until = None
    row.lease_token = None
    return ["leased_until", "lease_token"]
