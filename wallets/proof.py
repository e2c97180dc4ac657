"""The proof that the books are right: every invariant, checked in one place.

It serves the tests, `manage.py verify_ledger` and a periodic job. The ledger's own
checks are here; an app that keeps books beside it adds its checks with `register`, in
the `ready` of its configuration. Numbers like I03 name the invariants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from credits_project import timeouts
from wallets import guards, screening
from wallets.screening import INVARIANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One place where the books are wrong."""

    invariant: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """A transaction up to which the books are taken to be right, and when that was."""

    last_id: int
    moment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A query whose every row (subject, detail) is a break of the invariant.

    `since_sql` looks only at what was touched after transaction {last_id}, or at
    {moment}, and takes what was booked before as right. A check without one is quick
    enough to be made whole.
    """

    invariant: str
    title: str
    sql: str
    since_sql: str = ""


_LEDGER_CHECKS: Final = (
    Check(
        invariant="I01",
        title="the whole ledger adds up to zero",
        sql="""
        SELECT 'ledger', format('all transactions add up to %s', sum(amount))
        FROM credit_transactions HAVING sum(amount) <> 0
        """,
        # Whole transfers: a seal may end between the rows of one.
        since_sql="""
        SELECT 'ledger', format('transfers since the seal add up to %s', sum(amount))
        FROM credit_transactions WHERE transfer_id IN (
            SELECT transfer_id FROM credit_transactions WHERE id > {last_id}
        ) HAVING sum(amount) <> 0
        """,
    ),
    Check(
        invariant="I02",
        title="each transfer has two or more transactions that add up to zero",
        sql="""
        SELECT format('transfer %s', coalesce(transfer.id, legs.transfer_id)),
            format('%s rows that add up to %s', coalesce(legs.rows, 0), legs.total)
                || CASE WHEN transfer.id IS NULL THEN ', and no transfer' ELSE '' END
        FROM credit_transfers AS transfer FULL JOIN (
            SELECT transfer_id, count(*) AS rows, sum(amount) AS total
            FROM credit_transactions GROUP BY transfer_id
        ) AS legs ON legs.transfer_id = transfer.id
        WHERE transfer.id IS NULL
           OR legs.rows IS NULL OR legs.rows < 2 OR legs.total <> 0
        """,
        since_sql="""
        SELECT format('transfer %s', transfer_id),
            format('%s rows that add up to %s', count(*), sum(amount))
                || CASE WHEN transfer.id IS NULL THEN ', and no transfer' ELSE '' END
        FROM credit_transactions LEFT JOIN credit_transfers AS transfer
          ON transfer.id = transfer_id
        WHERE transfer_id IN (
            SELECT transfer_id FROM credit_transactions WHERE id > {last_id}
        )
        GROUP BY transfer_id, transfer.id
        HAVING transfer.id IS NULL OR count(*) < 2 OR sum(amount) <> 0
        UNION ALL
        SELECT format('transfer %s', id), 'no rows'
        FROM credit_transfers AS transfer
        WHERE created_at >= timestamptz '{moment}' AND NOT EXISTS (
            SELECT FROM credit_transactions WHERE transfer_id = transfer.id
        )
        """,
    ),
    Check(
        invariant="I03",
        title="each balance is the sum of its transactions",
        sql="""
        SELECT format('wallet %s', coalesce(wallet.id, booked.wallet_id)),
            format('balance %s and sequence %s, but %s in %s transactions',
                wallet.balance, wallet.sequence,
                coalesce(booked.total, 0), coalesce(booked.rows, 0))
        FROM credit_wallets AS wallet FULL JOIN (
            SELECT wallet_id, count(*) AS rows, sum(amount) AS total
            FROM credit_transactions GROUP BY wallet_id
        ) AS booked ON booked.wallet_id = wallet.id
        WHERE wallet.id IS NULL
           OR wallet.balance <> coalesce(booked.total, 0)
           OR wallet.sequence <> coalesce(booked.rows, 0)
        """,
        # The last row says the sum of them all, as long as the chain holds. Wallets
        # that say they changed are among them: their rows may be what is gone.
        since_sql="""
        SELECT format('wallet %s', touched.id),
            format('balance %s and sequence %s, but its last transaction is %s at %s',
                wallet.balance, wallet.sequence,
                coalesce(last.sequence, 0), coalesce(last.balance_after, 0))
        FROM (
            SELECT wallet_id AS id FROM credit_transactions WHERE id > {last_id}
            UNION
            SELECT id FROM credit_wallets WHERE updated_at >= timestamptz '{moment}'
        ) AS touched
        LEFT JOIN credit_wallets AS wallet ON wallet.id = touched.id
        LEFT JOIN LATERAL (
            SELECT sequence, balance_after FROM credit_transactions
            WHERE wallet_id = touched.id ORDER BY sequence DESC LIMIT 1
        ) AS last ON true
        WHERE wallet.balance IS DISTINCT FROM coalesce(last.balance_after, 0)
           OR wallet.sequence IS DISTINCT FROM coalesce(last.sequence, 0)
        """,
    ),
    Check(
        invariant="I04",
        title="each wallet's transactions are numbered without a gap and chained",
        sql="""
        SELECT format('wallet %s', wallet_id),
            format('transaction %s starts at %s, after %s at %s',
                sequence, balance_before, previous, previous_balance)
        FROM (
            SELECT wallet_id, sequence, amount, balance_before, balance_after,
                created_at,
                lag(sequence, 1, 0::bigint) OVER wallet AS previous,
                lag(balance_after, 1, 0.00) OVER wallet AS previous_balance,
                lag(created_at) OVER wallet AS previous_at
            FROM credit_transactions
            WINDOW wallet AS (PARTITION BY wallet_id ORDER BY sequence)
        ) AS chained
        WHERE sequence <> previous + 1
           OR balance_before <> previous_balance
           OR balance_after <> balance_before + amount
           OR created_at < previous_at
        """,
        since_sql="""
        SELECT format('wallet %s', wallet_id),
            format('transaction %s starts at %s, after %s at %s',
                sequence, balance_before, previous, previous_balance)
        FROM (
            SELECT after.*, coalesce(before.sequence, 0) AS previous,
                coalesce(before.balance_after, 0) AS previous_balance,
                before.created_at AS previous_at
            FROM credit_transactions AS after
            LEFT JOIN credit_transactions AS before
              ON before.wallet_id = after.wallet_id
             AND before.sequence = after.sequence - 1
            WHERE after.id > {last_id}
        ) AS chained
        WHERE sequence <> previous + 1
           OR balance_before <> previous_balance
           OR balance_after <> balance_before + amount
           OR created_at < previous_at
        """,
    ),
    Check(
        invariant="I05",
        title="no user owes credits, and what is held is there",
        sql="""
        SELECT format('wallet %s', id), format('balance %s, held %s', balance, held)
        FROM credit_wallets
        WHERE held < 0 OR (user_id IS NOT NULL AND (balance < 0 OR held > balance))
        """,
    ),
    Check(
        invariant="I12",
        title="what a wallet holds back is the sum of its open holds",
        sql="""
        SELECT format('wallet %s', wallet.id),
            format('held %s, but open holds of %s',
                wallet.held, coalesce(open.total, 0))
        FROM credit_wallets AS wallet LEFT JOIN (
            SELECT wallet_id, sum(amount) AS total FROM credit_holds
            WHERE released_at IS NULL GROUP BY wallet_id
        ) AS open ON open.wallet_id = wallet.id
        WHERE wallet.held <> coalesce(open.total, 0)
        """,
    ),
    Check(
        invariant="I15",
        title="a transfer is reversed at most once, by its exact opposite",
        sql="""
        SELECT DISTINCT format('transfer %s', reversal.id),
            'is not the opposite of what it reverses'
        FROM credit_transfers AS reversal CROSS JOIN LATERAL (
            SELECT FROM credit_transactions
            WHERE transfer_id IN (reversal.id, reversal.reverses_id)
            GROUP BY wallet_id HAVING sum(amount) <> 0 OR count(*) <> 2
        ) AS one_sided
        WHERE reversal.reverses_id IS NOT NULL
        UNION ALL
        SELECT format('transfer %s', reverses_id), format('reversed %s times', count(*))
        FROM credit_transfers WHERE reverses_id IS NOT NULL
        GROUP BY reverses_id HAVING count(*) > 1
        """,
        since_sql="""
        SELECT DISTINCT format('transfer %s', reversal.id),
            'is not the opposite of what it reverses'
        FROM credit_transfers AS reversal CROSS JOIN LATERAL (
            SELECT FROM credit_transactions
            WHERE transfer_id IN (reversal.id, reversal.reverses_id)
            GROUP BY wallet_id HAVING sum(amount) <> 0 OR count(*) <> 2
        ) AS one_sided
        WHERE reversal.reverses_id IS NOT NULL AND reversal.id IN (
            SELECT transfer_id FROM credit_transactions WHERE id > {last_id}
        )
        UNION ALL
        SELECT format('transfer %s', reverses_id), format('reversed %s times', count(*))
        FROM credit_transfers WHERE reverses_id IS NOT NULL
        GROUP BY reverses_id HAVING count(*) > 1
        """,
    ),
)
_SCREENED: Final = tuple(
    check for check in _LEDGER_CHECKS if check.invariant in INVARIANTS
)
_FIRST_TO_LAST: Final = f"{INVARIANTS[0]}-{INVARIANTS[-1]}"
_registered: list[Check] = []


def register(*checks: Check) -> None:
    """Add checks of another app to the proof; again is harmless."""
    _registered.extend(check for check in checks if check not in _registered)


def all_checks() -> list[Check]:
    """Return every check in the order of the invariants."""
    return sorted((*_LEDGER_CHECKS, *_registered), key=lambda check: check.invariant)


def breaks(
    *,
    since: Since | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Break]:
    """Return every place where the books or their guards are wrong.

    All checks look at one moment: a transaction that commits meanwhile is in all of
    them or in none. `progress` is told the title of each check as it starts. With
    `since`, checks that can look only at what was touched after it.
    """
    return list(_iterate(since, progress))


def _iterate(since: Since | None, progress: Callable[[str], None]) -> Iterator[Break]:
    with snapshot():
        screened = False
        if since is None:
            progress(f"{_FIRST_TO_LAST} transfers, sums and chains, in one pass")
            screened = screening.is_right()
        found: set[str] = set()
        for check in all_checks():
            if screened and check in _SCREENED:
                continue
            progress(f"{check.invariant} {check.title}")
            for wrong in _breaks_of(check, since):
                found.add(check.invariant)
                yield wrong
        if since is None and not screened and not found.intersection(INVARIANTS):
            yield Break(
                invariant=_FIRST_TO_LAST,
                subject="ledger",
                detail="the sums of all rows are wrong, and no row is",
            )
        progress("guards are there, enabled and unchanged")
        for subject, detail in guards.differences():
            yield Break(invariant="guard", subject=subject, detail=detail)


def _breaks_of(check: Check, since: Since | None) -> Iterator[Break]:
    with connection.cursor() as cursor:
        cursor.execute(_sql_of(check, since))
        for subject, detail in cursor.fetchall():
            yield Break(invariant=check.invariant, subject=subject, detail=detail)


def _sql_of(check: Check, since: Since | None) -> str:
    if since is None or not check.since_sql:
        return check.sql
    # Not parameters: the queries are full of format's own per cent signs.
    moment = datetime.fromisoformat(since.moment).isoformat()
    return check.since_sql.replace("{last_id}", f"{since.last_id:d}").replace(
        "{moment}", moment
    )


@contextmanager
def snapshot() -> Iterator[None]:
    """One snapshot for all queries; inside an open transaction, that transaction."""
    if connection.in_atomic_block:
        yield
        return
    # A whole ledger takes longer to read than a request may.
    with timeouts.lifted(connection), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # For queries that read everything once, as few others do.
            cursor.execute("SET LOCAL work_mem = '64MB'; SET LOCAL jit = off")
        yield
