"""The crash test: kill -9 of web workers and of PostgreSQL, while clients pay.

What a client was told is done is there once, what it was refused is not there, and
what it was not told about is settled by repeating the key. The judge believes the
clients' own records on disk, not the tables.

CRASHES is how many, CRASH_SEED what they are drawn from; how long each thing takes is
the machine's affair, so a seed repeats the crashes and not the moments.

The page cache outlives a process, so kill -9 loses what PostgreSQL had not yet handed
to the kernel: enough to turn this red where `synchronous_commit` is off. The site asks
for it with each session and refuses a server without; both must be taken out by hand
to see it.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bank.books import read_books
from tests.bank.clients import Clients, Plan
from tests.bank.judge import judge
from tests.bank.record import History, Watch
from tests.crash.killers import Killer
from tests.crash.lying_disk import LyingDisk
from tests.crash.machine import Machine, running_machine
from tests.factories import PASSWORD

CRASHES = int(os.environ.get("CRASHES") or 12)
SEED = int(os.environ.get("CRASH_SEED") or secrets.randbelow(2**32))
CLIENTS = 4


@pytest.fixture(scope="module")
def machine(django_db_blocker: Any) -> Iterator[Machine]:
    """One machine for all crashes; each test finds it recovered."""
    with (
        django_db_blocker.unblock(),
        running_machine(players=8, clients=CLIENTS) as running,
    ):
        yield running


@contextmanager
def clients_paying(machine: Machine, folder: Path, name: str) -> Iterator[Clients]:
    """Clients at work; in the end each has brought what it began to an end."""
    plan = Plan(
        folder=str(folder),
        database_url=machine.postgres.url,
        doors=["api"] * CLIENTS,
        users=machine.players,
        seed=SEED,
        name=name,
        site=machine.web.site,
        emails=machine.emails,
        password=PASSWORD,
    )
    with Clients(plan) as clients:
        try:
            yield clients
            clients.stop()
        except BaseException:
            # What stood still: the server's last words help more than the traceback.
            sys.stdout.write(machine.web.printed()[-4000:])
            sys.stdout.write(f"{dict(History.of(folder).counts())}\n")
            raise


def test_no_crash_loses_or_doubles_a_transfer(machine, tmp_path):
    sys.stdout.write(f"\nCRASHES={CRASHES} CRASH_SEED={SEED}\n")
    opening = read_books(machine.postgres.url)
    killer = Killer(machine, Watch(tmp_path), seed=SEED)

    with clients_paying(machine, tmp_path, "crash") as clients:
        killer.crash(CRASHES, is_working=clients.is_running)

    history = History.of(tmp_path)
    sys.stdout.write(f"killed: {dict(killer.killed)}\n")
    sys.stdout.write(f"clients: {dict(history.counts())}\n")
    closing = read_books(machine.postgres.url)
    mistakes = judge(history, opening=opening, closing=closing)
    sys.stdout.write(f"mistakes: {dict(Counter(m.kind for m in mistakes))}\n")
    assert mistakes == []
    assert machine.breaks() == []
    assert sum(killer.killed.values()) == CRASHES


def test_a_disk_that_only_said_it_had_written_is_found_out(machine, tmp_path):
    """The control: what was acknowledged is taken out of the log while all is down."""
    opening = read_books(machine.postgres.url)
    disk = LyingDisk(machine.postgres)
    killer = Killer(machine, Watch(tmp_path), seed=SEED)

    with clients_paying(machine, tmp_path, "lied-to"):
        killer.await_transfers(5)
        disk.begin()
        killer.await_transfers(10)
        disk.crash()
        machine.postgres.start()
        killer.await_transfers(5)

    closing = read_books(machine.postgres.url)
    mistakes = judge(History.of(tmp_path), opening=opening, closing=closing)
    assert "lost" in {mistake.kind for mistake in mistakes}
    # By themselves the books look as if nothing had happened.
    assert machine.breaks() == []
