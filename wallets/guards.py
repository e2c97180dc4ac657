"""Are the database's guards there, enabled and unchanged, and is nothing beside them?

Whoever owns the database can drop or disable a trigger, or add one that undoes what it
does. They cannot do so unseen: what the catalog says is compared with the files
`guards.json` in the folders `sql`, which `make guards` wrote when the guards were made.
The ledger's tables are looked at, and those that an app names with `register`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.apps import AppConfig
from django.db import connection

_SQL: Final = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Tables that have guards, and the file that says which.

    `prefix` is what the names of the guards' functions begin with.
    """

    tables: tuple[str, ...]
    prefix: str
    expected: Path


LEDGER: Final = Guarded(
    tables=(
        "credit_wallets",
        "credit_transfers",
        "credit_transactions",
        "credit_holds",
        "credit_seals",
    ),
    prefix="ledger_",
    expected=_SQL / "guards.json",
)

ADJUSTMENTS: Final = Guarded(
    tables=("credit_adjustments",),
    prefix="wallets_",
    expected=_SQL / "adjustments.json",
)
_registered: list[Guarded] = [LEDGER, ADJUSTMENTS]


def register(app: AppConfig) -> None:
    """Have the guards of an app's tables looked at; again is harmless.

    Its functions have names that begin with the app's, and `sql/guards.json` in its
    folder says what there is.
    """
    guarded = Guarded(
        tables=tuple(model._meta.db_table for model in app.get_models()),
        prefix=f"{app.label}_",
        expected=Path(app.path) / "sql" / "guards.json",
    )
    if guarded not in _registered:
        _registered.append(guarded)


def all_guarded() -> list[Guarded]:
    """Return everything that is looked at."""
    return list(_registered)


# Definitions as PostgreSQL prints them differ between its versions, and after a dump
# and restore, in blanks and brackets and in where the casts of a condition stand: these
# are left out of the comparison.
_CAST: Final = re.compile(r"::[a-z]+( [a-z]+)*(\[\])?")
_CATALOG: Final = r"""
SELECT 'trigger ' || relation.relname || '.' || tgname,
    tgenabled::text || ' ' || pg_get_triggerdef(tg.oid) || ' ' || procedure.prosrc
FROM pg_trigger AS tg
JOIN pg_class AS relation ON relation.oid = tg.tgrelid
JOIN pg_proc AS procedure ON procedure.oid = tg.tgfoid
WHERE NOT tg.tgisinternal AND relation.relname = ANY (%(tables)s)
  AND relation.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint ' || relation.relname || '.' || conname,
    convalidated::text || ' ' || pg_get_constraintdef(con.oid)
FROM pg_constraint AS con
JOIN pg_class AS relation ON relation.oid = con.conrelid
WHERE con.contype IN ('c', 'u', 'p', 'f') AND relation.relname = ANY (%(tables)s)
  AND relation.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'table ' || relname, relpersistence::text
FROM pg_class
WHERE relkind IN ('r', 'p') AND relname = ANY (%(tables)s)
  AND relnamespace = 'public'::regnamespace
UNION ALL
-- A rule of uniqueness that has a condition is an index and no constraint.
SELECT 'index ' || relation.relname || '.' || index.relname,
    indisvalid::text || ' ' || pg_get_indexdef(indexrelid)
FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_class AS relation ON relation.oid = indrelid
WHERE indisunique AND relation.relname = ANY (%(tables)s)
  AND relation.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
UNION ALL
-- Without NOT NULL a check constraint lets NULL through.
SELECT 'column ' || relname || '.' || attname,
    format_type(atttypid, atttypmod) || ' not null ' || attnotnull::text
FROM pg_attribute JOIN pg_class AS relation ON relation.oid = attrelid
WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')
  AND relname = ANY (%(tables)s) AND relnamespace = 'public'::regnamespace
UNION ALL
-- A search path that is not pinned lets a guard look at somebody else's tables.
SELECT 'function ' || proname,
    coalesce(array_to_string(proconfig, ' '), '') || ' ' || prosecdef::text
        -- A trigger's is in the trigger's own line.
        || CASE WHEN prorettype = 'trigger'::regtype THEN '' ELSE prosrc END
FROM pg_proc
WHERE proname ^@ ANY (%(prefixes)s)
  AND pronamespace = 'public'::regnamespace
"""

# What may not be there at all.
_INTRUDERS: Final = """
WITH ledger AS (
    SELECT oid, relname, relrowsecurity OR relforcerowsecurity AS hides FROM pg_class
    WHERE relname = ANY (%(tables)s) AND relnamespace = 'public'::regnamespace
)
SELECT 'rule ' || relname || '.' || rulename, 'changes what statements do'
FROM pg_rewrite JOIN ledger ON ledger.oid = ev_class
UNION ALL
SELECT 'table ' || inhrelid::regclass::text, 'adds rows to ' || relname
FROM pg_inherits JOIN ledger ON ledger.oid = inhparent
UNION ALL
SELECT 'row security ' || relname, 'hides rows' FROM ledger WHERE hides
UNION ALL
-- A foreign key is held by triggers of PostgreSQL's own.
SELECT 'constraint ' || relname || '.' || conname, 'is switched off'
FROM pg_trigger JOIN ledger ON ledger.oid = tgrelid
JOIN pg_constraint ON pg_constraint.oid = tgconstraint
WHERE tgisinternal AND tgenabled <> 'O'
UNION ALL
-- What new sessions begin with: without triggers, or with other tables in front.
SELECT 'setting ' || split_part(setting, '=', 1),
    CASE WHEN setdatabase = 0 THEN 'is given to every database'
         ELSE 'is given to this database' END
FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setdatabase IN (
    SELECT oid FROM pg_database WHERE datname = current_database() UNION SELECT 0
)
  AND split_part(setting, '=', 1) IN ('session_replication_role', 'search_path')
"""


def describe(*which: Guarded) -> dict[str, str]:
    """Return a digest of each guard that the database has, by its name."""
    with connection.cursor() as cursor:
        cursor.execute(_CATALOG, _names(which))
        rows = cursor.fetchall()
    return {name: _digest(name, definition) for name, definition in sorted(rows)}


def differences() -> Iterator[tuple[str, str]]:
    """Yield (guard, what is wrong) for each that is not as made, or not ours at all."""
    expected: dict[str, str] = {}
    for guarded in _registered:
        expected |= json.loads(guarded.expected.read_text())
    found = describe(*_registered)
    for name, digest in expected.items():
        if name not in found:
            yield name, "is missing"
        elif found[name] != digest:
            yield name, "is disabled or changed"
    for name in sorted(found.keys() - expected.keys()):
        yield name, "is not one of the guards"
    with connection.cursor() as cursor:
        cursor.execute(_INTRUDERS, _names(_registered))
        yield from sorted(set(cursor.fetchall()))


def _names(which: Iterable[Guarded]) -> dict[str, list[str]]:
    return {
        "tables": [table for guarded in which for table in guarded.tables],
        "prefixes": [guarded.prefix for guarded in which],
    }


def _digest(name: str, definition: str) -> str:
    if name.startswith(("constraint ", "index ")):
        definition = _CAST.sub("", definition)
    bare = "".join(definition.split()).replace("(", "").replace(")", "")
    return hashlib.sha256(bare.encode()).hexdigest()
