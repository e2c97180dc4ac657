"""Money out: where it goes, what was asked for, and what the gateway did.

The rules that a check constraint cannot say stand in `withdrawals/sql`.
"""

from __future__ import annotations

from withdrawals.models.cases import PayoutCase
from withdrawals.models.methods import MethodKind, PayoutMethod, PayoutRate
from withdrawals.models.payouts import Payout, PayoutAttempt, PayoutSwitch
from withdrawals.models.requests import WithdrawalRequest

__all__ = [
    "MethodKind",
    "Payout",
    "PayoutAttempt",
    "PayoutCase",
    "PayoutMethod",
    "PayoutRate",
    "PayoutSwitch",
    "WithdrawalRequest",
]
