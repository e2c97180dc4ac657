"""Lists on a database that commits: killed half-way, or carried out by many at once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from courses.models import BulkRow, BulkRun, Enrollment
from courses.services import bulk
from tests.courses.lists import carry_out, give_bonus, give_places, statuses
from tests.courses.offers import make_course
from tests.courses.test_races import at_once
from tests.factories import balance_of, make_user
from tests.postgres import database_url
from tests.simulator_process import until

ROOT = Path(__file__).parents[2]
PEOPLE, KILLED_AT = 30, 17


def write_list(folder: Path, people: list[Any], amount: str = "") -> Path:
    file = folder / "people.csv"
    heading = "person,amount" if amount else "person"
    lines = [f"{p.email},{amount}" if amount else p.email for p in people]
    file.write_text("\n".join([heading, *lines]))
    return file


def begin(database: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(database),
            "DJANGO_SETTINGS_MODULE": "credits_project.settings",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def done() -> int:
    return BulkRow.objects.filter(status="done").count()


@pytest.mark.parametrize("kind", ["bonus", "enroll"])
def test_a_list_that_is_killed_half_way_and_given_in_again_doubles_nothing(
    committed, tmp_path, kind
):
    people = [make_user() for _ in range(PEOPLE)]
    sponsor = make_user(balance=f"{PEOPLE * 10}.00")
    course = make_course(price="10.00")
    if kind == "bonus":
        file = write_list(tmp_path, people, "7.00")
        command = ["grant_list", str(file), "--reason", "Prize"]
    else:
        file = write_list(tmp_path, people)
        command = ["enroll_list", str(file), "--reason", "Training"]
        command += ["--course", course.slug, "--sponsor", sponsor.email]

    with closing(psycopg.connect(database_url(committed))) as holder:
        # The process waits in the middle of the list, and of a line, for this row.
        holder.execute(
            "SELECT FROM credit_wallets WHERE user_id = %s FOR NO KEY UPDATE"
            if kind == "bonus"
            else "SELECT FROM auth_user WHERE id = %s FOR NO KEY UPDATE",
            [people[KILLED_AT].pk],
        )
        killed = begin(committed, command)
        try:
            until(lambda: done() == KILLED_AT, seconds=60)
        finally:
            killed.kill()
            killed.wait(timeout=20)
    assert done() == KILLED_AT

    for _ in range(2):
        call_command(*command)

    run = BulkRun.objects.get()
    assert run.finished_at is not None
    assert statuses(run) == ["done"] * PEOPLE
    if kind == "bonus":
        assert {balance_of(person) for person in people} == {7}
    else:
        assert Enrollment.objects.filter(course=course).count() == PEOPLE
        assert balance_of(sponsor) == 0


def test_many_who_carry_out_one_list_do_each_line_once(committed):
    people = [make_user() for _ in range(12)]
    run = give_bonus(people)

    outcomes = at_once([partial(carry_out, run)] * 4)

    assert outcomes == {"done": 4}
    assert {balance_of(person) for person in people} == {5}


def test_without_the_lines_lock_the_database_stops_the_second(committed, monkeypatch):
    """Shows that the race is real here: both look before either has written."""
    both_have_looked = Barrier(2, timeout=20)
    do = bulk._do

    def look_without_locking(run):
        rows = BulkRow.objects.filter(run=run, status=BulkRow.Status.PENDING)
        return rows.order_by("line")

    def wait_and_do(*args, **options):
        both_have_looked.wait()
        do(*args, **options)

    person = make_user()
    run = give_bonus([person])
    monkeypatch.setattr(bulk, "_pending", look_without_locking)
    monkeypatch.setattr(bulk, "_do", wait_and_do)

    outcomes = at_once([partial(carry_out, run)] * 2)

    assert outcomes == {"done": 1, "IntegrityError": 1}
    assert balance_of(person) == 5


def test_two_lists_with_the_same_people_do_not_deadlock(committed):
    people = [make_user() for _ in range(8)]
    sponsor, other = make_user(balance="1000.00"), make_user(balance="1000.00")
    runs = [
        give_places(people, make_course(), sponsor, all_or_nothing=True),
        give_places(people[::-1], make_course(), other, all_or_nothing=True),
    ]

    outcomes = at_once([partial(carry_out, run) for run in runs])

    assert outcomes == {"done": 2}
    assert (balance_of(sponsor), balance_of(other)) == (200, 200)
