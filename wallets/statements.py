"""The ledger's hand-written SQL.

Compiling ORM queries is most of what a posting costs, so the statements that every
posting runs are written here by hand. Everything else uses the ORM.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection

from wallets.models import CreditTransfer

# Wallets, transfers and transactions in one statement, so that the guards can look at
# it whole (see `sql/posting.sql`). Times are the database's; within a wallet they never
# go back, even when the clock does.
_WRITE: Final = """
WITH moved AS (
    UPDATE credit_wallets AS wallet
    SET balance = became.balance,
        sequence = became.sequence,
        updated_at = greatest(statement_timestamp(), wallet.updated_at)
    FROM unnest(%s::uuid[], %s::numeric[], %s::bigint[])
        AS became (id, balance, sequence)
    WHERE wallet.id = became.id
    RETURNING wallet.id, wallet.updated_at
), opened AS (
    INSERT INTO credit_transfers
        (id, key, description, actor_id, reverses_id, metadata, created_at)
    SELECT id, key, description, actor_id, reverses_id, metadata::jsonb,
        statement_timestamp()
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::uuid[], %s::text[])
        AS new (id, key, description, actor_id, reverses_id, metadata)
    RETURNING id, created_at
), booked AS (
    INSERT INTO credit_transactions
        (transfer_id, wallet_id, sequence, transaction_type,
         amount, balance_before, balance_after, created_at)
    SELECT leg.transfer_id, leg.wallet_id, leg.sequence, leg.transaction_type,
        leg.amount, leg.balance_before, leg.balance_after, moved.updated_at
    FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[],
                %s::numeric[], %s::numeric[], %s::numeric[])
        WITH ORDINALITY
        AS leg (transfer_id, wallet_id, sequence, transaction_type,
                amount, balance_before, balance_after, position)
    JOIN moved ON moved.id = leg.wallet_id
    ORDER BY leg.position
    RETURNING id, wallet_id, sequence, created_at
)
SELECT booked.id, booked.wallet_id, booked.sequence, booked.created_at,
    opened.created_at
FROM booked, (SELECT min(created_at) AS created_at FROM opened) AS opened
"""

_BY_KEY: Final = """
SELECT id, key, description, actor_id, reverses_id, metadata, created_at
FROM credit_transfers WHERE key = ANY (%s::text[])
"""


def transfers_by_key(keys: Collection[str]) -> list[CreditTransfer]:
    """Return the transfers that have one of the keys."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEY, [list(keys)])
        rows = cursor.fetchall()
    return [
        CreditTransfer(
            id=row[0],
            key=row[1],
            description=row[2],
            actor_id=row[3],
            reverses_id=row[4],
            metadata=json.loads(row[5]),
            created_at=row[6],
        )
        for row in rows
    ]


def write(
    *,
    balances: Sequence[tuple[uuid.UUID, Decimal, int]],
    transfers: Sequence[CreditTransfer],
) -> None:
    """Write wallets' new (id, balance, sequence) and transfers with their `legs`.

    Fills in what the database decides: ids of the transactions and times.

    Raises:
        IntegrityError: a constraint or guard refuses; see `constraint_of`.
    """
    legs = [leg for transfer in transfers for leg in transfer.legs]
    parameters = [
        *map(list, zip(*balances, strict=True)),
        [transfer.id for transfer in transfers],
        [transfer.key for transfer in transfers],
        [transfer.description for transfer in transfers],
        [transfer.actor_id for transfer in transfers],
        [transfer.reverses_id for transfer in transfers],
        [
            json.dumps(transfer.metadata, cls=DjangoJSONEncoder)
            for transfer in transfers
        ],
        [leg.transfer_id for leg in legs],
        [leg.wallet_id for leg in legs],
        [leg.sequence for leg in legs],
        [leg.transaction_type for leg in legs],
        [leg.amount for leg in legs],
        [leg.balance_before for leg in legs],
        [leg.balance_after for leg in legs],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, parameters)
        rows = cursor.fetchall()
    booked = {(row[1], row[2]): (row[0], row[3]) for row in rows}
    for transfer in transfers:
        transfer.created_at = rows[0][4]
        transfer._state.adding = False
        transfer._state.db = connection.alias
    for leg in legs:
        leg.id, leg.created_at = booked[leg.wallet_id, leg.sequence]
        leg._state.adding = False
        leg._state.db = connection.alias


def constraint_of(error: IntegrityError) -> str:
    """Return the name of the constraint or guard that refused, or an empty string."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""
