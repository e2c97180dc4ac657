"""Money in, in the staff console: to be seen, and acted upon through the services."""

from __future__ import annotations

from payments.admin.events import GatewayEventAdmin, RefusedDeliveryAdmin
from payments.admin.packages import CreditPackageAdmin
from payments.admin.purchases import CreditPurchaseAdmin, PurchaseRefundAdmin
from payments.admin.reconciling import GatewayDifferenceAdmin, ReconciliationRunAdmin
from payments.admin.reviews import ReviewCaseAdmin

__all__ = [
    "CreditPackageAdmin",
    "CreditPurchaseAdmin",
    "GatewayDifferenceAdmin",
    "GatewayEventAdmin",
    "PurchaseRefundAdmin",
    "ReconciliationRunAdmin",
    "RefusedDeliveryAdmin",
    "ReviewCaseAdmin",
]
