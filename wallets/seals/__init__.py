"""Seals: proof that history is as it was, even against who owns the database.

Guards keep everyone from changing what was booked, but for a superuser who switches
them off; and sums and chains look right again once enough rows are rewritten. A seal is
a digest over rows, made with a key that is not in the database. Whoever has the
database alone can destroy a seal but not make one that fits other rows.

A seal covers a range of transaction ids: these transactions, the transfers they belong
to, and who holds the wallets they touch (id, user, code, beginning), so that credits
cannot be given another holder by swapping the wallets' users. It names the seal before,
so that none can be left out. It is written to the table `credit_seals` and, best on
another machine, to a file: without the file nobody could tell that the newest seals and
their rows were cut off together.

Not sealed are what changes by right: balances, which the sealed rows prove; frozen
wallets; and holds, which are released and have no number that would put each in one
seal for good.
"""

from __future__ import annotations

from wallets.seals.digests import Seal
from wallets.seals.exceptions import (
    SealChainBroken,
    SealError,
    SealingInProgress,
    SealKeyUnusable,
)
from wallets.seals.sealing import seal_ledger
from wallets.seals.verifying import Findings, since_last_seal, verify_seals

__all__ = [
    "Findings",
    "Seal",
    "SealChainBroken",
    "SealError",
    "SealKeyUnusable",
    "SealingInProgress",
    "seal_ledger",
    "since_last_seal",
    "verify_seals",
]
