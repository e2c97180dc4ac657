"""The limit: what PostgreSQL does by itself, with no guards and no Python.

One PL/pgSQL function through pgbench locks two rows, updates both and inserts two rows
into bare tables.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import tempfile
from pathlib import Path

from credits_project import postgres_programs
from tests.benchmarks import database

WALLETS = 1000
_SCHEMA = """
CREATE TABLE wallets (id int PRIMARY KEY, balance numeric(14,2) NOT NULL);
CREATE TABLE rows (
    id bigserial PRIMARY KEY,
    wallet_id int NOT NULL,
    amount numeric(14,2) NOT NULL,
    balance numeric(14,2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO wallets SELECT number, 1000000 FROM generate_series(1, 1000) AS number;
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
_RANDOM = r"""
\set source random(1, 1000)
\set step random(1, 999)
\set target (:source + :step - 1) % 1000 + 1
SELECT transfer(:source, :target, 1.00);
"""
_HOT = r"""
\set source random(2, 1000)
SELECT transfer(:source, 1, 1.00);
"""


def prepare() -> None:
    """Make the bare tables, in the database `hand`."""
    database.create("hand")
    database.run("hand", _SCHEMA, "VACUUM ANALYZE")


def transfers_a_second(*, clients: int, seconds: int, hot: bool = False) -> float:
    """Return how many transfers a second pgbench gets through."""
    with tempfile.NamedTemporaryFile("w", suffix=".pgbench") as script:
        script.write(_HOT if hot else _RANDOM)
        script.flush()
        done = subprocess.run(
            [
                str(_pgbench()),
                "--no-vacuum",
                "--protocol=prepared",
                f"--client={clients}",
                f"--jobs={min(clients, os.cpu_count() or 1)}",
                f"--time={seconds}",
                f"--file={script.name}",
                database.url("hand"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert "number of failed transactions: 0 " in done.stdout, done.stdout
    _check()
    return float(found[1])


def _check() -> None:
    drift = database.run(
        "hand",
        "SELECT sum(balance) - 1000 * 1000000, (SELECT sum(amount) FROM rows)"
        " FROM wallets",
    )
    assert drift == [(0, 0)], drift


def _pgbench() -> Path:
    me = pwd.getpwuid(os.geteuid())
    return postgres_programs.folder(run_by=me) / "bin" / "pgbench"
