"""The provider's dialect: PayChangu over HTTP, with answers as typed facts.

Knows no models and no database. Facts about PayChangu are cited by the page of its
developer documentation that states them.
"""

from __future__ import annotations

from payments.gateway.checkout import amount_text
from payments.gateway.client import Gateway, from_settings
from payments.gateway.events import matching_secret, parse_event, sign
from payments.gateway.exceptions import (
    GatewayRefused,
    GatewayUnavailable,
    UnreadableEvent,
)
from payments.gateway.masking import (
    masked,
    masked_number,
    masked_text,
    without_numbers,
)
from payments.gateway.results import (
    Balance,
    CheckoutSession,
    Destination,
    DestinationKind,
    Event,
    EventKind,
    Exchange,
    Failure,
    Outcome,
    PaymentStatus,
    PayoutOutcome,
    PayoutResult,
    PayoutStatus,
)
from payments.gateway.transport import GatewayConfig

__all__ = [
    "Balance",
    "CheckoutSession",
    "Destination",
    "DestinationKind",
    "Event",
    "EventKind",
    "Exchange",
    "Failure",
    "Gateway",
    "GatewayConfig",
    "GatewayRefused",
    "GatewayUnavailable",
    "Outcome",
    "PaymentStatus",
    "PayoutOutcome",
    "PayoutResult",
    "PayoutStatus",
    "UnreadableEvent",
    "amount_text",
    "from_settings",
    "masked",
    "masked_number",
    "masked_text",
    "matching_secret",
    "parse_event",
    "sign",
    "without_numbers",
]
