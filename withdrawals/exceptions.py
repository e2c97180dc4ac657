"""What withdrawing refuses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from credits_project.exceptions import DomainError, InvalidInput

Limit = Literal[
    "minimum",
    "maximum",
    "daily",
    "weekly",
    "daily_count",
    "system_daily",
    "system_weekly",
]

_LIMITS: dict[Limit, str] = {
    "minimum": "A withdrawal is of at least {allowed} credits.",
    "maximum": "A withdrawal is of at most {allowed} credits.",
    "daily": "Within 24 hours {allowed} more credits can be withdrawn.",
    "weekly": "Within 7 days {allowed} more credits can be withdrawn.",
    "daily_count": "No more withdrawals can be requested within 24 hours.",
    "system_daily": "All together {allowed} more credits can be withdrawn in 24 hours.",
    "system_weekly": "All together {allowed} more credits can be withdrawn in 7 days.",
}


class WithdrawalLimit(DomainError):
    """Policy allows less, or asks for more."""

    code = "withdrawal-limit"
    title = "The withdrawal is outside of the limits."
    status = 409

    def __init__(self, *, limit: Limit, allowed: Decimal) -> None:
        """Name the limit, and the credits that it allows now."""
        super().__init__(
            _LIMITS[limit].format(allowed=allowed), limit=limit, allowed=str(allowed)
        )


class NotWithdrawable(DomainError):
    """The credits are there and were not earned."""

    code = "not-withdrawable"
    title = "Only earned credits can be withdrawn."
    status = 409

    def __init__(self, *, withdrawable: Decimal, required: Decimal) -> None:
        super().__init__(
            f"{required} credits are required and {withdrawable} can be withdrawn.",
            withdrawable=str(withdrawable),
            required=str(required),
        )


class PayoutMethodNotUsable(DomainError):
    """The payout method was added too recently."""

    code = "payout-method-not-usable"
    title = "The payout method cannot be used yet."
    status = 409

    def __init__(self, *, usable_from: datetime) -> None:
        moment = usable_from.isoformat().replace("+00:00", "Z")
        super().__init__(
            f"The payout method can be used from {moment}.", usable_from=moment
        )


class PayoutMethodExists(InvalidInput):
    """The account is one of the user's payout methods already."""

    code = "payout-method-exists"
    title = "This is one of your payout methods already."
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "account_number",
            "This account is one of your payout methods already.",
            reason="unique",
        )


class PayoutRateMissing(DomainError):
    """Staff have not said yet what a credit pays out."""

    code = "payout-rate-missing"
    title = "Withdrawals are not available at the moment."
    status = 503

    def __init__(self) -> None:
        super().__init__("No payout rate is in effect. Please try again later.")


class NotSettled(DomainError):
    """The gateway may still come to know the payout, or knows it."""

    code = "payout-not-settled"
    title = "It is not certain that the payout was not sent."
    status = 409


class ApprovalVoid(DomainError):
    """The sum or the account is not what the first person approved."""

    code = "approval-void"
    title = "The withdrawal has changed since it was approved."
    status = 409

    def __init__(self) -> None:
        super().__init__("The first approval is void. Reject or cancel the withdrawal.")


class CaseOpen(DomainError):
    """The gateway contradicts the books, which takes more than clearing the flag."""

    code = "payout-case-open"
    title = "A case of this withdrawal has to be settled."
    status = 409

    def __init__(self) -> None:
        super().__init__("Settle the case of this withdrawal, under Payout cases.")


class NotReconciled(DomainError):
    """The database seems to be an earlier one, and was not compared since."""

    code = "payouts-not-reconciled"
    title = "Payouts have to be reconciled with the gateway first."
    status = 409

    def __init__(self) -> None:
        super().__init__("Compare with the gateway first; then payouts can go on.")
