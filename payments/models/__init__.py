"""Money in: what is sold, what was ordered, and what the gateway said."""

from __future__ import annotations

from payments.models.events import GatewayEvent
from payments.models.purchases import (
    CreditPackage,
    CreditPurchase,
    Currency,
    PurchaseRefund,
)

__all__ = [
    "CreditPackage",
    "CreditPurchase",
    "Currency",
    "GatewayEvent",
    "PurchaseRefund",
]
