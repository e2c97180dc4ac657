"""The verbs of money in: all that writes purchases, refunds and events is here."""

from __future__ import annotations

from payments.services.events import (
    process_due_events,
    process_event,
    process_incoming_events,
)
from payments.services.receiving import receive_event
from payments.services.reconciling import (
    differences,
    dismiss_difference,
    reconcile,
    reconcile_if_due,
)
from payments.services.refunding import note_money_returned, refund_purchase
from payments.services.refusing import count_refused, keep_refused
from payments.services.reviewing import (
    credit_case,
    dismiss_case,
    recheck_case,
    refund_case,
)
from payments.services.settling import (
    check_due_purchases,
    recheck_if_stale,
    settle_purchase,
)
from payments.services.starting import start_purchase
from payments.services.sweeping import sweep

__all__ = [
    "check_due_purchases",
    "count_refused",
    "credit_case",
    "differences",
    "dismiss_case",
    "dismiss_difference",
    "keep_refused",
    "note_money_returned",
    "process_due_events",
    "process_event",
    "process_incoming_events",
    "receive_event",
    "recheck_case",
    "recheck_if_stale",
    "reconcile",
    "reconcile_if_due",
    "refund_case",
    "refund_purchase",
    "settle_purchase",
    "start_purchase",
    "sweep",
]
