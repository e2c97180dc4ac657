"""For how long rows of money in are leased; see `credits_project.leases`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from payments import gateway

_MARGIN_SECONDS: Final = 5.0


def lease_time() -> timedelta:
    """Return for how long a row is leased: longer than one exchange can take."""
    config = gateway.from_settings().config
    exchange = config.connect_timeout_seconds + config.read_timeout_seconds
    return timedelta(seconds=exchange + _MARGIN_SECONDS)
