"""The results as tables: for a terminal, and in Markdown for the README."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import scale
from tests.benchmarks.speeds import (
    HAND,
    HAND_HOT,
    MANY,
    PEER_HORDAK,
    POST,
    POST_HOT,
    PURCHASES,
    ratio,
)

PARTS = ("speeds", "shares", "guards", "scale", "webhooks")
ROUND_TRIPS_MAX = 5
PYTHON_MS_MAX = 1.0

Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of texts; the first column is to the left, all others to the right."""

    title: str
    columns: Row
    rows: list[Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What was to be reached, and what was."""

    name: str
    value: float
    goal: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of the goal."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """Yield a table for each part that was measured, and last the goals."""
    makers: dict[str, Callable[[Any], Table]] = {
        "speeds": _speeds,
        "shares": _shares,
        "guards": _guards,
        "scale": _scale,
        "webhooks": _webhooks,
    }
    for part, table_of in makers.items():
        if part in results:
            yield table_of(results[part])
    if found := list(goals(results)):
        yield Table(
            title="Goals",
            columns=("", "measured", "goal", ""),
            rows=[
                (
                    goal.name,
                    _number(goal.value),
                    f"{'≤' if goal.at_most else '≥'} {_number(goal.goal)}",
                    "met" if goal.met else "not met",
                )
                for goal in found
            ],
        )


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """Yield each goal of the parts that were measured."""
    if "speeds" in results:
        yield from _goals_of_speed(results["speeds"])
    if "shares" in results:
        trips = results["shares"]["post"]["round_trips"]
        yield Goal(
            name="post, round trips", value=trips, goal=ROUND_TRIPS_MAX, at_most=True
        )
    if "scale" in results:
        for name, cost in results["scale"]["costs"].items():
            yield Goal(
                name=f"{name}, large to small",
                value=cost["ratio"],
                goal=scale.RATIO_MAX,
                at_most=True,
            )
        whole = results["scale"]["whole"]
        for name, goal in scale.ROWS_MIN.items():
            value = whole[name]["rows_per_second"]
            yield Goal(name=f"{name}, rows/s", value=value, goal=goal)
    if "webhooks" in results:
        for count, compared in results["webhooks"]["senders"].items():
            yield Goal(
                name=f"webhooks to the bare view, {count} at once",
                value=compared["ratio"],
                goal=results["webhooks"]["goal"],
            )


def _goals_of_speed(speeds: dict[str, Any]) -> Iterator[Goal]:
    def between(mine: str, theirs: str) -> float:
        return ratio(speeds[mine]["per_second"], speeds[theirs]["per_second"])

    python = speeds[POST]["python_ms"]
    best = max(between(MANY[of], HAND) for of in MANY if of > 1)
    yield Goal(name="post to hand", value=between(POST, HAND), goal=0.25)
    yield Goal(name="post to django-hordak", value=between(POST, PEER_HORDAK), goal=3)
    yield Goal(name="hot wallet to hand", value=between(POST_HOT, HAND_HOT), goal=0.35)
    yield Goal(name="purchases to post", value=between(PURCHASES, POST), goal=0.9)
    yield Goal(
        name="post_many, 1 process to hand, 1 client",
        value=speeds[MANY[1]]["ratio"],
        goal=1.5,
    )
    yield Goal(
        name="post_many, best of processes to hand, 8 clients", value=best, goal=1.5
    )
    yield Goal(name="post, Python, ms", value=python, goal=PYTHON_MS_MAX, at_most=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _ms(value: float) -> str:
    # Adding zero leaves no minus in front of it.
    return f"{round(value, 3) + 0:.3f}"


def _speeds(speeds: dict[str, Any]) -> Table:
    def optional(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    return Table(
        title="Transfers a second, and as a ratio to hand",
        columns=("", "median", "spread", "ratio", "Python ms", "server ms"),
        rows=[
            (
                name,
                f"{result['median']:,.0f}",
                f"{min(result['per_second']):,.0f}–{max(result['per_second']):,.0f}",
                optional(result["ratio"]),
                optional(result.get("python_ms")),
                optional(result.get("server_ms")),
            )
            for name, result in speeds.items()
        ],
    )


def _shares(shares: dict[str, Any]) -> Table:
    parts = ("own", "Django", "driver", "server", "guards", "waiting", "elapsed")
    rows = [
        (
            name,
            str(share["round_trips"]),
            *(_ms(share[f"{part}_ms"]) for part in parts),
        )
        for name, share in shares.items()
    ]
    return Table(
        title="Where the time of one transfer goes, one process, ms",
        columns=("", "round trips", *parts[:-1], "all"),
        rows=rows,
    )


def _guards(guards: dict[str, Any]) -> Table:
    with_all = guards["with_all_ms"]
    return Table(
        title="What each guard costs the server in a transfer",
        columns=("", "ms", "of all"),
        rows=[
            *(
                (name, _ms(price), f"{round(price / with_all, 2) + 0:.0%}")
                for name, price in guards["price_ms"].items()
            ),
            ("a transfer with all of them", _ms(with_all), "100%"),
        ],
    )


def _scale(results: dict[str, Any]) -> Table:
    rows: list[Row] = [
        (
            name,
            f"{cost['small_ms']:.2f} ms",
            f"{cost['large_ms']:.2f} ms",
            f"{cost['ratio']:.2f}",
        )
        for name, cost in results["costs"].items()
    ]
    for name, whole in results["whole"].items():
        speed = f"{whole['rows_per_second']:,.0f} rows/s"
        rows.append((name, "", f"{whole['seconds']:.1f} s", speed))
    many = f"{results['transactions']:,} rows"
    return Table(
        title="A small and a large ledger",
        columns=("", f"{scale.SMALL:,} rows", many, "ratio"),
        rows=rows,
    )


def _webhooks(results: dict[str, Any]) -> Table:
    return Table(
        title="Webhooks acknowledged, beside a bare view that writes one row",
        columns=("", "per second", "p50 ms", "p99 ms", "ratio"),
        rows=[
            (
                f"{which}, {count} at once",
                f"{compared[which]['per_second']:,.0f}",
                f"{compared[which]['p50_ms']:.1f}",
                f"{compared[which]['p99_ms']:.1f}",
                f"{compared['ratio']:.2f}" if which == "webhook" else "",
            )
            for count, compared in results["senders"].items()
            for which in ("bare view", "webhook")
        ],
    )


def as_text(table: Table) -> str:
    """Return the table with its columns lined up."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    body = (
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    return "\n".join([f"\n{table.title}", *body])


def as_markdown(results: dict[str, Any]) -> str:
    """Return all tables as the README has them."""
    blocks = []
    for table in tables(results):
        columns = (table.title, *table.columns[1:])
        rule = ["---", *["---:"] * (len(columns) - 1)]
        lines = [columns, rule, *table.rows]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    machine = results["machine"]
    blocks.append(
        f"Medians of {machine['rounds']} rounds of {machine['seconds']:g} s, in which"
        f" all took turns, on {machine['cores']} cores with PostgreSQL"
        f" {machine['postgresql']} and Python {machine['python']}."
    )
    return "\n\n".join(blocks)
