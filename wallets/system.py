"""The system wallets: what stands in the ledger for the world outside."""

from __future__ import annotations

import uuid
from typing import Final, Literal

Family = Literal[
    "issued",
    "promotions",
    "adjustments",
    "opening",
    "withdrawals",
    "paid_out",
    "revenue",
]

# A family with parts has that many rows, named `issued:0`, `issued:1` …, so that people
# who buy or enroll at the same moment do not queue for one row. A movement and what
# undoes it use the same part, as both take it from the id of the same cause.
PARTS: Final[dict[Family, int]] = {
    "issued": 16,
    "promotions": 16,
    "adjustments": 1,
    "opening": 1,
    "withdrawals": 4,
    "paid_out": 4,
    "revenue": 16,
}
# Ids follow from the codes, so that no process has to look one up.
_NAMESPACE: Final = uuid.UUID("8f0e5b63-6c0b-5d2e-9a54-0f6f3a6f1c77")


def system_wallet_code(family: Family, *, cause: uuid.UUID | None = None) -> str:
    """Return the code of the family's wallet, or of the part that `cause` uses."""
    parts = PARTS[family]
    if parts == 1:
        return family
    assert cause is not None, f"{family} has parts: name the cause"
    return f"{family}:{cause.int % parts}"


def system_wallet_id(family: Family, *, cause: uuid.UUID | None = None) -> uuid.UUID:
    """Return the id of the family's wallet, or of the part that `cause` belongs to."""
    return id_of_code(system_wallet_code(family, cause=cause))


def id_of_code(code: str) -> uuid.UUID:
    """Return the id of the system wallet that has this code."""
    return uuid.uuid5(_NAMESPACE, code)


def family_codes(family: Family) -> list[str]:
    """Return the codes of all parts of a family."""
    parts = PARTS[family]
    return [family] if parts == 1 else [f"{family}:{part}" for part in range(parts)]


def all_codes() -> list[str]:
    """Return the codes of all system wallets."""
    return [code for family in PARTS for code in family_codes(family)]
