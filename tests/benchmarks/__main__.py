"""`make bench`: a table of ratios, each against a limit measured in the same run.

Rounds are interleaved and medians quoted, as machines are noisy. A figure counts only
if afterwards nothing is wrong with the books.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import database, guards, hand, posting, scale

_FILE = Path(__file__).resolve().parents[2] / "bench.json"


@dataclass(kw_only=True)
class Figure:
    """One measured thing: its rounds, and what it is compared with."""

    name: str
    measure: Callable[[], float]
    limit: str | None = None
    # At least this ratio to the limit is the goal.
    goal: float | None = None
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds, per second."""
        return statistics.median(self.rounds)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write everything; return 1 where the books are wrong."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument(
        "--transactions", type=int, default=5_000_000, help="of the large ledger"
    )
    options = parser.parse_args(arguments)
    with database.server():
        import django

        django.setup()
        hand.prepare()
        _prepare_ledger()
        results = _speeds(options.rounds, options.seconds)
        results["guards"] = guards.prices()
        results["sound"] = _is_sound()
        results["scale"] = scale.measure(options.transactions, _say)
        _print_guards(results["guards"])
        _print_scale(results["scale"])
    _FILE.write_text(json.dumps(results, indent=1) + "\n")
    _say(f"\nWritten to {_FILE.name}.")
    return 0 if results["sound"] else 1


def _prepare_ledger() -> None:
    from django.core.management import call_command

    database.create("ledger")
    database.use("ledger")
    call_command("migrate", verbosity=0)
    posting.seed()
    database.use("postgres")
    database.create("ledger_empty", template="ledger")
    database.use("ledger")
    # As autovacuum does within a minute where there is one.
    database.run("ledger", "VACUUM ANALYZE")


def _is_sound() -> bool:
    from wallets import proof

    database.use("ledger")
    found = proof.breaks()
    for each in found:
        _say(f"{each.invariant} {each.subject}: {each.detail}")
    return not found


def _speeds(rounds: int, seconds: float) -> dict[str, Any]:
    costs: dict[str, list[posting.Speed]] = {}

    def ours(kind: str, processes: int) -> Callable[[], float]:
        def run() -> float:
            speed = posting.measure(kind, processes=processes, seconds=seconds)
            costs.setdefault(f"{kind} {processes}", []).append(speed)
            return speed.per_second

        return run

    def limit(clients: int, *, hot: bool = False) -> Callable[[], float]:
        return lambda: hand.transfers_a_second(
            clients=clients, seconds=round(seconds), hot=hot
        )

    figures = [
        Figure(name="hand, 8 clients", measure=limit(8)),
        Figure(name="hand, 1 client", measure=limit(1)),
        Figure(name="hand, 8 clients, one hot row", measure=limit(8, hot=True)),
        Figure(
            name="post, 8 processes",
            measure=ours("random", 8),
            limit="hand, 8 clients",
            goal=0.25,
        ),
        Figure(
            name="post, 1 process", measure=ours("random", 1), limit="hand, 1 client"
        ),
        Figure(
            name="post, 8 processes, one hot wallet",
            measure=ours("hot", 8),
            limit="hand, 8 clients, one hot row",
            goal=0.35,
        ),
        Figure(
            name="purchases, 8 processes",
            measure=ours("purchase", 8),
            limit="post, 8 processes",
            goal=0.9,
        ),
        Figure(
            name="post_many of 1,000, 1 process",
            measure=ours("many", 1),
            limit="hand, 1 client",
        ),
        Figure(
            name="post_many of 1,000, 2 processes",
            measure=ours("many", 2),
            limit="hand, 8 clients",
            goal=1.5,
        ),
    ]
    for number in range(rounds):
        for figure in figures:
            figure.rounds.append(figure.measure())
            _say(f"round {number + 1}: {figure.name}: {figure.rounds[-1]:,.0f}/s")
    _print_table(figures)
    _print_costs(costs)
    return {
        "figures": {
            figure.name: {
                "per_second": figure.rounds,
                "median": figure.median,
                "ratio_to": figure.limit,
                "ratio": _ratio(figure, figures),
                "goal": figure.goal,
            }
            for figure in figures
        },
        "milliseconds": {
            name: {
                "python": statistics.median(speed.python_ms for speed in speeds),
                "server": statistics.median(speed.server_ms for speed in speeds),
            }
            for name, speeds in costs.items()
        },
    }


def _ratio(figure: Figure, figures: list[Figure]) -> float | None:
    """Return the median of the ratios round by round: both saw the same minute."""
    if figure.limit is None:
        return None
    limit = next(other for other in figures if other.name == figure.limit)
    pairs = zip(figure.rounds, limit.rounds, strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def _print_table(figures: list[Figure]) -> None:
    _say(f"\n{'':36}{'median/s':>10}{'spread':>16}{'ratio':>8}{'goal':>7}")
    for figure in figures:
        ratio = _ratio(figure, figures)
        spread = f"{min(figure.rounds):,.0f}–{max(figure.rounds):,.0f}"
        _say(
            f"{figure.name:36}{figure.median:>10,.0f}{spread:>16}"
            f"{'' if ratio is None else f'{ratio:.2f}':>8}"
            f"{'' if figure.goal is None else f'{figure.goal:.2f}':>7}"
        )


def _print_costs(costs: dict[str, list[posting.Speed]]) -> None:
    _say("\nProcessor time of a transfer, ms        Python  server")
    for name, speeds in costs.items():
        python = statistics.median(speed.python_ms for speed in speeds)
        server = statistics.median(speed.server_ms for speed in speeds)
        _say(f"{name:40}{python:>6.2f}{server:>8.2f}")


def _print_guards(costs: dict[str, float]) -> None:
    _say("\nServer's processor time of a transfer, ms")
    for name, milliseconds in costs.items():
        _say(f"{name:40}{milliseconds:>8.3f}")


def _print_scale(results: dict[str, Any]) -> None:
    _say(f"\n{results['transactions']:,} rows against 10,000")
    for name, result in results.items():
        if not isinstance(result, dict):
            continue
        if "ratio" in result:
            small, large = result["small_ms"], result["large_ms"]
            _say(f"{name:40}{small:>8.2f} ms{large:>8.2f} ms{result['ratio']:>7.2f}")
        else:
            seconds, rows = result["seconds"], result["rows_per_second"]
            _say(f"{name:40}{seconds:>8.1f} s{rows:>12,.0f} rows/s")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
