"""Are the database's guards there, enabled and unchanged, and is nothing beside them?

Whoever owns the database can drop or disable a trigger, or add one that undoes what it
does. They cannot do so unseen: what the catalog says is compared with
`wallets/sql/guards.json`, which `describe` wrote when the guards were made.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.db import connection

_EXPECTED: Final = Path(__file__).parent / "sql" / "guards.json"

TABLES: Final = [
    "credit_wallets",
    "credit_transfers",
    "credit_transactions",
    "credit_holds",
    "credit_seals",
]

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
FROM pg_proc
WHERE proname LIKE 'ledger\_%%' AND pronamespace = 'public'::regnamespace
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


def describe() -> dict[str, str]:
    """Return a digest of each guard that the database has, by its name."""
    with connection.cursor() as cursor:
        cursor.execute(_CATALOG, {"tables": TABLES})
        rows = cursor.fetchall()
    return {name: _digest(name, definition) for name, definition in sorted(rows)}


def differences() -> Iterator[tuple[str, str]]:
    """Yield (guard, what is wrong) for each that is not as made, or not ours at all."""
    expected: dict[str, str] = json.loads(_EXPECTED.read_text())
    found = describe()
    for name, digest in expected.items():
        if name not in found:
            yield name, "is missing"
        elif found[name] != digest:
            yield name, "is disabled or changed"
    for name in sorted(found.keys() - expected.keys()):
        yield name, "is not one of the ledger's"
    with connection.cursor() as cursor:
        cursor.execute(_INTRUDERS, {"tables": TABLES})
        yield from sorted(set(cursor.fetchall()))


def _digest(name: str, definition: str) -> str:
    if name.startswith(("constraint ", "index ")):
        definition = _CAST.sub("", definition)
    bare = "".join(definition.split()).replace("(", "").replace(")", "")
    return hashlib.sha256(bare.encode()).hexdigest()
