"""The ledger's hand-written SQL.

Compiling ORM queries and writing parameters into them is most of what a posting costs,
so the three statements that every posting runs go to the driver directly, as prepared
statements, on Django's connection and in its transaction. Everything else uses the ORM.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections

from wallets.models import CreditTransaction, CreditTransfer, CreditWallet

# (id, balance, held, sequence, frozen_at, code)
LockedRow = tuple[uuid.UUID, Decimal, Decimal, int, datetime | None, str | None]

# What is posted now gets the time at which the locks were ours, and never an earlier
# one than its wallets already have, whatever the clock does. The outer join gives it
# also where no transfer has one of the keys.
_LOOK_UP: Final = """
SELECT greatest(
        statement_timestamp(),
        (SELECT max(updated_at) FROM credit_wallets WHERE id = ANY ($2::uuid[]))
    )::text,
    found.id, found.key, found.description, found.actor_id, found.reverses_id,
    found.metadata, found.created_at
FROM (SELECT) AS one LEFT JOIN credit_transfers AS found ON found.key = ANY ($1::text[])
"""

# Wallets, transfers and transactions in one statement, so that the guards can look at
# it whole (see `sql/posting.sql`).
_WRITE: Final = """
WITH moved AS (
    UPDATE credit_wallets AS wallet
    SET balance = became.balance, sequence = became.sequence,
        updated_at = $1::timestamptz
    FROM unnest($2::uuid[], $3::numeric[], $4::bigint[])
        AS became (id, balance, sequence)
    WHERE wallet.id = became.id
), opened AS (
    INSERT INTO credit_transfers
        (id, key, description, actor_id, reverses_id, metadata, created_at)
    SELECT id, key, description, actor_id, reverses_id, metadata::jsonb,
        $1::timestamptz
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

_TRANSFER_FIELDS: Final = [
    field.attname for field in CreditTransfer._meta.concrete_fields
]
_TRANSACTION_FIELDS: Final = [
    field.attname for field in CreditTransaction._meta.concrete_fields
]
# One cursor for each of the driver's connections: making one costs as much as its use.
_cursors: WeakKeyDictionary[Any, psycopg.RawCursor[Any]] = WeakKeyDictionary()


def lock_wallets(wallet_ids: Collection[uuid.UUID]) -> list[LockedRow]:
    """Lock wallets until the transaction ends, in the order of their primary keys."""
    return _rows(_lock_statement(), [_array(wallet_ids)])


def look_up(
    keys: Collection[str], wallet_ids: Collection[uuid.UUID]
) -> tuple[str, list[CreditTransfer]]:
    """Return the time to post at, and the transfers that have one of the keys.

    The time is PostgreSQL's text for it, to be handed to `write`.
    """
    rows = _rows(_LOOK_UP, [_text_array(keys), _array(wallet_ids)])
    found = [
        _transfer(*row[1:6], json.loads(row[6]), row[7])
        for row in rows
        if row[1] is not None
    ]
    return rows[0][0], found


@dataclass(slots=True)
class NewTransfer:
    """A transfer that is decided and not yet written.

    Its legs are (wallet_id, sequence, transaction_type, amount, before, after).
    """

    id: uuid.UUID
    key: str
    description: str
    actor_id: int | None
    reverses_id: uuid.UUID | None
    metadata: dict[str, Any]
    legs: list[tuple[uuid.UUID, int, str, Decimal, Decimal, Decimal]]


def write(
    *,
    at: str,
    balances: Sequence[tuple[uuid.UUID, Decimal, int]],
    transfers: Sequence[NewTransfer],
) -> list[CreditTransfer]:
    """Write wallets' new (id, balance, sequence) and transfers with their legs.

    Return the transfers as they are in the database now.

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
            _array(transfer.id for transfer in transfers for _ in transfer.legs),
            *(_array(column) for column in _columns(legs)),
        ],
    )
    ids = {(row[1], row[2]): row[0] for row in rows}
    created_at = datetime.fromisoformat(at)
    return [_booked(transfer, created_at, ids) for transfer in transfers]


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
        .values_list("pk", "balance", "held", "sequence", "frozen_at", "code")
    )
    statement, _ = wallets.query.sql_with_params()
    assert statement.count("IN (%s)") == 1
    return str(statement).replace("IN (%s)", "= ANY ($1::uuid[])")


def _rows(statement: str, parameters: list[Any]) -> list[Any]:
    # Once, and not through Django's proxy, which looks the thread's up at each use.
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    database.validate_no_broken_transaction()
    driver: Any = database.connection
    with database.wrap_database_errors:
        cursor = _cursors.get(driver)
        if cursor is None:
            cursor = _cursors[driver] = psycopg.RawCursor(driver)
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


def _columns(rows: list[Any]) -> Iterable[tuple[Any, ...]]:
    return zip(*rows, strict=True)


# Made as the ORM makes what it loads: by position, in the order of the model's fields.


def _transfer(*values: Any) -> CreditTransfer:
    return CreditTransfer.from_db(DEFAULT_DB_ALIAS, _TRANSFER_FIELDS, values)


def _booked(
    new: NewTransfer, created_at: datetime, ids: dict[tuple[uuid.UUID, int], int]
) -> CreditTransfer:
    transfer = _transfer(
        new.id,
        new.key,
        new.description,
        new.actor_id,
        new.reverses_id,
        new.metadata,
        created_at,
    )
    transfer.legs = [
        CreditTransaction.from_db(
            DEFAULT_DB_ALIAS,
            _TRANSACTION_FIELDS,
            (ids[leg[0], leg[1]], new.id, *leg, created_at),
        )
        for leg in new.legs
    ]
    return transfer
