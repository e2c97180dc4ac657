"""The same work on a small ledger and on one of millions of rows."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from tests.benchmarks import database, growing, ours

SMALL = 10_000
# Of the page of a statement; each wallet of the small ledger has as many.
PAGE = 50
# What the slower of two may take, as a multiple.
RATIO_MAX = 1.2
# Of the whole ledger, rows a second.
ROWS_MIN = {"verification": 500_000, "sealing": 200_000}
_REPEATS = 100
_ROUNDS = 15

Span = tuple[datetime, datetime]
Work = Callable[[Random, list[uuid.UUID], Span], None]


def measure(transactions: int, say: Callable[[str], None]) -> tuple[Any, list[str]]:
    """Return (a ledger of so many rows against a small one, what is wrong in it)."""
    template = "scale_empty"
    ours.prepare(template, growing.WALLETS)
    spans = {}
    for name, rows in (("scale_small", SMALL), ("scale_large", transactions)):
        started = time.perf_counter()
        spans[name] = growing.grow(name, template=template, transactions=rows)
        say(f"{name}: {rows:,} rows in {time.perf_counter() - started:.0f} s")
    results: dict[str, Any] = {"transactions": transactions, "costs": {}, "whole": {}}
    for title, work in _works().items():
        small, large = _interleaved(work, spans)
        ratio = statistics.median(b / a for a, b in zip(small, large, strict=True))
        results["costs"][title] = {
            "small_ms": statistics.median(small),
            "large_ms": statistics.median(large),
            "ratio": ratio,
        }
        say(f"{title}: {ratio:.2f} of what it was")
    broken = ours.breaks("scale_small")
    rows = _count("scale_large")
    for title, seconds in _whole(broken, say).items():
        results["whole"][title] = {
            "seconds": seconds,
            "rows_per_second": rows / seconds,
        }
        say(f"{title} of the whole ledger: {seconds:.1f} s")
    return results, broken


def _works() -> dict[str, Work]:
    from wallets import selectors, services
    from wallets.models import CreditWallet

    mark = uuid.uuid4().hex

    def post(random: Random, wallets: list[uuid.UUID], span: Span) -> None:
        source, target = random.sample(wallets, 2)
        legs = ours.legs_of(source, target, Decimal("0.01"))
        services.post(*legs, key=f"{random.getrandbits(64):x}:{mark}")

    def balance(random: Random, wallets: list[uuid.UUID], span: Span) -> None:
        CreditWallet.objects.get(pk=random.choice(wallets))

    def balance_at(random: Random, wallets: list[uuid.UUID], span: Span) -> None:
        at = span[0] + (span[1] - span[0]) * random.random()
        selectors.balance_at(wallet_id=random.choice(wallets), at=at)

    def page(random: Random, wallets: list[uuid.UUID], span: Span) -> None:
        rows = selectors.transactions_of(wallet_id=random.choice(wallets))[:PAGE]
        assert len(rows) == PAGE

    return {
        "post": post,
        "balance": balance,
        "balance at a past moment": balance_at,
        f"page of a statement, {PAGE} rows": page,
    }


def _interleaved(work: Work, spans: dict[str, Span]) -> list[list[float]]:
    """Return the milliseconds of the work on each ledger, round by round."""
    times: dict[str, list[float]] = {name: [] for name in spans}
    for number in range(_ROUNDS):
        for name, span in spans.items():
            database.use(name)
            wallets = ours.wallet_ids()
            random = Random(number)  # noqa: S311 - chooses wallets
            for _ in range(20):
                work(random, wallets, span)
            each = []
            for _ in range(_REPEATS):
                started = time.perf_counter()
                work(random, wallets, span)
                each.append((time.perf_counter() - started) * 1000)
            times[name].append(statistics.median(each))
    database.use("postgres")
    return list(times.values())


def _count(name: str) -> int:
    ((rows,),) = database.run(name, "SELECT count(*) FROM credit_transactions")
    return int(rows)


def _whole(broken: list[str], say: Callable[[str], None]) -> dict[str, float]:
    """Return the seconds that proving and sealing the whole large ledger take."""
    from django.test.utils import override_settings

    from wallets import seals

    started = time.perf_counter()

    def progress(title: str) -> None:
        # What begins now says when the one before was done.
        say(f"{time.perf_counter() - started:6.1f} s: {title}")

    broken += ours.breaks("scale_large", progress=progress)
    verified = time.perf_counter() - started
    database.use("scale_large")
    started = time.perf_counter()
    # A key of this run's own: nothing is kept.
    with override_settings(LEDGER_SEAL_KEY=uuid.uuid4().hex * 2, LEDGER_SEAL_FILE=""):
        seals.seal_ledger()
        sealed = time.perf_counter() - started
    database.use("postgres")
    return {"verification": verified, "sealing": sealed}
