"""Money out in the staff console: to be seen by staff, and acted on by actions."""

from __future__ import annotations

from withdrawals.admin import payouts, withdrawals

__all__ = ["payouts", "withdrawals"]
