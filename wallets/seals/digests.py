"""What a seal is made of, and its digests."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, Self

from django.conf import settings
from django.db import connection

from wallets.models import CreditSeal
from wallets.seals.exceptions import SealKeyUnusable

FIRST: Final = "0" * 64
KEY_LENGTH_MIN: Final = 32

# Rows as PostgreSQL's COPY writes them, in an order that the rows themselves give. A
# column that is added to a table is not in here, so that earlier seals still fit.
_TRANSACTIONS: Final = """
SELECT id, transfer_id, wallet_id, sequence, transaction_type,
    amount, balance_before, balance_after, created_at
FROM credit_transactions WHERE {range} ORDER BY id
"""
# Looked up one by one in the order of their index. Left to itself the planner reads the
# whole table for each seal, which took five times as long at 250,000 transfers already.
# OFFSET 0 keeps it from turning this into such a join.
_TRANSFERS: Final = """
SELECT transfer.* FROM (
    SELECT DISTINCT transfer_id AS id FROM credit_transactions
    WHERE {range} ORDER BY transfer_id
) AS of, LATERAL (
    SELECT id, key, description, actor_id, reverses_id, metadata, created_at
    FROM credit_transfers WHERE credit_transfers.id = of.id OFFSET 0
) AS transfer ORDER BY of.id
"""
_WALLETS: Final = """
SELECT wallet.* FROM (
    SELECT DISTINCT wallet_id AS id FROM credit_transactions
    WHERE {range} ORDER BY wallet_id
) AS of, LATERAL (
    SELECT id, user_id, code, created_at
    FROM credit_wallets WHERE credit_wallets.id = of.id OFFSET 0
) AS wallet ORDER BY of.id
"""
PARTS: Final = {
    "transactions": _TRANSACTIONS,
    "transfers": _TRANSFERS,
    "wallets": _WALLETS,
}

# How values are printed must not depend on the role or the server. The other settings
# keep the plan of a range that is small beside the table, and let it take its time.
_READING: Final = """
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL enable_seqscan = off;
SET LOCAL jit = off;
SET LOCAL statement_timeout = 0;
"""
_NUMBERS: Final = ("number", "after_id", "last_id", *PARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal, as it is in the table and in a line of the file."""

    number: int
    after_id: int
    last_id: int
    transactions: int
    transfers: int
    wallets: int
    transactions_digest: str
    transfers_digest: str
    wallets_digest: str
    previous_digest: str
    # In UTC, with microseconds.
    sealed_at: str
    digest: str = ""

    @classmethod
    def of_row(cls, row: CreditSeal) -> Self:
        """Return the seal that a row of the table says."""
        facts = {field.name: getattr(row, field.name) for field in fields(cls)}
        return cls(**{**facts, "sealed_at": printed_time(row.sealed_at)})

    @classmethod
    def of_line(cls, line: bytes) -> Self | None:
        """Return the seal that a line of the file says, or None where it says none."""
        try:
            facts = json.loads(line)
            seal = cls(**facts)
        except (ValueError, TypeError, RecursionError):
            return None
        numbers = all(type(facts[name]) is int for name in _NUMBERS)
        # Byte for byte: a line that says the same in another way was not written here.
        return seal if numbers and seal.line() == line else None

    def line(self) -> bytes:
        """Return the line of the file, without its end."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    def signed(self, key: bytes) -> str:
        """Return the digest that the seal must have."""
        facts = {**asdict(self), "digest": ""}
        text = json.dumps(facts, sort_keys=True).encode()
        return hmac.digest(key, b"credits seal 1\n" + text, "sha256").hex()

    def is_genuine(self, key: bytes) -> bool:
        """Return whether the seal was made with the key and not altered since."""
        return hmac.compare_digest(self.digest.encode(), self.signed(key).encode())

    def facts(self) -> dict[str, Any]:
        """Return the columns of the seal's row."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """How many rows there are, and their digest in hex."""

    count: int
    digest: str


def seal_key() -> bytes:
    """Return the key from the settings.

    Raises:
        SealKeyUnusable: there is none, or it is too short to keep anyone out.
    """
    key = settings.LEDGER_SEAL_KEY
    if not key:
        raise SealKeyUnusable("LEDGER_SEAL_KEY is not set.")
    if len(key) < KEY_LENGTH_MIN:
        raise SealKeyUnusable(
            f"LEDGER_SEAL_KEY has fewer than {KEY_LENGTH_MIN} characters."
        )
    return bytes(key.encode())


def printed_time(moment: datetime) -> str:
    """Return the time as seals write it."""
    return moment.isoformat(timespec="microseconds")


def prepare_to_read() -> None:
    """Let rows be read as digests need them, until the open transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_READING)


def digest_of(
    part: str, *, key: bytes, number: int, after_id: int, last_id: int
) -> Digest:
    """Return the digest of one part of what a seal covers, as it is now."""
    # Below the first seal there is nothing: it covers any id up to its last, so that
    # nothing can be slipped in at 0 or below.
    covered = f"id <= {last_id:d}"
    if number > 1:
        covered += f" AND id > {after_id:d}"
    mac = hmac.new(key, f"credits seal 1 {part}\n".encode(), "sha256")
    count = 0
    sql = PARTS[part].replace("{range}", covered)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({sql}) TO STDOUT WITH (ENCODING 'UTF8')") as rows,
    ):
        # The protocol sends one message for each row.
        for row in rows:
            mac.update(row)
            count += 1
    return Digest(count=count, digest=mac.hexdigest())
