"""The ledger's hand-written SQL.

Compiling ORM queries and writing parameters into them is most of what a posting costs,
so the statements that every posting runs go to the driver directly, as prepared
statements, on Django's connection and in its transaction. Everything else uses the ORM.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections
from django.db.models import TextField
from django.db.models.functions import Cast

from wallets.models import CreditTransaction, CreditTransfer, CreditWallet

# (id, balance, held, sequence, frozen_at, code, updated_at), the last as PostgreSQL
# writes it: to read a time and write it again costs more than a round trip saves.
LockedRow = tuple[uuid.UUID, Decimal, Decimal, int, datetime | None, str | None, str]

_LOOK_UP: Final = """
SELECT id, key, description, actor_id, reverses_id, metadata, created_at
FROM credit_transfers WHERE key = ANY ($1::text[])
"""

# Wallets, transfers and transactions in one statement, so that the guards can look at
# it whole (see `sql/posting.sql`); and nothing at all where one of the keys is booked.
#
# What is posted gets a time at which the locks were ours, and never an earlier one than
# its wallets already have, whatever the clock does.
#
# A generic plan takes an array for ten rows: the wallets are asked for by their keys,
# or it would read them all. The rows come as arrays of records, one for each table,
# as each array costs the server more than a row in it does.
_WRITE: Final = """
WITH posted AS (
    SELECT greatest(statement_timestamp(), max(updated_at)) AS at
    FROM unnest($1::timestamptz[]) AS updated_at
), known AS (
    SELECT FROM credit_transfers WHERE key = ANY ($2::text[])
), moved AS (
    UPDATE credit_wallets AS wallet
    SET balance = became.balance, sequence = became.sequence,
        updated_at = (SELECT at FROM posted)
    FROM unnest($4::ledger_new_balance[]) AS became
    WHERE wallet.id = became.id AND wallet.id = ANY ($3::uuid[])
      AND NOT EXISTS (SELECT FROM known)
), opened AS (
    INSERT INTO credit_transfers
        (id, key, description, actor_id, reverses_id, metadata, created_at)
    SELECT id, key, description, actor_id, reverses_id, metadata,
        (SELECT at FROM posted)
    FROM unnest($5::ledger_new_transfer[]) WHERE NOT EXISTS (SELECT FROM known)
)
INSERT INTO credit_transactions
    (transfer_id, wallet_id, sequence, transaction_type,
     amount, balance_before, balance_after, created_at)
SELECT transfer_id, wallet_id, sequence, transaction_type,
    amount, balance_before, balance_after, (SELECT at FROM posted)
FROM unnest($6::ledger_new_transaction[]) WHERE NOT EXISTS (SELECT FROM known)
RETURNING id, wallet_id, sequence, created_at::text
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


def look_up(keys: Collection[str]) -> list[CreditTransfer]:
    """Return the transfers that have one of the keys."""
    rows = _rows(_LOOK_UP, [_text_array(keys)])
    return [_transfer(*row[:5], json.loads(row[5]), row[6]) for row in rows]


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
    not_before: Iterable[str],
    balances: Sequence[tuple[uuid.UUID, Decimal, int]],
    transfers: Sequence[NewTransfer],
) -> list[CreditTransfer]:
    """Write wallets' new (id, balance, sequence) and transfers with their legs.

    `not_before` are times before which nothing is posted, as `lock_wallets` gave them.
    Return the transfers as they are in the database now; an empty list, with nothing
    written, where one of their keys is booked already.

    Raises:
        IntegrityError: a constraint or guard refuses; see `constraint_of`.
    """
    rows = _rows(
        _WRITE,
        [
            _text_array(not_before),
            _text_array(transfer.key for transfer in transfers),
            _array(wallet_id for wallet_id, _, _ in balances),
            _array(map(_balance_record, balances)),
            _array(map(_transfer_record, transfers)),
            _array(
                _leg_record(str(transfer.id), leg)
                for transfer in transfers
                for leg in transfer.legs
            ),
        ],
    )
    if not rows:
        return []
    ids = {(row[1], row[2]): row[0] for row in rows}
    created_at = datetime.fromisoformat(rows[0][3])
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
        .values_list(
            "pk",
            "balance",
            "held",
            "sequence",
            "frozen_at",
            "code",
            Cast("updated_at", TextField()),
        )
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
    """Return an array of values whose text needs no quotes, or has them."""
    return f"{{{','.join(map(str, values))}}}"


def _text_array(values: Iterable[str]) -> str:
    """Return an array of any texts."""
    quoted = (
        value.replace("\\", "\\\\").replace('"', '\\"') if value else ""
        for value in values
    )
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def _balance_record(balance: tuple[uuid.UUID, Decimal, int]) -> str:
    return '"({},{},{})"'.format(*balance)


def _transfer_record(new: NewTransfer) -> str:
    metadata = json.dumps(new.metadata, cls=DjangoJSONEncoder) if new.metadata else "{}"
    return (
        f'"({new.id},{_text(new.key)},{_text(new.description)},{new.actor_id or ""},'
        f'{new.reverses_id or ""},{_text(metadata)})"'
    )


def _leg_record(
    transfer_id: str, leg: tuple[uuid.UUID, int, str, Decimal, Decimal, Decimal]
) -> str:
    return f'"({transfer_id},{",".join(map(str, leg))})"'


def _text(value: str) -> str:
    """Return any text as a part of a record that is in an array, quoted for both."""
    quoted = value.replace("\\", "\\" * 4).replace('"', '\\\\\\"')
    return f'\\"{quoted}\\"'


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
    # Made when somebody looks: in bulk nobody does, and they are half of the work.
    transfer.make_legs = partial(_legs, new, created_at, ids)
    return transfer


def _legs(
    new: NewTransfer, created_at: datetime, ids: dict[tuple[uuid.UUID, int], int]
) -> list[CreditTransaction]:
    return [
        CreditTransaction.from_db(
            DEFAULT_DB_ALIAS,
            _TRANSACTION_FIELDS,
            (ids[leg[0], leg[1]], new.id, *leg, created_at),
        )
        for leg in new.legs
    ]
