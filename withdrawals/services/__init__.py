"""The verbs of money out. Everything that writes withdrawals and payouts is here."""

from __future__ import annotations

from withdrawals.services.batches import approve_batch, preview_batch
from withdrawals.services.cases import settle_case
from withdrawals.services.decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    clear_flag,
    reject_withdrawal,
    see_account_number,
)
from withdrawals.services.methods import add_payout_method, remove_payout_method
from withdrawals.services.payouts import (
    confirm_not_sent,
    handle_payout_event,
    look_up_payout,
    send_payout,
    work_on_payout,
)
from withdrawals.services.rates import add_payout_rate
from withdrawals.services.reconciling import (
    reconcile_all,
    reconcile_daily,
    reconcile_payouts,
)
from withdrawals.services.requests import quote, request_withdrawal
from withdrawals.services.sweeping import sweep
from withdrawals.services.switch import freeze_payouts, unfreeze_payouts

__all__ = [
    "add_payout_method",
    "add_payout_rate",
    "approve_batch",
    "approve_withdrawal",
    "cancel_withdrawal",
    "clear_flag",
    "confirm_not_sent",
    "freeze_payouts",
    "handle_payout_event",
    "look_up_payout",
    "preview_batch",
    "quote",
    "reconcile_all",
    "reconcile_daily",
    "reconcile_payouts",
    "reject_withdrawal",
    "remove_payout_method",
    "request_withdrawal",
    "see_account_number",
    "send_payout",
    "settle_case",
    "sweep",
    "unfreeze_payouts",
    "work_on_payout",
]
