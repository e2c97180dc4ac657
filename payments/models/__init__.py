"""Money in: what is sold, what was ordered, and what the gateway said."""

from __future__ import annotations

from payments.models.events import GatewayEvent
from payments.models.purchases import (
    CreditPackage,
    CreditPurchase,
    Currency,
)
from payments.models.reconciling import (
    GatewayDifference,
    ReconciliationRun,
    RefusedDelivery,
)
from payments.models.refunds import PurchaseRefund
from payments.models.reviews import ReviewCase

__all__ = [
    "CreditPackage",
    "CreditPurchase",
    "Currency",
    "GatewayDifference",
    "GatewayEvent",
    "PurchaseRefund",
    "ReconciliationRun",
    "RefusedDelivery",
    "ReviewCase",
]
