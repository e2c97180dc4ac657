"""Is a whole ledger right? One pass that can say so, and cannot say what is wrong.

To prove I02 to I04 row by row PostgreSQL has to put the rows in order, by transfer and
by wallet, and that takes ten times as long as reading them. Sums need no order. Each
step in a wallet's chain, "starts where the one before ended", is a difference that is
zero; each is weighed by its own random number and all are added up, and so are the sums
of the transfers. A right ledger gives zero. One that is wrong anywhere gives zero only
by chance: the numbers have 64 bits, from PostgreSQL's hash functions with a seed of 63
bits that is drawn anew for each run, so nobody can know which error they would not see.
Whoever has to know the place asks the checks of `wallets.proof`, which `is_right`
spares where it finds nothing.
"""

from __future__ import annotations

import secrets
from typing import Final

from django.db import connection

# What `is_right` answers for.
INVARIANTS: Final = ("I01", "I02", "I03", "I04")

# A row that does not add up is seen as such; of one that does, `amount` is not zero, so
# a transfer of a single row does not add up to zero either. With w(n) for the weight of
# place n, a chain gives  sum w(n) * before(n) - w(n + 1) * after(n), of which only
# - w(last + 1) * after(last)  is left: what the wallet has to agree with.
_SUMS: Final = """
WITH booked AS (
    SELECT wallet_id, count(*) AS rows, min(sequence) AS first, max(sequence) AS last,
        sum(amount) AS total,
        bool_or(amount = 0 OR balance_after <> balance_before + amount) AS is_wrong,
        sum(
            hashint8extended(sequence, %(place)s)::numeric * balance_before
            - hashint8extended(sequence + 1, %(place)s)::numeric * balance_after
        ) AS chain,
        sum(uuid_hash_extended(transfer_id, %(transfer)s)::numeric * amount)
            AS transfers
    FROM credit_transactions GROUP BY wallet_id
)
SELECT coalesce(sum(total), 0) = 0 AND coalesce(sum(transfers), 0) = 0
    AND coalesce(bool_and(coalesce(
        CASE WHEN booked.wallet_id IS NULL
        THEN wallet.balance = 0 AND wallet.sequence = 0
        ELSE NOT is_wrong AND first = 1 AND last = rows AND wallet.sequence = rows
            AND wallet.balance = total
            AND chain = -wallet.balance
                * hashint8extended(wallet.sequence + 1, %(place)s)
        END, false
    )), true)
FROM booked FULL JOIN credit_wallets AS wallet ON wallet.id = booked.wallet_id
"""
_NO_ORPHANS: Final = """
SELECT NOT EXISTS (
    SELECT FROM credit_transfers AS transfer FULL JOIN (
        SELECT DISTINCT transfer_id FROM credit_transactions
    ) AS booked ON booked.transfer_id = transfer.id
    WHERE transfer.id IS NULL OR booked.transfer_id IS NULL
)
"""
# In the order of the index, which has all of it.
_TIMES_FOLLOW: Final = """
SELECT NOT EXISTS (
    SELECT FROM (
        SELECT sequence, lag(sequence, 1, 0::bigint) OVER (
            PARTITION BY wallet_id ORDER BY created_at, sequence
        ) AS previous
        FROM credit_transactions
    ) AS timed
    WHERE sequence <> previous + 1
)
"""


def is_right() -> bool:
    """Return whether `INVARIANTS` hold for the whole ledger; see above for how sure."""
    weights = {name: secrets.randbits(63) for name in ("place", "transfer")}
    with connection.cursor() as cursor:
        for query in (_SUMS, _NO_ORPHANS, _TIMES_FOLLOW):
            cursor.execute(query, weights)
            if cursor.fetchone() != (True,):
                return False
    return True
