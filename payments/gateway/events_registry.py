"""Who takes care of payouts' events.

Webhooks arrive at `payments`, payouts belong to an app that `payments` does not know.
That app registers a handler here, in the `ready` of its configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

# Looks the payout up at the gateway and acts on the answer, not on the event.
PayoutHandler = Callable[[str], None]
# Returns a line "payout <charge_id>: <what differs>" for each difference between our
# payouts and the gateway's, for those of the period `start` <= time < `end`.
PayoutReconciler = Callable[[datetime, datetime], "list[str]"]


class UnknownPayout(LookupError):
    """No payout of ours has this `charge_id`."""


_handlers: list[PayoutHandler] = []
_reconcilers: list[PayoutReconciler] = []


def register_payout_handler(handler: PayoutHandler) -> None:
    """Have `handler` called with the `charge_id` of each event about a payout.

    It raises `UnknownPayout` where the payout is none of ours, and
    `GatewayUnavailable` where it has to be called again later. Registering the same
    handler again is harmless.
    """
    if handler not in _handlers:
        _handlers.append(handler)


def handle_payout(charge_id: str) -> bool:
    """Hand an event about a payout on. Return whether somebody knew the payout.

    Raises:
        GatewayUnavailable: the gateway could not be asked; try again later.
    """
    is_known = False
    for handler in _handlers:
        try:
            handler(charge_id)
        except UnknownPayout:
            continue
        is_known = True
    return is_known


def register_payout_reconciler(reconciler: PayoutReconciler) -> None:
    """Have `reconciler` take part in `manage.py reconcile_gateway`."""
    if reconciler not in _reconcilers:
        _reconcilers.append(reconciler)


def reconcile_payouts(start: datetime, end: datetime) -> list[str]:
    """Return a line for each difference about payouts of the period."""
    return [line for reconcile in _reconcilers for line in reconcile(start, end)]
