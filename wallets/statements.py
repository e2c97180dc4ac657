"""The ledger's hand-written SQL.

Compiling ORM queries and writing parameters into them is most of what a posting costs,
so the three statements that every posting runs go to the driver directly, as prepared
statements, on Django's connection and in its transaction. Everything else uses the ORM.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

import psycopg
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection

from wallets.models import CreditTransaction, CreditTransfer, CreditWallet

# (id, balance, held, sequence, frozen_at, code, updated_at)
LockedRow = tuple[
    uuid.UUID, Decimal, Decimal, int, datetime | None, str | None, datetime
]

# The outer join gives the time also where no transfer has one of the keys. It is the
# time of the statement, which begins when the locks are ours.
_LOOK_UP: Final = """
SELECT statement_timestamp(), found.id, found.key, found.description, found.actor_id,
    found.reverses_id, found.metadata, found.created_at
FROM (SELECT) AS one LEFT JOIN credit_transfers AS found ON found.key = ANY ($1::text[])
"""

# Wallets, transfers and transactions in one statement, so that the guards can look at
# it whole (see `sql/posting.sql`).
_WRITE: Final = """
WITH moved AS (
    UPDATE credit_wallets AS wallet
    SET balance = became.balance, sequence = became.sequence, updated_at = $1
    FROM unnest($2::uuid[], $3::numeric[], $4::bigint[])
        AS became (id, balance, sequence)
    WHERE wallet.id = became.id
), opened AS (
    INSERT INTO credit_transfers
        (id, key, description, actor_id, reverses_id, metadata, created_at)
    SELECT id, key, description, actor_id, reverses_id, metadata::jsonb, $1
    FROM unnest($5::uuid[], $6::text[], $7::text[], $8::int[], $9::uuid[], $10::text[])
        AS new (id, key, description, actor_id, reverses_id, metadata)
)
INSERT INTO credit_transactions
    (transfer_id, wallet_id, sequence, transaction_type,
     amount, balance_before, balance_after, created_at)
SELECT transfer_id, wallet_id, sequence, transaction_type,
    amount, balance_before, balance_after, $1::timestamptz
FROM unnest($11::uuid[], $12::uuid[], $13::bigint[], $14::text[],
            $15::numeric[], $16::numeric[], $17::numeric[])
    AS leg (transfer_id, wallet_id, sequence, transaction_type,
            amount, balance_before, balance_after)
RETURNING id, wallet_id, sequence
"""


def lock_wallets(wallet_ids: Collection[uuid.UUID]) -> list[LockedRow]:
    """Lock wallets until the transaction ends, in the order of their primary keys."""
    return _rows(_lock_statement(), [_array(wallet_ids)])


def transfers_by_key(keys: Collection[str]) -> tuple[datetime, list[CreditTransfer]]:
    """Return the database's time, and the transfers that have one of the keys."""
    rows = _rows(_LOOK_UP, [_text_array(keys)])
    found = [
        CreditTransfer(
            id=row[1],
            key=row[2],
            description=row[3],
            actor_id=row[4],
            reverses_id=row[5],
            metadata=json.loads(row[6]),
            created_at=row[7],
        )
        for row in rows
        if row[1] is not None
    ]
    for transfer in found:
        _loaded(transfer)
    return rows[0][0], found


def write(
    *,
    at: datetime,
    balances: Sequence[tuple[uuid.UUID, Decimal, int]],
    transfers: Sequence[CreditTransfer],
) -> None:
    """Write wallets' new (id, balance, sequence) and transfers with their `legs`.

    Fills in the ids of the transactions, and the time.

    Raises:
        IntegrityError: a constraint or guard refuses; see `constraint_of`.
    """
    legs = [leg for transfer in transfers for leg in transfer.legs]
    rows = _rows(
        _WRITE,
        [
            at,
            *map(_array, zip(*balances, strict=True)),
            _array(transfer.id for transfer in transfers),
            _text_array(transfer.key for transfer in transfers),
            _text_array(transfer.description for transfer in transfers),
            _array(transfer.actor_id or "NULL" for transfer in transfers),
            _array(transfer.reverses_id or "NULL" for transfer in transfers),
            _text_array(_json(transfer.metadata) for transfer in transfers),
            _array(leg.transfer_id for leg in legs),
            _array(leg.wallet_id for leg in legs),
            _array(leg.sequence for leg in legs),
            _text_array(leg.transaction_type for leg in legs),
            _array(leg.amount for leg in legs),
            _array(leg.balance_before for leg in legs),
            _array(leg.balance_after for leg in legs),
        ],
    )
    ids = {(row[1], row[2]): row[0] for row in rows}
    for transfer in transfers:
        transfer.created_at = at
        _loaded(transfer)
    for leg in legs:
        leg.id = ids[leg.wallet_id, leg.sequence]
        leg.created_at = at
        _loaded(leg)


def constraint_of(error: IntegrityError) -> str:
    """Return the name of the constraint or guard that refused, or an empty string."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


@cache
def _lock_statement() -> str:
    """Return the ORM's own statement for the lock, compiled once."""
    # One statement, by primary key: transfers that share wallets queue up instead of
    # deadlocking. NO KEY UPDATE suffices, as no key changes, and lets rows that point
    # at a locked wallet be inserted meanwhile.
    wallets = (
        CreditWallet.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=[uuid.UUID(int=0)])
        .order_by("pk")
        .values_list(
            "pk", "balance", "held", "sequence", "frozen_at", "code", "updated_at"
        )
    )
    statement, _ = wallets.query.sql_with_params()
    assert statement.count("IN (%s)") == 1
    return str(statement).replace("IN (%s)", "= ANY ($1::uuid[])")


def _rows(statement: str, parameters: list[Any]) -> list[Any]:
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        cursor = psycopg.RawCursor(connection.connection)
        return cursor.execute(statement, parameters, prepare=True).fetchall()


# Arrays are sent as PostgreSQL's own text for them and cast in the statement: the
# driver's conversion, value by value, costs more than everything else in a posting.


def _array(values: Iterable[object]) -> str:
    """Return an array of values whose text has nothing to quote: ids and numbers."""
    return f"{{{','.join(map(str, values))}}}"


def _text_array(values: Iterable[str]) -> str:
    """Return an array of any texts."""
    quoted = (
        value.replace("\\", "\\\\").replace('"', '\\"') if value else ""
        for value in values
    )
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def _json(metadata: dict[str, Any]) -> str:
    return json.dumps(metadata, cls=DjangoJSONEncoder) if metadata else "{}"


def _loaded(row: CreditTransfer | CreditTransaction) -> None:
    """Mark a row that was made in memory as one that the database has."""
    row._state.adding = False
    row._state.db = connection.alias
