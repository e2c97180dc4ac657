"""Are the database's guards there, enabled and unchanged?

Whoever owns the database can drop or disable a trigger. They cannot do so unseen: what
the catalog says is compared with `wallets/sql/guards.json`, which `describe` wrote when
the guards were made.
"""

from __future__ import annotations

import hashlib
import json
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
]

# Definitions as PostgreSQL prints them differ between its versions only in blanks and
# brackets, which are left out of the comparison.
_CATALOG: Final = """
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
"""


def describe() -> dict[str, str]:
    """Return a digest of each guard that the database has, by its name."""
    with connection.cursor() as cursor:
        cursor.execute(_CATALOG, {"tables": TABLES})
        rows = cursor.fetchall()
    return {name: _digest(definition) for name, definition in sorted(rows)}


def differences() -> Iterator[tuple[str, str]]:
    """Yield (guard, what is wrong) for each guard that is not as it was made."""
    expected: dict[str, str] = json.loads(_EXPECTED.read_text())
    found = describe()
    for name, digest in expected.items():
        if name not in found:
            yield name, "is missing"
        elif found[name] != digest:
            yield name, "is disabled or changed"


def _digest(definition: str) -> str:
    bare = "".join(definition.split()).replace("(", "").replace(")", "")
    return hashlib.sha256(bare.encode()).hexdigest()
