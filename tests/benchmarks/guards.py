"""What each guard costs: a transfer's processor time on the server without it."""

from __future__ import annotations

import statistics

from tests.benchmarks import database, posting

_TABLES = ("credit_wallets", "credit_transfers", "credit_transactions")
_ROUNDS = 3
_SECONDS = 2.0


def prices() -> dict[str, float]:
    """Return the server's milliseconds for a transfer, by what guards it."""
    variants = {
        "all guards": [],
        "without ledger_check_transactions": [
            "ALTER TABLE credit_transactions DISABLE TRIGGER ledger_check_transactions"
        ],
        "without ledger_check_transfers": [
            "ALTER TABLE credit_transfers DISABLE TRIGGER ledger_check_transfers"
        ],
        "without ledger_check_wallets": [
            "ALTER TABLE credit_wallets DISABLE TRIGGER ledger_check_wallets"
        ],
        "without check constraints": _constraints("c"),
        "without foreign keys": _constraints("f"),
        "without any trigger": [
            f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in _TABLES
        ],
    }
    for number, statements in enumerate(variants.values()):
        database.use("postgres")
        database.create(f"guards_{number}", template="ledger")
        database.run(f"guards_{number}", *statements)
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(_ROUNDS):
        for number, name in enumerate(variants):
            database.use(f"guards_{number}")
            speed = posting.measure("random", processes=1, seconds=_SECONDS)
            costs[name].append(speed.server_ms)
    return {name: statistics.median(rounds) for name, rounds in costs.items()}


def _constraints(kind: str) -> list[str]:
    rows = database.run(
        "ledger",
        "SELECT conrelid::regclass, conname FROM pg_constraint"
        f" WHERE contype = '{kind}' AND conrelid::regclass::text"
        f" IN {_TABLES!r}",
    )
    return [f'ALTER TABLE {table} DROP CONSTRAINT "{name}"' for table, name in rows]
