"""One pass over all payouts that are due. With the queue lost, this finds the work."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime

from credits_project import leases
from withdrawals.models import Payout, PayoutSwitch
from withdrawals.services.listing import PayoutList
from withdrawals.services.payouts import look_up_payout, send_payout

logger = logging.getLogger(__name__)


def sweep(*, now: datetime, everything: bool = False) -> dict[str, int]:
    """Send what is ready and ask about what is on its way, where it is due at `now`.

    What has ended lately is asked about again, a few times: late truths.

    Not to be called inside a transaction. Several may run at once: each payout is
    leased. Returns how many were sent and how many looked up.

    Args:
        everything: also what is open and not due yet.
    """
    moment = leases.clock(now)
    payout_list = PayoutList()

    def send(payout_id: uuid.UUID) -> bool:
        return send_payout(payout_id=payout_id, now=moment())

    def look_up(payout_id: uuid.UUID) -> bool:
        found = look_up_payout(
            payout_id=payout_id, now=moment(), payout_list=payout_list
        )
        return found is not None

    def compare(payout_id: uuid.UUID) -> bool:
        found = look_up_payout(
            payout_id=payout_id,
            now=moment(),
            any_state=True,
            payout_list=payout_list,
        )
        return found is not None

    is_frozen = PayoutSwitch.objects.filter(frozen_at__isnull=False).exists()
    ready = [] if is_frozen else _due(Payout.Status.READY, now, everything)
    sent = _each(ready, send)
    looked_up = _each(_due(Payout.Status.SENT, now, everything), look_up)
    # What has ended is not open, so that it is asked about only when it is due.
    for status in (Payout.Status.PAID, Payout.Status.FAILED):
        looked_up += _each(_due(status, now, False), compare)
    return {"payouts_sent": sent, "payouts_looked_up": looked_up}


def _due(status: str, now: datetime, everything: bool) -> list[uuid.UUID]:
    payouts = leases.free(Payout.objects.filter(status=status), now=now)
    if not everything:
        payouts = payouts.filter(next_check_at__lte=now)
    return list(payouts.order_by("next_check_at", "pk").values_list("pk", flat=True))


def _each(payout_ids: list[uuid.UUID], work: Callable[[uuid.UUID], bool]) -> int:
    done = 0
    for payout_id in payout_ids:
        try:
            done += work(payout_id)
        except Exception:
            # One payout with a bug must not keep the others waiting; it is reported.
            logger.exception("payout %s could not be worked on", payout_id)
    return done
