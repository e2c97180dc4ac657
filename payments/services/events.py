"""The inbox: events are kept as they came, and processed by workers later."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from credits_project import audit, leases
from payments import gateway
from payments.exceptions import PurchaseNotFound
from payments.gateway import (
    Event,
    EventKind,
    GatewayUnavailable,
    Outcome,
    UnreadableEvent,
    events_registry,
)
from payments.models import CreditPurchase, GatewayEvent, ReviewCase
from payments.services import settling
from payments.services.cases import put_before_staff, settle_cases
from payments.services.leasing import lease_time
from payments.services.transactions import assert_none_open
from payments.services.waking import WINDOW_SECONDS

logger = logging.getLogger(__name__)

# What the gateway does not confirm although it said so itself: asked at once for as
# long as it may be slow, and for a day.
_PAUSE_MIN: Final = timedelta(seconds=10)
_PAUSE_MAX: Final = timedelta(minutes=10)
_CONFIRMED_WITHIN: Final = timedelta(days=1)
# What is about something that we do not know is looked at again a few times, in case
# it overtook what it is about.
_LOOKS_MAX: Final = 4
_LOOK_PAUSE: Final = timedelta(seconds=15)
_FAILURES_MAX: Final = 3
_LINGER_SECONDS: Final = 2 * WINDOW_SECONDS
_LOOK_EVERY_SECONDS: Final = 0.05
_Status = GatewayEvent.Status
_Kind = ReviewCase.Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """What came of an event, and after which pause it is to be looked at again."""

    status: str
    outcome: str
    pause: timedelta | None = None
    # What staff are told of one that is parked for good.
    kind: ReviewCase.Kind | None = None
    expected: str = ""


def _processed(outcome: str) -> _Result:
    return _Result(status=_Status.PROCESSED, outcome=outcome)


def _parked(
    outcome: str,
    *,
    kind: ReviewCase.Kind,
    expected: str,
    pause: timedelta | None = None,
) -> _Result:
    return _Result(
        status=_Status.PARKED,
        outcome=outcome,
        pause=pause,
        kind=kind,
        expected=expected,
    )


def _later(outcome: str, *, pause: timedelta) -> _Result:
    return _Result(status=_Status.RECEIVED, outcome=outcome, pause=pause)


def process_event(
    *, event_id: uuid.UUID, actor: Any = None, now: datetime | None = None
) -> GatewayEvent:
    """Do what an event gives reason to do: ask the gateway. Return it as it is now.

    The event itself proves nothing. One that cannot be read or is about nothing of
    ours is parked with the reason, for staff; while the gateway does not answer, it is
    tried again with growing pauses and never dropped. What is being processed or is
    done is left alone.

    Args:
        actor: the member of staff who asks to process a parked event again.

    Raises:
        GatewayEvent.DoesNotExist: there is no such event.
    """
    assert_none_open()
    now = now or timezone.now()
    waiting = GatewayEvent.objects.exclude(status=_Status.PROCESSED)
    if actor is None:
        waiting = waiting.filter(next_attempt_at__isnull=False)
    token = leases.claim(
        waiting,
        pk=event_id,
        now=now,
        lasts=lease_time(),
        attempts=F("attempts") + 1,
    )
    event = GatewayEvent.objects.get(pk=event_id)
    if token is None:
        return event
    try:
        message = gateway.parse_event(bytes(event.body))
    except UnreadableEvent as error:
        result = _parked(
            str(error), kind=_Kind.MALFORMED, expected="An event as documented."
        )
        return _finish(event, token, result, None, actor=actor, now=now)
    try:
        result = _act(event, message, now=now)
    except GatewayUnavailable as error:
        # No growing pause: the first sweep after an outage asks about all that waited.
        result = _later(str(error), pause=settling.AFTER_FAILURE)
    return _finish(event, token, result, message, actor=actor, now=now)


def process_due_events(
    *, now: datetime, everything: bool = False, batch: int = 500
) -> int:
    """Process each event that is due. Return how many were processed or parked.

    With `everything` all that wait for a later attempt are due.
    """
    due = GatewayEvent.objects.filter(next_attempt_at__isnull=False)
    if not everything:
        due = due.filter(next_attempt_at__lte=now)
    free = leases.free(due, now=now)
    found = free.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:batch]
    clock = leases.clock(now)
    done = failures = 0
    for pk in list(found):
        event = process_event(event_id=pk, now=clock())
        if event.status != _Status.RECEIVED:
            done += 1
            failures = 0
            continue
        failures += 1
        if failures == _FAILURES_MAX:
            # The gateway is down, and the rest can wait.
            break
    return done


def process_incoming_events() -> int:
    """Process what is due until nothing more comes. Return how many are done.

    Looks for longer than those who wake it keep quiet, so that no event that came while
    they did has to wait for the sweep.
    """
    done = 0
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < _LINGER_SECONDS:
        if found := process_due_events(now=timezone.now()):
            done += found
            quiet_since = time.monotonic()
        else:
            time.sleep(_LOOK_EVERY_SECONDS)
    return done


def _act(event: GatewayEvent, message: Event, *, now: datetime) -> _Result:
    """Ask the gateway about what the event is about; matched by our own name only.

    Raises:
        GatewayUnavailable: it did not answer.
    """
    if message.problems:
        return _not_understood(message)
    if message.kind is EventKind.CHECKOUT:
        try:
            purchase = settling.settle_purchase(tx_ref=message.tx_ref, now=now)
        except PurchaseNotFound:
            return _about_nothing(event, "no purchase of ours has this tx_ref")
        return _outcome(event, message, purchase, now=now)
    if message.kind is EventKind.PAYOUT:
        if events_registry.handle_payout(message.charge_id):
            return _processed("payout looked up")
        return _about_nothing(event, "no payout of ours has this charge_id")
    return _parked(
        "direct charges are not used here",
        kind=_Kind.UNKNOWN_REFERENCE,
        expected="An event about a checkout or a payout of ours.",
    )


def _not_understood(message: Event) -> _Result:
    odd = ", ".join(message.problems)
    if {"unknown-event-type", "unknown-status"}.isdisjoint(message.problems):
        kind, expected = _Kind.MALFORMED, "An event as documented."
    else:
        kind, expected = _Kind.UNKNOWN_WORD, "An event and a status that are known."
        words = f"{message.event_type or 'no type'}, {message.status or 'no status'}"
        odd = f"{odd} ({words})"
    return _parked(f"not as documented: {odd}", kind=kind, expected=expected)


def _about_nothing(event: GatewayEvent, outcome: str) -> _Result:
    again = _LOOK_PAUSE * 2 ** (event.attempts - 1)
    return _parked(
        outcome,
        kind=_Kind.UNKNOWN_REFERENCE,
        expected="A name that was given here.",
        pause=again if event.attempts < _LOOKS_MAX else None,
    )


def _outcome(
    event: GatewayEvent, message: Event, purchase: CreditPurchase, *, now: datetime
) -> _Result:
    """Return what came of an event about a purchase, now that the gateway was asked."""
    says_paid = message.outcome is Outcome.PAID
    if purchase.status == CreditPurchase.Status.REFUNDED and says_paid:
        return _parked(
            "the purchase is refunded already",
            kind=_Kind.AFTER_REFUND,
            expected="Nothing more about a purchase that is refunded.",
        )
    is_unpaid = purchase.transfer_id is None
    if is_unpaid and says_paid and purchase.status != CreditPurchase.Status.REVIEW:
        # The event is ahead of what the gateway answers, or behind: ask again, soon.
        says = purchase.gateway_status or "nothing"
        age = now - event.received_at
        if age < _CONFIRMED_WITHIN:
            return _later(
                f"not confirmed: asked, the gateway says {says}",
                pause=min(max(age / 10, _PAUSE_MIN), _PAUSE_MAX),
            )
        return _parked(
            f"never confirmed: asked, the gateway says {says}",
            kind=_Kind.UNCONFIRMED,
            expected="A payment that the gateway confirms.",
        )
    return _processed(f"purchase {purchase.status}")


@transaction.atomic(durable=True)
def _finish(
    claimed: GatewayEvent,
    token: uuid.UUID,
    result: _Result,
    message: Event | None,
    *,
    actor: Any,
    now: datetime,
) -> GatewayEvent:
    """Write what came of the event, if it is still ours to write."""
    event = GatewayEvent.objects.select_for_update(no_key=True).get(pk=claimed.pk)
    if not leases.is_ours(event, token):
        return event
    changed = leases.release(event)
    if message is not None:
        event.event_type = message.event_type
        event.reference = message.tx_ref or message.charge_id
    # What was parked waits for its next look as such.
    if not (event.status == _Status.PARKED and result.status == _Status.RECEIVED):
        event.status = result.status
    event.outcome = result.outcome[:500]
    event.processed_at = None if event.status == _Status.RECEIVED else now
    event.next_attempt_at = None if result.pause is None else now + result.pause
    event.save(
        update_fields=[
            *changed,
            "event_type",
            "reference",
            "status",
            "outcome",
            "processed_at",
            "next_attempt_at",
        ]
    )
    audit.record(actor=actor, row=event, action="process again", now=event.status)
    _tell_staff(event, result, message, now=now)
    return event


def _tell_staff(
    event: GatewayEvent, result: _Result, message: Event | None, *, now: datetime
) -> None:
    if event.status == _Status.PROCESSED:
        settle_cases(event.cases.all(), now=now)
    if result.kind is None or result.pause is not None:
        return
    purchase = CreditPurchase.objects.filter(tx_ref=event.reference).first()
    put_before_staff(
        kind=result.kind,
        # One that names nothing is known by its bytes.
        reference=event.reference or event.digest,
        expected=result.expected,
        came=f"An event: {result.outcome}",
        purchase=purchase,
        event=event,
        amount=None if message is None else message.amount,
        currency="" if message is None else message.currency,
    )
