"""What each guard costs: the server's processor time of a transfer with and without it.

Which guards there are is read from the catalog. Unique constraints are not among them:
their indexes are what postings find rows by, so that without them everything is slower.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from tests.benchmarks import database
from tests.benchmarks.workers import Stable

UNGUARDED = "all of them together"
_ALL = "with all"
_TABLES = ("credit_wallets", "credit_transfers", "credit_transactions")
# A posting updates wallets and inserts into the two others: bits of pg_trigger.tgtype.
_TRIGGERS = f"""
SELECT relname, tgname,
    tgtype & CASE relname WHEN 'credit_wallets' THEN 16 ELSE 4 END <> 0 AS fires
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND relname IN {_TABLES} ORDER BY relname, tgname
"""
_CONSTRAINTS = f"""
SELECT relname, conname,
    CASE contype WHEN 'c' THEN 'check constraints' ELSE 'foreign keys' END AS kind
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
WHERE contype IN ('c', 'f') AND relname IN {_TABLES} ORDER BY relname, conname
"""


def unguarded(template: str) -> str:
    """Make a copy of a ledger without any guard, and return its name."""
    database.create("unguarded", template=template)
    database.run("unguarded", *without(template)[UNGUARDED])
    return "unguarded"


def prices(
    our: Stable,
    *,
    template: str,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return what each guard costs a transfer, in milliseconds of the server."""
    variants = {_ALL: [], **without(template)}
    for number, statements in enumerate(variants.values()):
        database.create(f"guards_{number}", template=template)
        database.run(f"guards_{number}", *statements)
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds):
        for number, name in enumerate(variants):
            speed = our.measure(
                "ours.random",
                database=f"guards_{number}",
                processes=1,
                seconds=seconds,
            )
            costs[name].append(speed.server_ms)
            say(f"round {turn + 1}: {name}: {speed.server_ms:.3f} ms")
    dear = costs.pop(_ALL)
    return {
        "with_all_ms": statistics.median(dear),
        "without_any_ms": statistics.median(costs[UNGUARDED]),
        # Of each round the difference: both saw the same minute.
        "price_ms": {
            name: statistics.median(
                with_it - without for with_it, without in zip(dear, cheap, strict=True)
            )
            for name, cheap in costs.items()
        },
    }


def without(template: str) -> dict[str, list[str]]:
    """Return the statements that take each guard of a ledger away, and all of them."""
    variants: dict[str, list[str]] = {}
    for table, trigger, fires in database.run(template, _TRIGGERS):
        name = trigger if fires else "triggers that a posting does not fire"
        variants.setdefault(name, []).append(
            f"ALTER TABLE {table} DISABLE TRIGGER {trigger}"
        )
    for table, constraint, kind in database.run(template, _CONSTRAINTS):
        variants.setdefault(f"{kind} of {table}", []).append(
            f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}"'
        )
    everything = [statement for some in variants.values() for statement in some]
    return {**variants, UNGUARDED: everything}
