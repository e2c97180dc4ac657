"""One pass over all work of this app that is due."""

from __future__ import annotations

from datetime import datetime

from payments.services.events import process_due_events
from payments.services.settling import check_due_purchases


def sweep(*, now: datetime, everything: bool = False) -> dict[str, int]:
    """Process due events and ask about due purchases. Return how many of each.

    Needs no queue: the tables say what there is to do. With `everything` all that is
    open is due. Safe to run at any time and any number of times at once.
    """
    return {
        "events": process_due_events(now=now, everything=everything),
        "purchases": check_due_purchases(now=now, everything=everything),
    }
