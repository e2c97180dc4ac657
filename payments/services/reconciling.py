"""Comparing our books with the gateway's, both ways, and keeping what differs.

The gateway lists payouts, and of payments tells one at a time. What it has and we have
not is found among its signed events that name nothing of ours: it is asked about those.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from credits_project import audit
from payments import gateway
from payments.exceptions import AlreadyDecided
from payments.gateway import (
    GatewayUnavailable,
    Outcome,
    PaymentStatus,
    events_registry,
)
from payments.models import (
    CreditPurchase,
    GatewayDifference,
    GatewayEvent,
    ReconciliationRun,
)
from payments.services.refunding import checked_reason
from payments.services.transactions import assert_none_open

# The daily one looks so far back: for as long as a purchase may still be paid.
DAYS: Final = 8
_DETAIL_LENGTH_MAX: Final = 300
_REFERENCE_LENGTH_MAX: Final = 255
_Run = ReconciliationRun.Outcome
_Status = GatewayDifference.Status
_Subject = GatewayDifference.Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing of which the gateway says something else."""

    subject: GatewayDifference.Subject
    # Our name for it at the gateway.
    reference: str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject.value} {self.reference}: {self.detail}"


def reconcile(
    *, start: datetime, end: datetime
) -> tuple[ReconciliationRun, list[Difference]]:
    """Compare purchases and payouts of `start` <= time < `end`; keep what differs.

    Nothing but the record of it changes. What is found again, or was dismissed, is
    noted on the row that it has. What earlier comparisons had found, of whatever
    period, is looked at again: it is still so, or gone.

    Raises:
        GatewayUnavailable: the gateway did not answer; the run says so, and keeps what
            was found until then.
    """
    assert_none_open()
    run = ReconciliationRun.objects.create(starts_at=start, ends_at=end)
    found: list[Difference] = []
    try:
        for difference in differences(start=start, end=end):
            found.append(difference)
            _keep(run, difference)
        _look_again(run)
    except GatewayUnavailable as error:
        _end(run, _Run.NOT_COMPARED, found=len(found), detail=str(error))
        raise
    _end(run, _Run.DIFFERENT if found else _Run.SAME, found=len(found))
    return run, found


def reconcile_if_due(*, now: datetime) -> ReconciliationRun | None:
    """Compare the last days, unless that was done in the last day. Return the run.

    Not before the first day is over: what is younger is still under way.

    Raises:
        GatewayUnavailable: the gateway did not answer; it is due again.
    """
    done = ReconciliationRun.objects.filter(
        outcome__in=[_Run.SAME, _Run.DIFFERENT],
        starts_at__lte=now - timedelta(days=DAYS - 1),
        ends_at__gt=now - timedelta(hours=20),
    )
    day_ago = now - timedelta(days=1)
    if done.exists() or not (
        CreditPurchase.objects.filter(created_at__lt=day_ago).exists()
        or GatewayEvent.objects.filter(received_at__lt=day_ago).exists()
    ):
        return None
    return reconcile(start=now - timedelta(days=DAYS), end=now)[0]


def differences(*, start: datetime, end: datetime) -> Iterator[Difference]:
    """Yield where the gateway differs, for what is of `start` <= time < `end`.

    Asks the gateway about each purchase, and changes nothing.

    Raises:
        GatewayUnavailable: the gateway did not answer; nothing is proven.
    """
    assert_none_open()
    yield from _of_purchases(start, end)
    yield from _of_strangers(start, end)
    yield from _of_payouts(start, end)


@transaction.atomic
def dismiss_difference(
    *, difference_id: uuid.UUID, actor: Any, reason: str
) -> GatewayDifference:
    """Note that a difference is as it should be, and why. Once.

    Raises:
        AlreadyDecided: it is not open.
        InvalidInput: no reason is given.
        GatewayDifference.DoesNotExist: there is no such difference.
    """
    reason = checked_reason(reason)
    rows = GatewayDifference.objects.select_for_update(no_key=True)
    difference = rows.get(pk=difference_id)
    if difference.status != _Status.OPEN:
        raise AlreadyDecided(current=difference.status, wanted=_Status.DISMISSED)
    difference.move_to(_Status.DISMISSED)
    difference.decided_at = timezone.now()
    difference.decided_by = actor
    difference.reason = reason
    difference.save(update_fields=["status", "decided_at", "decided_by", "reason"])
    audit.record(actor=actor, row=difference, action="dismiss", reason=reason)
    return difference


def _of_purchases(start: datetime, end: datetime) -> Iterator[Difference]:
    client = gateway.from_settings()
    purchases = CreditPurchase.objects.filter(
        created_at__gte=start, created_at__lt=end
    ).order_by("pk")
    # The ids first: a cursor would keep a transaction open while the gateway is asked.
    for pk, tx_ref in list(purchases.values_list("pk", "tx_ref")):
        answer = client.verify(tx_ref)
        # As it is now: it may have been paid since the list was made.
        detail = _difference(CreditPurchase.objects.get(pk=pk), answer)
        if detail:
            yield Difference(subject=_Subject.PURCHASE, reference=tx_ref, detail=detail)


def _of_strangers(start: datetime, end: datetime) -> Iterator[Difference]:
    """Yield payments that the gateway has and nobody here ordered."""
    client = gateway.from_settings()
    named = (
        GatewayEvent.objects.filter(
            received_at__gte=start,
            received_at__lt=end,
            event_type="checkout.payment",
        )
        .exclude(reference="")
        .order_by("reference")
        .values_list("reference", flat=True)
        .distinct()
    )
    known = CreditPurchase.objects.values("tx_ref")
    for reference in list(named.exclude(reference__in=known)):
        detail = _of_a_stranger(client.verify(reference), reference)
        if detail:
            yield Difference(
                subject=_Subject.PURCHASE, reference=reference, detail=detail
            )


def _of_a_stranger(answer: PaymentStatus, reference: str) -> str:
    if answer.outcome is not Outcome.PAID or answer.tx_ref != reference:
        return ""
    return f"unknown here, paid there: {answer.amount} {answer.currency}"


def _of_payouts(start: datetime, end: datetime) -> Iterator[Difference]:
    for line in events_registry.reconcile_payouts(start, end):
        # "payout <charge_id>: <what differs>"
        name, _, detail = line.partition(": ")
        yield Difference(
            subject=_Subject.PAYOUT,
            reference=name.removeprefix("payout ")[:_REFERENCE_LENGTH_MAX],
            detail=(detail or line)[:_DETAIL_LENGTH_MAX],
        )


def _difference(purchase: CreditPurchase, answer: PaymentStatus) -> str:
    ours, theirs = purchase.status, answer.outcome
    if purchase.transfer_id is None:
        if theirs is not Outcome.PAID or ours == CreditPurchase.Status.REFUNDED:
            return ""
        return f"{ours} here, paid there: {answer.amount} {answer.currency}"
    if theirs is not Outcome.PAID:
        # Money that staff gave back may be reversed there.
        is_refunded = ours == CreditPurchase.Status.REFUNDED
        return "" if is_refunded else f"{ours} here, {answer.status or theirs} there"
    if answer.tx_ref != purchase.tx_ref:
        return f"answered about {answer.tx_ref or 'nothing'}"
    if answer.currency != purchase.currency or answer.amount is None:
        return f"{purchase.currency} here, {answer.currency or 'nothing'} there"
    if answer.mode != purchase.paid_mode:
        return f"{purchase.paid_mode} mode here, {answer.mode or 'none'} there"
    if answer.amount < purchase.credited_money:
        return f"{purchase.credited_money} here, {answer.amount} there"
    return ""


@transaction.atomic
def _keep(run: ReconciliationRun, difference: Difference) -> None:
    row, _ = GatewayDifference.objects.filter(
        status__in=[_Status.OPEN, _Status.DISMISSED]
    ).get_or_create(
        subject=difference.subject,
        reference=difference.reference,
        detail=difference.detail,
        defaults={"first_run": run, "last_run": run},
    )
    if row.last_run_id != run.pk:
        row.last_run = run
        row.save(update_fields=["last_run"])


def _look_again(run: ReconciliationRun) -> None:
    """Look whether what earlier runs found, of whatever period, is still so."""
    earlier = GatewayDifference.objects.filter(status=_Status.OPEN).exclude(
        last_run=run
    )
    client = gateway.from_settings()
    still: set[tuple[str, str, str]] = set()
    begin = run.starts_at
    for difference in list(earlier.select_related("last_run").order_by("pk")):
        begin = min(begin, difference.last_run.starts_at)
        if difference.subject == _Subject.PURCHASE:
            answer = client.verify(difference.reference)
            purchase = CreditPurchase.objects.filter(
                tx_ref=difference.reference
            ).first()
            detail = (
                _of_a_stranger(answer, difference.reference)
                if purchase is None
                else _difference(purchase, answer)
            )
            still.add((difference.subject, difference.reference, detail))
    if earlier.filter(subject=_Subject.PAYOUT).exists():
        still |= {
            (one.subject.value, one.reference, one.detail)
            for one in _of_payouts(begin, run.ends_at)
        }
    for difference in list(earlier):
        name = (difference.subject, difference.reference, difference.detail)
        if name in still:
            GatewayDifference.objects.filter(pk=difference.pk).update(last_run=run)
        else:
            GatewayDifference.objects.filter(
                pk=difference.pk, status=_Status.OPEN
            ).update(status=_Status.GONE, decided_at=timezone.now())


def _end(run: ReconciliationRun, outcome: str, *, found: int, detail: str = "") -> None:
    run.outcome = outcome
    run.ended_at = timezone.now()
    run.differences = found
    run.detail = detail[:500]
    run.save(update_fields=["outcome", "ended_at", "differences", "detail"])
