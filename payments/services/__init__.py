"""The verbs of money in: all that writes purchases, refunds and events is here."""

from __future__ import annotations

from payments.services.events import (
    process_due_events,
    process_event,
    process_incoming_events,
)
from payments.services.receiving import receive_event
from payments.services.reconciling import differences
from payments.services.refunding import note_money_returned, refund_purchase
from payments.services.reviewing import close_review
from payments.services.settling import (
    check_due_purchases,
    recheck_if_stale,
    settle_purchase,
)
from payments.services.starting import start_purchase
from payments.services.sweeping import sweep

__all__ = [
    "check_due_purchases",
    "close_review",
    "differences",
    "note_money_returned",
    "process_due_events",
    "process_event",
    "process_incoming_events",
    "receive_event",
    "recheck_if_stale",
    "refund_purchase",
    "settle_purchase",
    "start_purchase",
    "sweep",
]
