"""Settling a purchase: the gateway is asked, and credits follow from its answer alone.

Webhook, return page, reading a purchase, poller and staff all come through here.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from credits_project import audit, leases
from payments import gateway
from payments.exceptions import PurchaseNotFound
from payments.gateway import GatewayUnavailable, PaymentStatus
from payments.models import CreditPurchase
from payments.services import deciding
from payments.services.leasing import lease_time
from payments.services.transactions import assert_none_open

logger = logging.getLogger(__name__)

# How long the poller asks, and how often: each pause is half of the purchase's age.
ASKED_FOR: Final = timedelta(days=7)
_PAUSE_MIN: Final = timedelta(seconds=30)
_PAUSE_MAX: Final = timedelta(hours=6)
# A page or an API client that reads an unpaid purchase has it asked about that often,
# and waits no longer than that for the gateway.
STALE_AFTER: Final = timedelta(seconds=5)
_PATIENCE_SECONDS: Final = 5.0
# With so many failures in a row the gateway is down, and the rest can wait.
_FAILURES_MAX: Final = 3
# No growing pauses then: the first sweep after an outage asks about all that waited.
AFTER_FAILURE: Final = timedelta(seconds=5)


def settle_purchase(
    *,
    tx_ref: str,
    actor: Any = None,
    lease_token: uuid.UUID | None = None,
    patience_seconds: float | None = None,
    now: datetime | None = None,
) -> CreditPurchase:
    """Ask the gateway about a purchase and do what its answer says. Return it as it is.

    Paid as ordered: the buyer gets credits and bonus, once, however often and from
    wherever this is called. Whatever does not fit becomes a case for staff; see
    `deciding`. A failed attempt is not an end, as the payer may try again on the same
    page.

    Args:
        actor: the member of staff who asks, if one does; it is noted.
        lease_token: of a worker, whose answer counts only while the lease is its own.
        patience_seconds: how long to wait for the gateway at most.

    Raises:
        PurchaseNotFound: no purchase has this `tx_ref`.
        GatewayUnavailable: the gateway gave no answer; nothing has changed.
    """
    assert_none_open()
    credited = CreditPurchase.objects.filter(tx_ref=tx_ref).values_list("transfer_id")
    if not (found := credited.first()):
        raise PurchaseNotFound
    answer = _client(patience_seconds).verify(tx_ref)
    return _apply(
        answer,
        tx_ref=tx_ref,
        was_credited=found[0] is not None,
        actor=actor,
        lease_token=lease_token,
        now=now or timezone.now(),
    )


def recheck_if_stale(
    *, purchase: CreditPurchase, now: datetime | None = None
) -> CreditPurchase:
    """Return a purchase after asking about it, unless it is paid or that was just done.

    Whoever reads it gets what is known where the gateway does not answer soon.
    """
    now = now or timezone.now()
    stale = CreditPurchase.objects.unsettled().filter(
        Q(checked_at__isnull=True) | Q(checked_at__lte=now - STALE_AFTER),
        pk=purchase.pk,
    )
    # One statement decides who of many readers asks. One that is being started has no
    # page yet on which it could have been paid.
    if stale.exclude(checkout_url="").update(checked_at=now):
        try:
            return settle_purchase(
                tx_ref=purchase.tx_ref, patience_seconds=_PATIENCE_SECONDS, now=now
            )
        except GatewayUnavailable as error:
            logger.warning("could not ask about %s: %s", purchase.tx_ref, error)
    return CreditPurchase.objects.get(pk=purchase.pk)


def check_due_purchases(
    *, now: datetime, everything: bool = False, batch: int = 500
) -> int:
    """Ask the gateway about each open purchase that is due. Return how many were.

    With `everything` all that are open are due. Workers share the work: each purchase
    is leased while it is being asked about.
    """
    due = CreditPurchase.objects.open()
    if not everything:
        due = due.filter(next_check_at__lte=now)
    free = leases.free(due, now=now)
    found = free.order_by("next_check_at", "pk").values_list("pk", "tx_ref")[:batch]
    clock = leases.clock(now)
    checked = failures = 0
    for pk, tx_ref in list(found):
        token = leases.claim(due, pk=pk, now=clock(), lasts=lease_time())
        if token is None:
            continue
        try:
            settle_purchase(tx_ref=tx_ref, lease_token=token, now=clock())
        except GatewayUnavailable as error:
            logger.warning("could not ask about %s: %s", tx_ref, error)
            _postpone(pk=pk, token=token, now=clock())
            failures += 1
            if failures == _FAILURES_MAX:
                break
        else:
            checked += 1
            failures = 0
    return checked


def next_check(purchase: CreditPurchase, *, now: datetime) -> datetime:
    """Return when to ask again: ever more seldom as the purchase gets older."""
    pause = (now - purchase.created_at) / 2
    return now + min(max(pause, _PAUSE_MIN), _PAUSE_MAX)


def _client(patience_seconds: float | None) -> gateway.Gateway:
    client = gateway.from_settings()
    if patience_seconds is None:
        return client
    config = client.config
    return gateway.Gateway(
        dataclasses.replace(
            config,
            connect_timeout_seconds=min(
                config.connect_timeout_seconds, patience_seconds
            ),
            read_timeout_seconds=min(config.read_timeout_seconds, patience_seconds),
        )
    )


@transaction.atomic(durable=True)
def _postpone(*, pk: uuid.UUID, token: uuid.UUID, now: datetime) -> None:
    purchase = _lock(pk=pk)
    if leases.is_ours(purchase, token):
        # Behind all others that are due: what never works keeps nobody waiting.
        purchase.next_check_at = now + AFTER_FAILURE
        purchase.save(update_fields=[*leases.release(purchase), "next_check_at"])


def _lock(**lookup: Any) -> CreditPurchase:
    """Lock a purchase until the transaction ends. Wallets are locked after it."""
    return CreditPurchase.objects.select_for_update(no_key=True).get(**lookup)


@transaction.atomic(durable=True)
def _apply(
    answer: PaymentStatus,
    *,
    tx_ref: str,
    was_credited: bool,
    actor: Any,
    lease_token: uuid.UUID | None,
    now: datetime,
) -> CreditPurchase:
    """Lock the purchase, look at it again, and do what the answer says."""
    purchase = _lock(tx_ref=tx_ref)
    if not leases.is_ours(purchase, lease_token):
        return purchase
    before = purchase.status
    if purchase.transfer_id is not None and not was_credited:
        # Somebody was quicker with a newer answer. That this one says, say, pending is
        # no news about what was paid since it was asked for.
        if lease_token is not None:
            purchase.save(update_fields=leases.release(purchase))
        audit.record(actor=actor, row=purchase, action="recheck", now=before)
        return purchase
    changed = {"checked_at", "checks", "next_check_at"}
    purchase.checked_at = now
    purchase.checks += 1
    if lease_token is not None:
        changed.update(leases.release(purchase))
    changed |= deciding.note(purchase, answer)
    changed |= deciding.decide(
        purchase, answer, is_over=now - purchase.created_at >= ASKED_FOR, now=now
    )
    is_open = purchase.status in CreditPurchase.OPEN
    purchase.next_check_at = next_check(purchase, now=now) if is_open else None
    purchase.save(update_fields=sorted(changed))
    audit.record(
        actor=actor, row=purchase, action="recheck", before=before, now=purchase.status
    )
    return purchase
