"""Our payouts beside the gateway's own list, both ways."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from credits_project import audit
from payments.gateway import Outcome, PayoutStatus, from_settings
from withdrawals.models import Payout
from withdrawals.services.approval import CHARGE_PREFIX
from withdrawals.services.decisions import required_reason
from withdrawals.services.outcomes import mismatch
from withdrawals.services.switch import (
    freeze_until_reconciled,
    locked_for,
    locked_switch,
)

logger = logging.getLogger(__name__)

# How far back the daily comparison goes: beyond it no payout changes any more.
_DAILY: Final = timedelta(days=8)
_EXPECTED = {
    # Not sent yet, as far as we know.
    Payout.Status.READY.value: set[Outcome](),
    Payout.Status.PAID.value: {Outcome.PAID},
    Payout.Status.FAILED.value: {Outcome.FAILED},
    Payout.Status.SENT.value: {Outcome.PENDING, Outcome.PAID, Outcome.FAILED},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs, a line for each, and payouts of ours that nobody here knows."""

    lines: list[str]
    strangers: list[str]


def reconcile_payouts(start: datetime, end: datetime) -> list[str]:
    """Return a line for each difference; changes nothing.

    Payouts of ours are those that were sent in the period `start` <= time < `end`. Of
    the gateway's, which tells no times, those that nobody here knows.

    Raises:
        GatewayUnavailable: the list cannot be read.
    """
    return compare(start, end).lines


def reconcile_all(*, actor: Any, reason: str) -> list[str]:
    """Compare all payouts with the gateway, and note that it was done.

    After it payouts that the program has frozen can be unfrozen. Not to be called
    inside a transaction. Returns a line for each difference.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not unfreeze payouts.
        GatewayUnavailable: the list cannot be read.
    """
    reason = required_reason(reason)
    # Before the gateway is asked: what happened since is not in the comparison.
    begun_at = timezone.now()
    _check(actor)
    found = compare(datetime.min.replace(tzinfo=UTC), begun_at)
    _note(found, actor=actor, reason=reason, begun_at=begun_at)
    return found.lines


def reconcile_daily(*, now: datetime) -> list[str]:
    """Compare the last days with the gateway; each difference is an error in the log.

    A payout of ours that nobody here knows says that the database has forgotten
    something: payouts are then frozen. Not to be called inside a transaction.

    Raises:
        GatewayUnavailable: the list cannot be read.
    """
    found = compare(now - _DAILY, now)
    for line in found.lines:
        logger.error("payouts differ: %s", line)
    _freeze_for_strangers(found)
    return found.lines


def compare(start: datetime, end: datetime) -> Comparison:
    """Return how our payouts of the period differ from the gateway's list.

    Raises:
        GatewayUnavailable: the list cannot be read.
    """
    listed = {status.charge_id: status for status in from_settings().payouts()}
    sent = Q(sent_at__gte=start, sent_at__lt=end)
    ready = Q(status=Payout.Status.READY, charge_id__in=listed)
    lines = [
        line
        for payout in Payout.objects.filter(sent | ready).order_by("pk")
        if (line := _difference(payout, listed.get(payout.charge_id)))
    ]
    known = set(
        Payout.objects.filter(charge_id__in=listed).values_list("charge_id", flat=True)
    )
    unknown = [charge_id for charge_id in listed if charge_id not in known]
    lines += [
        f"payout {charge_id}: the gateway has it and nobody here knows it"
        for charge_id in unknown
    ]
    strangers = [one for one in unknown if one.startswith(CHARGE_PREFIX)]
    return Comparison(lines=lines, strangers=strangers)


@transaction.atomic
def _check(actor: Any) -> None:
    locked_for(actor)


@transaction.atomic
def _note(found: Comparison, *, actor: Any, reason: str, begun_at: datetime) -> None:
    switch = locked_for(actor)
    switch.reconciled_at = begun_at
    switch.strangers = len(found.strangers)
    switch.save(update_fields=["reconciled_at", "strangers"])
    audit.record(
        actor=actor,
        row=switch,
        action="reconcile payouts",
        reason=reason,
        differences=len(found.lines),
    )


@transaction.atomic
def _freeze_for_strangers(found: Comparison) -> None:
    switch = locked_switch()
    # Those that staff have seen already are no news.
    if switch.frozen_at is None and len(found.strangers) > switch.strangers:
        reason = (
            f"The gateway has payouts that nobody here knows, {found.strangers[0]}"
            " among them: was the database restored? Compare, then unfreeze."
        )
        freeze_until_reconciled(switch, reason=reason[:500])


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
