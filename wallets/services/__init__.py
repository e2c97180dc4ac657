"""The verbs of the ledger. Everything that writes credits is here."""

from __future__ import annotations

from wallets.services.adjusting import (
    approve_adjustment,
    reject_adjustment,
    request_adjustment,
)
from wallets.services.freezing import freeze_wallet, unfreeze_wallet
from wallets.services.holds import place_hold, release_due_holds, release_hold
from wallets.services.opening import open_missing_wallets, open_wallet, wallet_id_of
from wallets.services.posting import (
    Leg,
    Posting,
    TransactionType,
    post,
    post_many,
)
from wallets.services.transfers import (
    find_for_client,
    grant_credits,
    reverse_transfer,
    send_credits,
    transfer_credits,
    transfer_for_client,
)

__all__ = [
    "Leg",
    "Posting",
    "TransactionType",
    "approve_adjustment",
    "find_for_client",
    "freeze_wallet",
    "grant_credits",
    "open_missing_wallets",
    "open_wallet",
    "place_hold",
    "post",
    "post_many",
    "reject_adjustment",
    "release_due_holds",
    "release_hold",
    "request_adjustment",
    "reverse_transfer",
    "send_credits",
    "transfer_credits",
    "transfer_for_client",
    "unfreeze_wallet",
    "wallet_id_of",
]
