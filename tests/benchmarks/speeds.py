"""How fast everybody is: rounds in which all take turns, and ratios to hand.

A ratio is the median of those of the rounds, in which both saw the same minute.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.benchmarks import hand, ours
from tests.benchmarks.books import BARE, HORDAK
from tests.benchmarks.workers import PEERS, Speed, Stable, prepare

HAND, HAND_ONE = "hand, 8 clients", "hand, 1 client"
HAND_HOT = "hand, 8 clients, one hot row"
POST, POST_ONE = "post, 8 processes", "post, 1 process"
POST_HOT = "post, 8 processes, one hot wallet"
PURCHASES = "purchases, 8 processes"
FLOOR = "only the statements of post, libpq"
FLOOR_HOT = "only the statements of post, libpq, one hot wallet"
MANY = {
    of: f"post_many of {ours.MANY:,}, {of} process{'es' if of > 1 else ''}"
    for of in (1, 2, 4)
}
PEER_HORDAK = "django-hordak, lock and check"
# (figure, contestant, database, which of hand's figures is its limit)
PEERS_AT_WORK = (
    (PEER_HORDAK, "hordak_accounts.random", HORDAK, HAND),
    ("Django's ORM, naive", "bare.naive", BARE, HAND),
    ("Django's ORM, tuned", "bare.tuned", BARE, HAND),
    ("SQL through Django", "bare.sql", BARE, HAND),
    ("SQL through Django, prepared", "bare.prepared", BARE, HAND),
    ("psycopg, prepared", "bare.psycopg", BARE, HAND),
    ("psycopg, two round trips", "bare.short", BARE, HAND),
    ("libpq from Python, two round trips", "bare.libpq", BARE, HAND),
    ("Django's ORM, tuned, hot row", "bare.tuned_hot", BARE, HAND_HOT),
    ("SQL through Django, prepared, hot row", "bare.prepared_hot", BARE, HAND_HOT),
    ("libpq from Python, hot row", "bare.libpq_hot", BARE, HAND_HOT),
)


@dataclass(kw_only=True)
class Figure:
    """One measured thing: its rounds, and which figure it is compared with."""

    name: str
    measure: Callable[[], float | Speed]
    limit: str | None = None
    rounds: list[float] = field(default_factory=list)
    costs: list[Speed] = field(default_factory=list)

    def run(self) -> float:
        """Measure once more, and return how many transfers a second it was."""
        found = self.measure()
        if isinstance(found, Speed):
            self.costs.append(found)
            found = found.per_second
        self.rounds.append(found)
        return found


def set_up() -> None:
    """Make every contestant's database."""
    hand.prepare()
    hand.prepare(BARE)
    prepare(PEERS, "hordak_accounts", HORDAK)
    ours.prepare(ours.LEDGER)


def measure(
    our: Stable,
    peers: Stable,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Let all take turns, and return each one's figures by its name."""
    figures = [*_limits(seconds), *_ours(our, seconds), *_peers(peers, seconds)]
    for number in range(rounds):
        for figure in figures:
            say(f"round {number + 1}: {figure.name}: {figure.run():,.0f}/s")
    return {figure.name: _results(figure, figures) for figure in figures}


def _limits(seconds: float) -> list[Figure]:
    return [
        Figure(
            name=name + (", prepared" if protocol == "prepared" else ""),
            limit=name if protocol == "prepared" else None,
            measure=partial(
                hand.transfers_a_second,
                clients=clients,
                seconds=max(1, round(seconds)),
                hot=hot,
                protocol=protocol,
            ),
        )
        for name, clients, hot in (
            (HAND, 8, False),
            (HAND_ONE, 1, False),
            (HAND_HOT, 8, True),
        )
        for protocol in hand.PROTOCOLS
    ]


def _ours(stable: Stable, seconds: float) -> list[Figure]:
    wanted = [
        (POST, "ours.random", 8, HAND),
        (POST_ONE, "ours.random", 1, HAND_ONE),
        (POST_HOT, "ours.hot", 8, HAND_HOT),
        (PURCHASES, "ours.purchase", 8, HAND),
        *((MANY[of], "ours.many", of, HAND if of > 1 else HAND_ONE) for of in MANY),
        (FLOOR, "floor.random", 8, HAND),
        (FLOOR_HOT, "floor.hot", 8, HAND_HOT),
    ]
    return [
        Figure(
            name=name,
            limit=limit,
            measure=partial(
                stable.measure,
                kind,
                database=ours.LEDGER,
                processes=processes,
                seconds=seconds,
            ),
        )
        for name, kind, processes, limit in wanted
    ]


def _peers(stable: Stable, seconds: float) -> list[Figure]:
    return [
        Figure(
            name=name,
            limit=limit,
            measure=partial(
                stable.measure, kind, database=where, processes=8, seconds=seconds
            ),
        )
        for name, kind, where, limit in PEERS_AT_WORK
    ]


def _results(figure: Figure, figures: list[Figure]) -> dict[str, Any]:
    by_name = {other.name: other.rounds for other in figures}
    result: dict[str, Any] = {
        "per_second": figure.rounds,
        "median": statistics.median(figure.rounds),
        "limit": figure.limit,
        "ratio": figure.limit and ratio(figure.rounds, by_name[figure.limit]),
    }
    for cost in ("python_ms", "server_ms"):
        if figure.costs:
            result[cost] = statistics.median(getattr(c, cost) for c in figure.costs)
    return result


def ratio(mine: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios round by round."""
    return statistics.median(m / t for m, t in zip(mine, theirs, strict=True))
