"""Appending seals."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from credits_project import timeouts
from wallets.models import CreditSeal
from wallets.seals.digests import (
    FIRST,
    PARTS,
    Seal,
    digest_of,
    prepare_to_read,
    printed_time,
    seal_key,
)
from wallets.seals.exceptions import SealChainBroken, SealError, SealingInProgress
from wallets.seals.file import SealFile, opened

# A seal covers at most so many transactions: where one does not fit, that is how far
# the search is narrowed down. Fewer cost more queries for as many rows.
TRANSACTIONS_MAX: Final = 50_000
# How long transactions that were open at the beginning are waited for.
WAIT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.02
# Of PostgreSQL's advisory locks, the sealers'.
_LOCK: Final = 0x5EA1

_BOUND: Final = """
SELECT least(max(id), pg_sequence_last_value(
    -- A row that was given an id by hand must not carry the seals past those to come.
    pg_get_serial_sequence('credit_transactions', 'id')::regclass
)) FROM credit_transactions
"""
_WRITERS: Final = """
SELECT pid, virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'credit_transactions'::regclass
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND mode = 'RowExclusiveLock' AND granted
  AND pid IS DISTINCT FROM pg_backend_pid()
"""
_END: Final = """
SELECT id FROM credit_transactions WHERE id > %s AND id <= %s
ORDER BY id OFFSET %s LIMIT 1
"""

Progress = Callable[[str], None]


def seal_ledger(
    *,
    complete_file: bool = False,
    transactions_max: int = TRANSACTIONS_MAX,
    progress: Progress = lambda line: None,
) -> list[Seal]:
    """Seal what was posted since the last seal. Return the new seals, perhaps none.

    Args:
        complete_file: write all seals that the file lacks, as where it is a new one.
        transactions_max: how many transactions one seal covers; more need more seals.

    Raises:
        SealKeyUnusable: the settings have no key to seal with.
        SealingInProgress: another process is sealing.
        SealChainBroken: the last seal is of another key, or the file disagrees.
        SealError: a transaction stays open, or the file cannot be written.
    """
    key = seal_key()
    bound = settled_bound(progress=progress)
    seals: list[Seal] = []
    while True:
        with ExitStack() as until_written:
            seal = _seal_next(
                key=key,
                bound=bound,
                complete_file=complete_file,
                transactions_max=transactions_max,
                until_written=until_written,
            )
        if seal is None:
            return seals
        seals.append(seal)
        progress(f"sealed transactions {seal.after_id + 1} to {seal.last_id}")


def last_seal() -> Seal | None:
    """Return the table's last seal."""
    row = CreditSeal.objects.order_by("number").last()
    return None if row is None else Seal.of_row(row)


def settled_bound(*, progress: Progress = lambda line: None) -> int:
    """Return an id up to which every transaction that will ever be there is there.

    Raises:
        SealError: a transaction has been open for too long.
    """
    # Ids are drawn in order and committed in any: below the highest that can be seen
    # some may be on their way. Each of those was drawn earlier than the highest, by an
    # INSERT that had locked the table before it drew, and that keeps the lock until its
    # transaction ends. So whoever may still commit a lower id is among those that hold
    # the lock now, and what they commit is visible before their lock is gone. Waiting
    # for them alone, as CREATE INDEX CONCURRENTLY does, keeps no posting waiting; LOCK
    # TABLE would keep all of them, and may not be used by a role that can only insert.
    with connection.cursor() as cursor:
        cursor.execute(_BOUND)
        bound = cursor.fetchone()[0] or 0
        cursor.execute(_WRITERS)
        writers = set(cursor.fetchall())
        deadline = time.monotonic() + WAIT_SECONDS
        while writers:
            progress(f"waiting for {len(writers)} open transaction(s)")
            if time.monotonic() > deadline:
                raise SealError(
                    "Nothing was sealed: a posting has been open for"
                    f" {WAIT_SECONDS:.0f} seconds, by process {min(writers)[0]}."
                )
            time.sleep(_POLL_SECONDS)
            cursor.execute(_WRITERS)
            writers &= set(cursor.fetchall())
    return int(bound)


def _seal_next(
    *,
    key: bytes,
    bound: int,
    complete_file: bool,
    transactions_max: int,
    until_written: ExitStack,
) -> Seal | None:
    """Append one seal to table and file, and bring the file up to the table."""
    file: SealFile | None = None
    with timeouts.lifted(connection), transaction.atomic(durable=True):
        _lock_others_out()
        last = last_seal()
        if last is not None:
            _assert_genuine(last, key)
        seal = _made(after=last, bound=bound, key=key, at_most=transactions_max)
        if settings.LEDGER_SEAL_FILE:
            # Locked from before the commit until the line is written, so that nobody
            # who compares the two sees one without the other.
            file = until_written.enter_context(opened(settings.LEDGER_SEAL_FILE))
            file.follow(
                last, complete=complete_file, seals_after=partial(_seals_after, key=key)
            )
        if seal is not None:
            CreditSeal.objects.create(**seal.facts())
    # After the commit: a line for a seal that was never committed could not be told
    # from a seal that was cut out of the table. The other way round the next sealer
    # finds the seal in the table, checks it by the key and writes its line.
    if seal is not None and file is not None:
        file.append(seal)
    return seal


def _lock_others_out() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            raise SealingInProgress("Another process is sealing the ledger.")


def _made(*, after: Seal | None, bound: int, key: bytes, at_most: int) -> Seal | None:
    """Return the seal over what follows `after`, or None where nothing does."""
    number, after_id = (after.number + 1, after.last_id) if after else (1, 0)
    with connection.cursor() as cursor:
        cursor.execute(_END, [after_id, bound, at_most - 1])
        end = cursor.fetchone()
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
    last_id = end[0] if end else bound
    if last_id <= after_id:
        return None
    prepare_to_read()
    transactions, transfers, wallets = (
        digest_of(part, key=key, number=number, after_id=after_id, last_id=last_id)
        for part in PARTS
    )
    seal = Seal(
        number=number,
        after_id=after_id,
        last_id=last_id,
        transactions=transactions.count,
        transfers=transfers.count,
        wallets=wallets.count,
        transactions_digest=transactions.digest,
        transfers_digest=transfers.digest,
        wallets_digest=wallets.digest,
        previous_digest=after.digest if after else FIRST,
        sealed_at=printed_time(now),
    )
    return replace(seal, digest=seal.signed(key))


def _seals_after(number: int, *, key: bytes) -> list[Seal]:
    rows = CreditSeal.objects.filter(number__gt=number).order_by("number")
    seals = [Seal.of_row(row) for row in rows]
    for seal in seals:
        _assert_genuine(seal, key)
    return seals


def _assert_genuine(seal: Seal, key: bytes) -> None:
    if not seal.is_genuine(key):
        raise SealChainBroken(
            f"Seal {seal.number} was not made with this LEDGER_SEAL_KEY, or was"
            " altered. Nothing was sealed: see verify_ledger --seals."
        )
