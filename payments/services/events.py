"""The inbox: events are kept as they came, and processed by workers later."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from credits_project import audit
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
from payments.models import CreditPurchase, GatewayEvent
from payments.services import leasing, settling
from payments.services.transactions import assert_none_open
from payments.services.waking import WINDOW_SECONDS

logger = logging.getLogger(__name__)

_PAUSE_MIN: Final = timedelta(seconds=15)
_PAUSE_MAX: Final = timedelta(hours=1)
# What is about something that we do not know is looked at again a few times, in case
# it overtook what it is about; what the gateway does not confirm, for about a day.
_LOOKS_MAX: Final = 4
_CONFIRMATIONS_MAX: Final = 30
_FAILURES_MAX: Final = 3
_LINGER_SECONDS: Final = 2 * WINDOW_SECONDS
_LOOK_EVERY_SECONDS: Final = 0.05
_Status = GatewayEvent.Status


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """What came of an event, and whether it is to be looked at again."""

    status: str
    outcome: str
    again: bool = False


def _processed(outcome: str) -> _Result:
    return _Result(status=_Status.PROCESSED, outcome=outcome)


def _parked(outcome: str, *, again: bool = False) -> _Result:
    return _Result(status=_Status.PARKED, outcome=outcome, again=again)


def _later(outcome: str) -> _Result:
    return _Result(status=_Status.RECEIVED, outcome=outcome, again=True)


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
    token = leasing.claim(waiting, pk=event_id, now=now, attempts=F("attempts") + 1)
    event = GatewayEvent.objects.get(pk=event_id)
    if token is None:
        return event
    try:
        message = gateway.parse_event(bytes(event.body))
    except UnreadableEvent as error:
        return _finish(event, token, _parked(str(error)), None, actor=actor, now=now)
    try:
        result = _act(message, attempts=event.attempts, now=now)
    except GatewayUnavailable as error:
        result = _later(str(error))
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
    free = due.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now))
    found = free.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:batch]
    done = failures = 0
    for pk in list(found):
        event = process_event(event_id=pk, now=now)
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


def _act(message: Event, *, attempts: int, now: datetime) -> _Result:
    """Ask the gateway about what the event is about; matched by our own name only.

    Raises:
        GatewayUnavailable: it did not answer.
    """
    if message.problems:
        return _parked(f"not as documented: {', '.join(message.problems)}")
    again = attempts < _LOOKS_MAX
    if message.kind is EventKind.CHECKOUT:
        try:
            purchase = settling.settle_purchase(tx_ref=message.tx_ref, now=now)
        except PurchaseNotFound:
            return _parked("no purchase of ours has this tx_ref", again=again)
        return _outcome(message, purchase, attempts=attempts)
    if message.kind is EventKind.PAYOUT:
        if events_registry.handle_payout(message.charge_id):
            return _processed("payout looked up")
        return _parked("no payout of ours has this charge_id", again=again)
    return _parked("direct charges are not used here")


def _outcome(message: Event, purchase: CreditPurchase, *, attempts: int) -> _Result:
    """Return what came of an event about a purchase, now that the gateway was asked."""
    if purchase.status == CreditPurchase.Status.REFUNDED:
        return _parked("the purchase is refunded already")
    is_unpaid = purchase.transfer_id is None
    if is_unpaid and purchase.status != CreditPurchase.Status.REVIEW:
        says = purchase.gateway_status or "nothing"
        if message.outcome is Outcome.PAID:
            # The event is ahead of what the gateway answers: ask again, soon.
            if attempts < _CONFIRMATIONS_MAX:
                return _later(f"not confirmed: asked, the gateway says {says}")
            return _parked(f"never confirmed: asked, the gateway says {says}")
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
    if not leasing.is_ours(event, token):
        return event
    changed = leasing.release(event)
    if message is not None:
        event.event_type = message.event_type
        event.reference = message.tx_ref or message.charge_id
    # What was parked waits for its next look as such.
    if not (event.status == _Status.PARKED and result.status == _Status.RECEIVED):
        event.status = result.status
    event.outcome = result.outcome[:500]
    event.processed_at = None if event.status == _Status.RECEIVED else now
    pause = min(_PAUSE_MIN * 2 ** min(event.attempts - 1, 20), _PAUSE_MAX)
    event.next_attempt_at = now + pause if result.again else None
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
    if event.status == _Status.PARKED and not result.again:
        logger.warning("event %s is parked: %s", event.pk, event.outcome)
    return event
