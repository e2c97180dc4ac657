"""The two ends of a withdrawal: the credits are paid out, or given back."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from wallets.models import CreditTransfer
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id
from withdrawals.models import WithdrawalRequest

logger = logging.getLogger(__name__)

_FLAG_LENGTH_MAX: Final = 500
_FIELDS: Final = [
    "status",
    "failure_reason",
    "flag",
    "decided_by",
    "second_decided_by",
    "decision_note",
    "decided_at",
    "paid_at",
    "closing_transfer",
    "cancel_key",
]


def give_back(
    withdrawal: WithdrawalRequest,
    *,
    status: str,
    reason: str = "",
    actor: Any = None,
) -> CreditTransfer:
    """End a locked withdrawal as failed, rejected or cancelled; return the reversal.

    A frozen wallet receives as well. The reversal names the request's transfer, which
    the ledger lets happen once.

    Raises:
        InvalidTransition: the withdrawal cannot end so in its present state.
    """
    withdrawal.move_to(status)
    transfer = post(
        Leg(
            wallet_id=system_wallet_id("withdrawals", cause=withdrawal.pk),
            amount=-withdrawal.credits,
            transaction_type=TransactionType.WITHDRAWAL_REVERSAL,
        ),
        Leg(
            wallet_id=wallet_id_of(user_id=withdrawal.user_id),
            amount=withdrawal.credits,
            transaction_type=TransactionType.WITHDRAWAL_REVERSAL,
        ),
        key=f"withdrawal:{withdrawal.pk}:reversal",
        description=f"Withdrawal {status}",
        actor=actor,
        reverses=withdrawal.transfer,
        metadata={"withdrawal": str(withdrawal.pk)},
    )
    withdrawal.failure_reason = reason[:500]
    withdrawal.closing_transfer = transfer
    withdrawal.save(update_fields=_FIELDS)
    return transfer


def book_paid(withdrawal: WithdrawalRequest, *, now: datetime) -> CreditTransfer:
    """End a locked withdrawal as paid; return the transfer out of the house.

    Raises:
        InvalidTransition: it was not being sent.
    """
    withdrawal.move_to(WithdrawalRequest.Status.PAID)
    transfer = post(
        Leg(
            wallet_id=system_wallet_id("withdrawals", cause=withdrawal.pk),
            amount=-withdrawal.credits,
            transaction_type=TransactionType.PAYOUT,
        ),
        Leg(
            wallet_id=system_wallet_id("paid_out", cause=withdrawal.pk),
            amount=withdrawal.credits,
            transaction_type=TransactionType.PAYOUT,
        ),
        key=f"withdrawal:{withdrawal.pk}:paid",
        description="Withdrawal paid",
        metadata={"withdrawal": str(withdrawal.pk)},
    )
    withdrawal.paid_at = now
    withdrawal.closing_transfer = transfer
    withdrawal.save(update_fields=_FIELDS)
    return transfer


def flag(withdrawal: WithdrawalRequest, reason: str) -> None:
    """Have staff look at a locked withdrawal; the caller saves nothing."""
    if reason in withdrawal.flag:
        return
    withdrawal.flag = f"{withdrawal.flag} {reason}".strip()[:_FLAG_LENGTH_MAX]
    withdrawal.save(update_fields=["flag"])
    logger.warning("withdrawal %s is flagged: %s", withdrawal.pk, reason)
