"""A sealed ledger, and somebody who owns the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from tests.factories import make_user, wallet_of
from wallets import proof, seals, services

KEY = "a key for tests only, a key for tests only"
OTHER_KEY = "another key for tests only, for tests only"
TABLES = (
    "credit_wallets",
    "credit_transfers",
    "credit_transactions",
    "credit_holds",
    "credit_seals",
)


def send(payer: Any, payee: Any, amount: str) -> Any:
    """Move credits between two users."""
    return services.transfer_credits(
        from_user_id=payer.pk, to_user_id=payee.pk, amount=Decimal(amount)
    )


def story() -> tuple[Any, Any]:
    """Two users whose transfers are in two seals: three in each, but for grants."""
    rich, poor = make_user("rich", balance="100.00"), make_user("poor")
    for amount in ("1.00", "2.00", "3.00"):
        send(rich, poor, amount)
    seals.seal_ledger()
    for amount in ("4.00", "5.00", "6.00"):
        send(rich, poor, amount)
    seals.seal_ledger()
    return rich, poor


@contextmanager
def guards_off() -> Iterator[None]:
    """What a superuser can do: everything, until the block ends and all is undone."""
    # A bare savepoint, no atomic block: whoever owns the database can seal as well,
    # and sealing refuses to run inside a block.
    before = transaction.savepoint()
    run("SET CONSTRAINTS ALL IMMEDIATE")
    for table in TABLES:
        run(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    try:
        yield
    finally:
        transaction.savepoint_rollback(before)


def run(sql: str, *parameters: Any) -> list[Any]:
    """Run SQL as it is; return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []


def remove_last_transfers(count: int) -> None:
    """Remove the newest transfers and set the wallets back: the books balance again."""
    for _ in range(count):
        [(transfer,)] = run(
            "SELECT transfer_id FROM credit_transactions ORDER BY id DESC LIMIT 1"
        )
        run(
            "UPDATE credit_wallets AS wallet SET balance = row.balance_before,"
            " sequence = row.sequence - 1 FROM credit_transactions AS row"
            " WHERE row.wallet_id = wallet.id AND row.transfer_id = %s",
            transfer,
        )
        run("DELETE FROM credit_transactions WHERE transfer_id = %s", transfer)
        run("DELETE FROM credit_transfers WHERE id = %s", transfer)


def renumber(wallet: Any) -> None:
    """Make a wallet's remaining rows a whole chain, and the wallet its sum."""
    # Out of the way first: no two rows may have one number even for a moment.
    run(
        "UPDATE credit_transactions SET sequence = sequence + 1000000"
        " WHERE wallet_id = %s",
        wallet,
    )
    run(
        "UPDATE credit_transactions AS row SET sequence = anew.sequence,"
        " balance_before = anew.total - row.amount, balance_after = anew.total"
        " FROM (SELECT id, row_number() OVER rows AS sequence,"
        "  sum(amount) OVER rows AS total FROM credit_transactions"
        "  WHERE wallet_id = %s WINDOW rows AS (ORDER BY sequence)) AS anew"
        " WHERE anew.id = row.id",
        wallet,
    )
    run(
        "UPDATE credit_wallets AS wallet SET sequence = booked.rows,"
        " balance = booked.total FROM (SELECT count(*) AS rows,"
        "  coalesce(sum(amount), 0) AS total FROM credit_transactions"
        "  WHERE wallet_id = %s) AS booked WHERE wallet.id = %s",
        wallet,
        wallet,
    )


def insert_transfer(payer: Any, payee: Any, ids: tuple[int, int]) -> None:
    """Book a transfer by hand under ids of one's choice, as if it always were there."""
    [(transfer,)] = run(
        "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
        " VALUES (gen_random_uuid(), 'slipped in', '', '{}', now()) RETURNING id"
    )
    for user, amount, row in ((payer, "-1.00", ids[0]), (payee, "1.00", ids[1])):
        run(
            "WITH moved AS (UPDATE credit_wallets SET sequence = sequence + 1,"
            " balance = balance + %s WHERE id = %s RETURNING *)"
            " INSERT INTO credit_transactions (id, transfer_id, wallet_id, sequence,"
            " transaction_type, amount, balance_before, balance_after, created_at)"
            " OVERRIDING SYSTEM VALUE SELECT %s, %s, id, sequence, 'transfer', %s,"
            " balance - %s, balance, statement_timestamp() FROM moved",
            Decimal(amount),
            wallet_of(user).pk,
            row,
            transfer,
            Decimal(amount),
            Decimal(amount),
        )


def invariants_broken() -> set[str]:
    """The invariants that the books alone show to be broken; guards are left out."""
    return {found.invariant for found in proof.breaks()} - {"guard"}


def found() -> list[str]:
    """What the seals show, a line for each break."""
    return [f"{b.subject}: {b.detail}" for b in seals.verify_seals().breaks]


def lines(path: str | Path) -> list[bytes]:
    """The lines of the file."""
    return Path(path).read_bytes().splitlines(keepends=True)
