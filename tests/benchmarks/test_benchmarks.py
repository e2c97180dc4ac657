"""The benchmarks measure what they say, on books that stay right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import postgres
from tests.benchmarks import (
    database,
    growing,
    guards,
    hand,
    layers,
    ours,
    report,
    speeds,
    workers,
)
from wallets import proof
from wallets.models import CreditTransaction

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture
def bare(django_db_setup: None) -> Iterator[str]:
    """Hand's tables in a database of the test's own. Gives its name."""
    name = f"run_{os.getpid()}_bare"
    hand.prepare(name)
    yield name
    postgres.drop_database(name)


def test_a_ledger_that_was_grown_is_one_like_any_other(committed: str):
    ours.seed(growing.WALLETS)
    before = CreditTransaction.objects.count()

    with psycopg.connect(database.url(committed)) as connection:
        first, last = growing.fill(connection, 2000)

    assert proof.breaks() == []
    rows = CreditTransaction.objects.order_by("id")[before:]
    assert len(rows) == 2000
    assert [rows[0].created_at, rows[1999].created_at] == [first, last]


def test_our_contestants_book_what_they_say_and_nothing_else(committed: str):
    ours.seed(hand.WALLETS)
    before = ours.transfers(committed)

    with workers.Stable(workers.OURS) as stable:
        alone = stable.measure(
            "ours.random",
            database=committed,
            processes=1,
            seconds=0.3,
            look_inside=True,
        )
        for kind, processes in (
            ("ours.hot", 2),
            ("ours.purchase", 2),
            ("ours.many", 1),
            ("floor.random", 1),
            ("floor.hot", 2),
        ):
            stable.measure(kind, database=committed, processes=processes, seconds=0.1)

    assert ours.transfers(committed) - before == stable.booked[committed]
    assert 0 < alone.round_trips <= report.ROUND_TRIPS_MAX
    assert alone.transfers > 0
    assert proof.breaks() == []


def test_every_trigger_and_every_constraint_is_taken_away(committed: str):
    without = guards.without(committed)
    tables = ("credit_wallets", "credit_transfers", "credit_transactions")
    left = (
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
        f" AND tgrelid::regclass::text IN {tables} UNION ALL"
        " SELECT conname FROM pg_constraint WHERE contype IN ('c', 'f')"
        f" AND conrelid::regclass::text IN {tables}"
    )

    # Rolled back: the books are proven after the test, with their guards.
    with psycopg.connect(database.url(committed)) as connection:
        assert len(connection.execute(left).fetchall()) > 20
        for statement in without[guards.UNGUARDED]:
            connection.execute(statement)
        assert connection.execute(left).fetchall() == []
        connection.rollback()

    assert "ledger_check_transactions" in without
    assert "check constraints of credit_wallets" in without


def test_the_bare_contestants_book_what_they_say_and_nothing_else(bare: str):
    kinds = ("naive", "tuned", "sql", "prepared", "psycopg", "short", "libpq")
    trips = {}

    with workers.Stable(workers.PEERS) as stable:
        for kind in kinds:
            trips[kind] = stable.measure(
                f"bare.{kind}",
                database=bare,
                processes=2,
                seconds=0.1,
                look_inside=True,
            ).round_trips

    assert hand.breaks(bare, booked=stable.booked[bare]) == []
    assert trips == {
        "naive": 7,
        "tuned": 6,
        "sql": 4,
        "prepared": 4,
        "psycopg": 4,
        "short": 2,
        "libpq": 2,
    }


def test_a_contestant_that_fails_has_no_figure(bare: str):
    database.run(bare, "UPDATE wallets SET balance = 0")

    with (
        workers.Stable(workers.PEERS) as stable,
        pytest.raises(AssertionError, match="not enough"),
    ):
        stable.measure("bare.sql", database=bare, processes=2, seconds=0.1)


def test_drift_in_bare_tables_is_found(bare: str):
    database.run(bare, "UPDATE wallets SET balance = balance + 1 WHERE id = 7")

    assert hand.breaks(bare, booked=0) == [
        f"{bare}: wallet 7 is not what its rows say",
        f"{bare}: 1.00 too much, in rows of None",
    ]


def test_a_round_trip_is_counted_once_however_much_is_sent(bare: str):
    with psycopg.connect(database.url(bare), autocommit=True) as connection:
        with layers.traced(connection) as trips:
            connection.execute("SELECT 1")
            connection.execute(b"SELECT 1; SELECT 2")

        assert trips() == 2


def even_speeds() -> dict[str, Any]:
    """Return results in which all are as fast as hand."""
    names = [
        speeds.HAND,
        speeds.HAND_HOT,
        speeds.POST,
        speeds.POST_HOT,
        speeds.PURCHASES,
        speeds.PEER_HORDAK,
        *speeds.MANY.values(),
    ]
    return {
        name: {
            "per_second": [90.0, 100.0, 110.0],
            "median": 100.0,
            "limit": speeds.HAND,
            "ratio": 1.0,
            "python_ms": 0.5,
            "server_ms": 0.5,
        }
        for name in names
    }


def test_a_goal_is_met_on_one_side_of_it_only():
    found = {goal.name: goal for goal in report.goals({"speeds": even_speeds()})}

    assert found["post to hand"].met
    assert found["post, Python, ms"].met
    assert not found["post to django-hordak"].met


def test_a_ratio_compares_the_rounds_one_by_one():
    measured = even_speeds()
    measured[speeds.POST]["per_second"] = [45.0, 25.0, 55.0]

    found = {goal.name: goal for goal in report.goals({"speeds": measured})}

    assert found["post to hand"].value == 0.5


def test_the_markdown_has_each_table_with_medians_and_spread():
    machine = {
        "rounds": 3,
        "seconds": 3.0,
        "cores": 2,
        "postgresql": "18.1",
        "python": "3.11.7",
    }

    page = report.as_markdown({"machine": machine, "speeds": even_speeds()})

    assert "| post, 8 processes | 100 | 90–110 | 1.00 | 0.50 | 0.50 |" in page
    assert "| post to django-hordak | 1 | ≥ 3 | not met |" in page
    assert "Medians of 3 rounds of 3 s" in page


def test_the_readme_names_the_command_and_its_parts():
    section = README.partition("\n## Speed\n")[2].partition("\n## ")[0]

    assert "make bench" in section
    assert "--markdown" in section
    assert all(f"`{part}`" in section for part in report.PARTS)
