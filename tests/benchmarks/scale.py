"""The same work on a small ledger and on one of millions of rows.

The large one is made in SQL with the insert guards switched off, as posting it would
take an hour; the proof then shows that it is a ledger like any other.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tests.benchmarks import database, posting

SMALL = "scale_small"
LARGE = "scale_large"
_REPEATS = 300
_ROUNDS = 5

# Transfer number n goes from one wallet to another; each side's number in its wallet
# and its balance follow from the numbers before.
_GROW = """
WITH people AS (
    SELECT id, row_number() OVER (ORDER BY user_id) - 1 AS place,
        count(*) OVER () AS many, balance, sequence, updated_at
    FROM credit_wallets WHERE user_id IS NOT NULL
), made AS (
    INSERT INTO credit_transfers (id, key, description, metadata, created_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid,
        'scale:' || number, '', '{}',
        (SELECT max(updated_at) FROM people) + number * interval '1 microsecond'
    FROM generate_series(1, %(transfers)s) AS number
    RETURNING id, substr(key, 7)::bigint AS number, created_at
), legs AS (
    SELECT made.*, side.amount, people.id AS wallet_id, people.balance AS start,
        people.sequence AS last
    FROM made
    CROSS JOIN (VALUES (0, -0.01), (1, 0.01)) AS side (step, amount)
    JOIN people ON people.place
        = (made.number * 7 + side.step * (1 + made.number %% 97)) %% people.many
)
INSERT INTO credit_transactions
    (transfer_id, wallet_id, sequence, transaction_type,
     amount, balance_before, balance_after, created_at)
SELECT id, wallet_id, last + row_number() OVER earlier, 'transfer', amount,
    start + sum(amount) OVER earlier - amount, start + sum(amount) OVER earlier,
    created_at
FROM legs
WINDOW earlier AS (PARTITION BY wallet_id ORDER BY number)
ORDER BY number
"""
_FOLLOW = """
UPDATE credit_wallets AS wallet
SET balance = last.balance_after, sequence = last.sequence, updated_at = last.created_at
FROM (
    SELECT DISTINCT ON (wallet_id) wallet_id, sequence, balance_after, created_at
    FROM credit_transactions ORDER BY wallet_id, sequence DESC
) AS last
WHERE wallet.id = last.wallet_id AND wallet.sequence <> last.sequence
"""


def measure(transactions: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Compare a ledger of `transactions` rows with one of ten thousand."""
    _grow(SMALL, 10_000, say)
    _grow(LARGE, transactions, say)
    results: dict[str, Any] = {"transactions": transactions}
    for name, work in _works().items():
        small, large = _interleaved(work)
        results[name] = {
            "small_ms": small,
            "large_ms": large,
            "ratio": large / small,
        }
    for name, seconds in _whole(say).items():
        results[name] = {"seconds": seconds, "rows_per_second": transactions / seconds}
    return results


def _grow(name: str, transactions: int, say: Callable[[str], None]) -> None:
    import psycopg

    started = time.perf_counter()
    database.use("postgres")
    database.create(name, template="ledger_empty")
    with psycopg.connect(database.url(name)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET work_mem = '512MB'")
        connection.execute(_GROW, {"transfers": transactions // 2})
        connection.execute(_FOLLOW)
    database.run(name, "VACUUM ANALYZE")
    say(f"{name}: {transactions:,} rows in {time.perf_counter() - started:.0f} s")


def _works() -> dict[str, Callable[[Random, list[uuid.UUID]], None]]:
    from django.utils import timezone

    from wallets import selectors, services
    from wallets.models import CreditWallet

    mark = uuid.uuid4().hex

    def post(random: Random, wallets: list[uuid.UUID]) -> None:
        source, target = random.sample(wallets, 2)
        legs = posting.legs_of(source, target, Decimal("0.01"))
        services.post(*legs, key=f"{mark}:{random.getrandbits(64)}")

    def balance(random: Random, wallets: list[uuid.UUID]) -> None:
        CreditWallet.objects.get(pk=random.choice(wallets))

    def balance_at(random: Random, wallets: list[uuid.UUID]) -> None:
        at = timezone.now() - timedelta(seconds=random.random() * 3)
        selectors.balance_at(wallet_id=random.choice(wallets), at=at)

    def page(random: Random, wallets: list[uuid.UUID]) -> None:
        # As many as every wallet of the small ledger has.
        list(selectors.transactions_of(wallet_id=random.choice(wallets))[:10])

    return {
        "post": post,
        "balance": balance,
        "balance at a past moment": balance_at,
        "page of a statement": page,
    }


def _interleaved(
    work: Callable[[Random, list[uuid.UUID]], None],
) -> tuple[float, float]:
    """Return the median milliseconds of the work on the small and the large ledger."""
    from wallets.models import CreditWallet

    times: dict[str, list[float]] = {SMALL: [], LARGE: []}
    for number in range(_ROUNDS):
        for name, rounds in times.items():
            database.use(name)
            users = CreditWallet.objects.of_users().order_by("pk")
            wallets = list(users.values_list("pk", flat=True))
            random = Random(number)  # noqa: S311 - chooses wallets
            for _ in range(20):
                work(random, wallets)
            each = []
            for _ in range(_REPEATS):
                started = time.perf_counter()
                work(random, wallets)
                each.append((time.perf_counter() - started) * 1000)
            rounds.append(statistics.median(each))
    return statistics.median(times[SMALL]), statistics.median(times[LARGE])


def _whole(say: Callable[[str], None]) -> dict[str, float]:
    """Return the seconds that proving and sealing the whole large ledger take."""
    from django.test.utils import override_settings

    from wallets import proof, seals

    database.use(LARGE)
    started = time.perf_counter()
    found = proof.breaks()
    verified = time.perf_counter() - started
    assert found == [], found[:5]
    say(f"the large ledger is sound: {verified:.1f} s")
    started = time.perf_counter()
    # A key of this run's own: nothing is kept.
    with override_settings(LEDGER_SEAL_KEY=uuid.uuid4().hex * 2, LEDGER_SEAL_FILE=""):
        seals.seal_ledger()
        sealed = time.perf_counter() - started
    say(f"the large ledger is sealed: {sealed:.1f} s")
    return {"verification": verified, "sealing": sealed}
