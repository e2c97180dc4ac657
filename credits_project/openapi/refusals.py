"""What each operation can refuse beside what all can, by `operationId`.

Slugs of `/problems/<slug>`. A test follows the code from each view through the services
that it calls, and compares.
"""

from __future__ import annotations

OPERATIONS: dict[str, tuple[str, ...]] = {
    "add_payout_method": (
        "gateway-unavailable",
        "not-found",
        "payout-method-exists",
        "reauthentication-required",
    ),
    "cancel_withdrawal": ("invalid-transition",),
    "courses_enroll": (
        "already-enrolled",
        "course-not-available",
        "insufficient-credits",
        "own-course",
        "price-changed",
        "wallet-frozen",
    ),
    "courses_quote": (
        "already-enrolled",
        "course-not-available",
        "own-course",
        "wallet-frozen",
    ),
    "courses_update": ("invalid-transition",),
    "enrollments_refund": (
        "insufficient-credits",
        "invalid-transition",
        "not-refundable",
        "wallet-frozen",
    ),
    "payout_destinations": ("gateway-unavailable",),
    "paychangu_webhook": ("not-authenticated",),
    "purchase": ("invalid-transition",),
    "request_withdrawal": (
        "insufficient-credits",
        "invalid-transition",
        "not-found",
        "not-withdrawable",
        "payout-method-not-usable",
        "payout-rate-missing",
        "wallet-frozen",
        "withdrawal-limit",
    ),
    "rpc_transfer_credits": (
        "insufficient-credits",
        "not-found",
        "own-wallet",
        "wallet-frozen",
    ),
    "start_purchase": ("gateway-unavailable", "invalid-transition", "not-found"),
    "transfer_create": (
        "insufficient-credits",
        "not-found",
        "own-wallet",
        "wallet-frozen",
    ),
    "wallet_statement": ("not-found",),
    "withdrawal_quote": ("payout-rate-missing", "withdrawal-limit"),
}
