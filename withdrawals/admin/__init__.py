"""Money out in the staff console: to be seen by staff, and acted on by actions."""

from __future__ import annotations

from withdrawals.admin import cases, payouts, withdrawals

__all__ = ["cases", "payouts", "withdrawals"]
