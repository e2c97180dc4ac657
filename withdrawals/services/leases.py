"""Who works on a payout: a lease with a token, so that a sleeper cannot write.

Claiming is a short transaction of its own; the call to the gateway comes after it. Who
comes back with a result writes it only if the token on the row is still theirs. See
`credits_project.leases`.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import transaction

from credits_project import leases
from payments.gateway import DestinationKind
from withdrawals.models import Payout

# Beside the time that the gateway may take to be reached (see `Gateway`) and to answer.
_MARGIN_SECONDS: Final = 5
_CONNECT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A payout that is ours to work on, with what the gateway has to be told of it."""

    payout_id: uuid.UUID
    withdrawal_id: uuid.UUID
    charge_id: str
    amount: Decimal
    currency: str
    kind: DestinationKind
    status: str
    sent_at: datetime | None
    # How often a call was begun before; see `Payout.sendings`.
    sendings: int
    token: uuid.UUID
    # The caller's moment of the claim; see `now`.
    claimed_at: datetime
    _started: float = field(default_factory=time.monotonic)

    @property
    def age_seconds(self) -> float:
        """How long ago it was claimed, a sleep of the process included."""
        return time.monotonic() - self._started

    @property
    def now(self) -> datetime:
        """The caller's clock, moved on by what has passed since the claim."""
        return self.claimed_at + timedelta(seconds=self.age_seconds)

    @property
    def is_settled(self) -> bool:
        """Whether the gateway should know the payout by now, if it ever will."""
        return self.is_settled_at(self.claimed_at)

    def is_settled_at(self, moment: datetime) -> bool:
        """Return whether the gateway should have known it then, if it ever will."""
        settling = timedelta(minutes=settings.PAYOUT_SETTLING_MINUTES)
        return self.sent_at is not None and moment >= self.sent_at + settling


def lease_seconds() -> int:
    """Return how long a lease lasts: one exchange with the gateway at its slowest.

    No longer, as it is also how long a payout rests whose worker has died. Who takes
    longer loses the lease and nothing else.
    """
    answer: int = settings.PAYCHANGU_TIMEOUT_SECONDS
    return answer + min(answer, _CONNECT_SECONDS) + _MARGIN_SECONDS


@transaction.atomic(durable=True)
def claim(payout_id: uuid.UUID, *, now: datetime, statuses: list[str]) -> Claim | None:
    """Take the payout, if it is in one of the states and nobody has it at `now`.

    Commits by itself, so that no transaction is open when the gateway is called.
    """
    token = leases.claim(
        Payout.objects.filter(status__in=statuses),
        pk=payout_id,
        now=now,
        lasts=timedelta(seconds=lease_seconds()),
    )
    if token is None:
        return None
    payout = Payout.objects.select_related("withdrawal").get(pk=payout_id)
    return Claim(
        payout_id=payout.pk,
        withdrawal_id=payout.withdrawal_id,
        charge_id=payout.charge_id,
        amount=payout.amount,
        currency=payout.currency,
        kind=DestinationKind(payout.withdrawal.kind),
        status=payout.status,
        sent_at=payout.sent_at,
        sendings=payout.sendings,
        token=token,
        claimed_at=now,
    )


@transaction.atomic(durable=True)
def renew(claim: Claim) -> bool:
    """Have the payout for longer; False where it is another's by now."""
    until = claim.now + timedelta(seconds=lease_seconds())
    renewed = Payout.objects.filter(pk=claim.payout_id, lease_token=claim.token).update(
        leased_until=until
    )
    return bool(renewed)


def locked(claim: Claim) -> Payout | None:
    """Return the payout, locked; None where it is another's by now.

    The withdrawal is to be locked before it.
    """
    return (
        Payout.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=claim.payout_id, lease_token=claim.token)
        .first()
    )
