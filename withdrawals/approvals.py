"""What an approval is bound to: the sum, the account, and who gave it.

Guards in the database refuse to change an approved withdrawal. Whoever switches those
off and changes it all the same, or writes an approval by hand, has not the key: the
seal no longer fits, and nothing is sent.
"""

from __future__ import annotations

import hmac
from typing import Any

from withdrawals import encryption


def seal_of(withdrawal: Any) -> str:
    """Return the seal of the withdrawal's terms and of those who have approved it."""
    return encryption.approval_digest(
        str(withdrawal.pk),
        str(withdrawal.user_id),
        str(withdrawal.requested_by_id),
        f"{withdrawal.credits:.2f}",
        f"{withdrawal.net:.2f}",
        withdrawal.currency,
        withdrawal.kind,
        withdrawal.destination_id,
        withdrawal.account_name,
        bytes(withdrawal.account_number_encrypted).hex(),
        str(withdrawal.approvals_required),
        str(withdrawal.decided_by_id),
        str(withdrawal.second_decided_by_id),
    )


def stands(withdrawal: Any) -> bool:
    """Return whether nothing has changed since the withdrawal was approved."""
    return hmac.compare_digest(withdrawal.approval_seal, seal_of(withdrawal))
