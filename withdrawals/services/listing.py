"""The gateway's list of payouts, the second witness of what became of one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from payments.gateway import Gateway, GatewayUnavailable, PayoutStatus
from withdrawals.services import leases
from withdrawals.services.leases import Claim

# Of reading it, and of being content with what was read.
_READING_SECONDS_MAX: Final = 30.0
_SHARED_FOR: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the gateway's own list of payouts says about one of them."""

    found: PayoutStatus | None
    # How many rows were read, and whether they were all.
    rows: int
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """All names that were on the list."""

    names: frozenset[str]
    rows: int
    begun_at: datetime

    def is_without(self, claim: Claim) -> bool:
        """Return whether it says now that the gateway does not have the payout."""
        return (
            claim.charge_id not in self.names
            and claim.is_settled_at(self.begun_at)
            and claim.now - self.begun_at < _SHARED_FOR
        )


class PayoutList:
    """The gateway's list, read once for all payouts that are not on it.

    After an outage they are many, and the list is long. It is read again for a payout
    that is on it, or was not settled when it was read, and after a minute.
    """

    def __init__(self) -> None:
        self._whole: _Whole | None = None

    def look_for(self, gateway: Gateway, claim: Claim) -> Listing:
        """Return what the list says about a payout; the lease is kept meanwhile."""
        if self._whole is not None and self._whole.is_without(claim):
            return Listing(found=None, rows=self._whole.rows, is_complete=True)
        names, rows = set[str](), 0
        begun_at, started = claim.now, time.monotonic()
        leases.renew(claim)
        try:
            for listed in gateway.payouts():
                rows += 1
                if listed.charge_id == claim.charge_id:
                    return Listing(found=listed, rows=rows, is_complete=False)
                names.add(listed.charge_id)
                if time.monotonic() - started > _READING_SECONDS_MAX:
                    return Listing(found=None, rows=rows, is_complete=False)
                if rows % 10 == 0:
                    # A long list must not outlast the lease.
                    leases.renew(claim)
        except GatewayUnavailable:
            return Listing(found=None, rows=rows, is_complete=False)
        self._whole = _Whole(names=frozenset(names), rows=rows, begun_at=begun_at)
        return Listing(found=None, rows=rows, is_complete=True)
