"""The limit: what PostgreSQL does by itself, with no guards and no Python.

One PL/pgSQL function through pgbench locks two rows, updates both and inserts two rows
into bare tables. pgbench's default is the simple protocol, in which the server parses
the call anew each time: that is the "hand" of every ratio. With prepared statements it
is somewhat faster, and shown beside it.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from credits_project import postgres_programs
from tests.benchmarks import database

DATABASE = "hand"
WALLETS = 1000
BALANCE = 1_000_000
Protocol = Literal["simple", "prepared"]
PROTOCOLS: tuple[Protocol, ...] = ("simple", "prepared")
_SCHEMA = f"""
CREATE TABLE wallets (id int PRIMARY KEY, balance numeric(14,2) NOT NULL);
CREATE TABLE rows (
    id bigserial PRIMARY KEY,
    wallet_id int NOT NULL,
    amount numeric(14,2) NOT NULL,
    balance numeric(14,2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO wallets
SELECT number, {BALANCE} FROM generate_series(1, {WALLETS}) AS number;
CREATE FUNCTION transfer(source int, target int, amount numeric) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    source_balance numeric;
    target_balance numeric;
BEGIN
    PERFORM FROM wallets WHERE id IN (source, target) ORDER BY id FOR NO KEY UPDATE;
    UPDATE wallets SET balance = balance - amount WHERE id = source
        RETURNING balance INTO source_balance;
    UPDATE wallets SET balance = balance + amount WHERE id = target
        RETURNING balance INTO target_balance;
    INSERT INTO rows (wallet_id, amount, balance)
        VALUES (source, -amount, source_balance);
    INSERT INTO rows (wallet_id, amount, balance)
        VALUES (target, amount, target_balance);
END $$;
"""
# The target is another one than the source, as in every transfer.
_RANDOM = rf"""
\set source random(1, {WALLETS})
\set step random(1, {WALLETS - 1})
\set target (:source + :step - 1) % {WALLETS} + 1
SELECT transfer(:source, :target, 0.01);
"""
_HOT = rf"""
\set source random(2, {WALLETS})
SELECT transfer(:source, 1, 0.01);
"""


def prepare(name: str = DATABASE) -> None:
    """Make the bare tables in a new database."""
    database.create(name)
    database.run(name, _SCHEMA, "VACUUM ANALYZE")


def transfers_a_second(
    *, clients: int, seconds: int, hot: bool = False, protocol: Protocol = "simple"
) -> float:
    """Return how many transfers a second pgbench gets through."""
    with tempfile.NamedTemporaryFile("w", suffix=".pgbench") as script:
        script.write(_HOT if hot else _RANDOM)
        script.flush()
        done = subprocess.run(
            [
                str(_pgbench()),
                "--no-vacuum",
                f"--protocol={protocol}",
                f"--client={clients}",
                f"--jobs={min(clients, os.cpu_count() or 1)}",
                f"--time={seconds}",
                f"--file={script.name}",
                database.url(DATABASE),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert "number of failed transactions: 0 " in done.stdout, done.stdout
    return float(found[1])


def breaks(name: str = DATABASE, *, booked: int | None = None) -> list[str]:
    """Return what is wrong with the bare tables, after `booked` transfers if known."""
    ((drift, total, rows),) = database.run(
        name,
        f"SELECT sum(balance) - {WALLETS} * {BALANCE}, (SELECT sum(amount) FROM rows),"
        " (SELECT count(*) FROM rows) FROM wallets",
    )
    wrong = database.run(
        name,
        "SELECT id FROM wallets LEFT JOIN"
        " (SELECT wallet_id, sum(amount) AS total FROM rows GROUP BY 1) AS booked"
        f" ON wallet_id = id WHERE balance <> {BALANCE} + coalesce(total, 0)",
    )
    found = [f"{name}: wallet {wallet} is not what its rows say" for (wallet,) in wrong]
    if drift or total:
        found.append(f"{name}: {drift} too much, in rows of {total}")
    if booked is not None and rows != 2 * booked:
        found.append(f"{name}: {rows} rows of {booked} transfers")
    return found


def _pgbench() -> Path:
    me = pwd.getpwuid(os.geteuid())
    return postgres_programs.folder(run_by=me) / "bin" / "pgbench"
