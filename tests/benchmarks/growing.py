"""A ledger of millions of rows in a minute, made in SQL and then proven as any other.

Posting it would take an hour. Credits go round in a circle: transfer `number` is that
of wallet `number % many` to the wallet `step` places on. So each wallet pays and
receives once in every cycle, and what number and balance each row has in its wallet
follows from its number alone; no row has to look at those before it. Indexes and
foreign keys are taken off for it and put back as they were, and the guards of inserts
sleep, except for the check constraints; the proof, which looks at the guards as well,
then has to find nothing wrong.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from tests.benchmarks import database

WALLETS = 200
_STEP = 77
_TABLES = ("credit_transfers", "credit_transactions")
# All that an insert would keep up, with how it is taken off and put back. The primary
# keys stay: others refer to them, and the rows come in their order.
_KEPT_UP = f"""
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
        pg_get_constraintdef(oid))
FROM pg_constraint
WHERE conrelid::regclass::text IN {_TABLES} AND contype IN ('u', 'f')
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index
WHERE indrelid::regclass::text IN {_TABLES}
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY 1
"""
_START = """
SELECT max(updated_at) + interval '1 microsecond' FROM credit_wallets
"""
# Keys in no order, as those that name other rows' ids are.
_TRANSFERS = """
INSERT INTO credit_transfers (id, key, description, metadata, created_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid,
    'scale:' || md5(number::text)::uuid, '', '{}',
    %(start)s + number * interval '1 microsecond'
FROM generate_series(0, %(transfers)s - 1) AS number
"""
_TRANSACTIONS = """
WITH people AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY user_id) - 1 AS place, balance, sequence
    FROM credit_wallets WHERE user_id IS NOT NULL
), legs AS (
    SELECT number, number / %(many)s AS cycle, side,
        (number + side * %(step)s) %% %(many)s AS place,
        -- Not always the same, but in one cycle what comes in goes out again.
        0.01 * (1 + number / %(many)s %% 97) AS price
    FROM generate_series(0, %(transfers)s - 1) AS number, (VALUES (0), (1)) AS s (side)
), turns AS (
    -- Those at the beginning of the circle pay before they receive.
    SELECT legs.*, (side = 1) <> (place >= %(step)s) AS second,
        CASE WHEN side = 1 THEN price ELSE -price END AS amount
    FROM legs
), rows AS (
    SELECT turns.*, people.id AS wallet_id,
        people.sequence + 2 * cycle + CASE WHEN second THEN 2 ELSE 1 END AS sequence,
        -- The second undoes the first: before it the balance is off by that.
        people.balance - CASE WHEN second THEN amount ELSE 0 END AS before
    FROM turns JOIN people USING (place)
)
INSERT INTO credit_transactions
    (transfer_id, wallet_id, sequence, transaction_type,
     amount, balance_before, balance_after, created_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid,
    wallet_id, sequence, 'transfer', amount, before, before + amount,
    %(start)s + number * interval '1 microsecond'
FROM rows
ORDER BY number
"""
_FOLLOW = """
UPDATE credit_wallets
SET sequence = sequence + 2 * %(cycles)s,
    updated_at = %(start)s + %(transfers)s * interval '1 microsecond'
WHERE user_id IS NOT NULL
"""


def grow(name: str, *, template: str, transactions: int) -> tuple[datetime, datetime]:
    """Make a ledger of about so many rows; return when the first and the last were.

    The template is a ledger of `WALLETS` users; nobody may be connected to it.
    """
    database.create(name, template=template)
    with psycopg.connect(database.url(name)) as connection:
        span = fill(connection, transactions)
    database.run(name, "VACUUM ANALYZE")
    return span


def fill(
    connection: psycopg.Connection[Any], transactions: int
) -> tuple[datetime, datetime]:
    """Add the rows to a ledger of `WALLETS` users, in one transaction; see `grow`."""
    cycles = -(-transactions // (2 * WALLETS))
    with connection.transaction():
        ((start,),) = connection.execute(_START).fetchall()
        facts = {
            "start": start,
            "many": WALLETS,
            "step": _STEP,
            "cycles": cycles,
            "transfers": cycles * WALLETS,
        }
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        connection.execute("SET LOCAL work_mem = '512MB'")
        kept_up = connection.execute(_KEPT_UP).fetchall()
        for take_off, _ in kept_up:
            connection.execute(take_off)
        for statement in (_TRANSFERS, _TRANSACTIONS, _FOLLOW):
            connection.execute(statement, facts)
        for _, put_back in kept_up:
            connection.execute(put_back)
        ((end,),) = connection.execute(
            "SELECT max(created_at) FROM credit_transfers"
        ).fetchall()
    return start, end
