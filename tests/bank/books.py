"""The ledger's tables as they are, read by plain SQL and not through the product.

Names of tables carry no schema: with another `search_path` in its address a connection
reads bare copies.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from tests.bank.record import Read

_WALLETS = """
SELECT coalesce(code, user_id::text), balance, sequence FROM credit_wallets
"""
_SUMS = """
SELECT coalesce(code, user_id::text), coalesce(sum(amount), 0), count(transfer_id)
FROM credit_wallets AS wallet
LEFT JOIN credit_transactions AS booked ON booked.wallet_id = wallet.id
GROUP BY 1
"""
_ROWS = """
SELECT booked.transfer_id::text, transfer.description,
    coalesce(wallet.code, wallet.user_id::text),
    booked.sequence, booked.amount, booked.balance_after
FROM credit_transactions AS booked
JOIN credit_wallets AS wallet ON wallet.id = booked.wallet_id
JOIN credit_transfers AS transfer ON transfer.id = booked.transfer_id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One wallet's side of a transfer. `name` is the order's, in the description."""

    transfer: str
    name: str
    wallet: str
    sequence: int
    amount: Decimal
    balance_after: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Wallets, (balance, number of transactions) each, and all transactions."""

    wallets: dict[str, tuple[Decimal, int]]
    rows: list[Row]


def connect(url: str) -> psycopg.Connection[Any]:
    """Open a connection whose every transaction is one snapshot, and writes nothing."""
    connection = psycopg.connect(url)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def read_all(connection: psycopg.Connection[Any]) -> Read:
    """Read all balances in one statement, and again as sums of transactions."""
    began = time.monotonic_ns()
    with connection.transaction():
        wallets = connection.execute(_WALLETS).fetchall()
        sums = connection.execute(_SUMS).fetchall()
    return Read(
        began=began,
        ended=time.monotonic_ns(),
        wallets={name: (balance, number) for name, balance, number in wallets},
        sums={name: (total, number) for name, total, number in sums},
    )


def read_books(url: str) -> Books:
    """Return everything that is booked."""
    with connect(url) as connection, connection.transaction():
        wallets = connection.execute(_WALLETS).fetchall()
        rows = connection.execute(_ROWS).fetchall()
    return Books(
        wallets={name: (balance, number) for name, balance, number in wallets},
        rows=[Row(*row) for row in rows],
    )
