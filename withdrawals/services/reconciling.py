"""Our payouts beside the gateway's own list, both ways."""

from __future__ import annotations

from datetime import datetime

from payments.gateway import Outcome, PayoutStatus, from_settings
from withdrawals.models import Payout
from withdrawals.services.outcomes import mismatch

_EXPECTED = {
    Payout.Status.PAID.value: {Outcome.PAID},
    Payout.Status.FAILED.value: {Outcome.FAILED},
    Payout.Status.SENT.value: {Outcome.PENDING, Outcome.PAID, Outcome.FAILED},
}


def reconcile_payouts(start: datetime, end: datetime) -> list[str]:
    """Return a line for each difference; changes nothing.

    Payouts of ours are those that were sent in the period `start` <= time < `end`. Of
    the gateway's, which tells no times, those that nobody here knows.

    Raises:
        GatewayUnavailable: the list cannot be read.
    """
    listed = {status.charge_id: status for status in from_settings().payouts()}
    sent = Payout.objects.filter(sent_at__gte=start, sent_at__lt=end).order_by("pk")
    lines = [
        line
        for payout in sent
        if (line := _difference(payout, listed.get(payout.charge_id)))
    ]
    known = set(
        Payout.objects.filter(charge_id__in=listed).values_list("charge_id", flat=True)
    )
    lines += [
        f"payout {charge_id}: the gateway has it and nobody here knows it"
        for charge_id in listed
        if charge_id not in known
    ]
    return lines


def _difference(payout: Payout, listed: PayoutStatus | None) -> str:
    if listed is None:
        # A rejected or never sent one is rightly not there.
        if payout.status == Payout.Status.FAILED:
            return ""
        return f"payout {payout.charge_id}: {payout.status}, and the gateway has none"
    if listed.outcome not in _EXPECTED.get(payout.status, set()):
        says = listed.status
        return (
            f"payout {payout.charge_id}: {payout.status}, and the gateway says {says}"
        )
    if payout.status == Payout.Status.PAID and (wrong := mismatch(payout, listed)):
        return f"payout {payout.charge_id}: {wrong}"
    return ""
