"""The clients of a bank test: processes that move credits, read all, and write it down.

`Clients` runs them for a test: one process that starts one for each client. They end
after a number of operations, or once the test closes their standard input, and so also
when the test itself is killed.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

import psycopg

from tests.bank import books
from tests.bank.doors import ApiDoor, CarelessDoor, Door, ServicesDoor
from tests.bank.record import Answer, Order, Record

_ROOT = Path(__file__).resolve().parents[2]
# Nothing may be stuck for longer than this after a fault (I24).
RESOLVED_WITHIN_SECONDS = 60.0
# Of a client's operations; everything else are new transfers.
_READS, _REPEATS = 0.1, 0.1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the clients are to do. Users are named by their ids."""

    folder: str
    database_url: str
    doors: Sequence[Literal["api", "services", "careless"]]
    users: Sequence[str]
    seed: int
    # Begins the names of orders, which are keys: one run's must not be another's.
    name: str = "client"
    # Of each client; without end where there is none.
    operations: int | None = None
    # For the clients of the API.
    site: str = ""
    emails: Sequence[str] = ()
    password: str = ""


class Clients:
    """Running clients. A `with` block ends them."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bank.clients", json.dumps(asdict(plan))],
            cwd=_ROOT,
            env={
                **os.environ,
                "DATABASE_URL": plan.database_url,
                "DJANGO_SETTINGS_MODULE": "credits_project.settings",
            },
            stdin=subprocess.PIPE,
        )

    def is_running(self) -> bool:
        """Return whether any of them still works."""
        return self._process.poll() is None

    def finish(self, *, seconds: float) -> None:
        """Wait until each has done its operations."""
        assert self._process.wait(timeout=seconds) == 0, "a client has failed"

    def stop(self) -> None:
        """Let each bring what it has begun to a definite end; wait for that."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.finish(seconds=2 * RESOLVED_WITHIN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self.is_running():
            self._process.kill()
        self._process.wait()


class _Client:
    def __init__(self, plan: Plan, number: int, end: int) -> None:
        self._plan = plan
        self._name = f"{plan.name}-{number}"
        self._end = end
        self._chance = random.Random(f"{plan.seed}:{number}")  # noqa: S311 - repeatable
        self._record = Record(Path(plan.folder) / f"{self._name}.record")
        self._reader: psycopg.Connection[Any] | None = None
        self._door = self._open(number)
        self._done: list[Order] = []

    def work(self) -> None:
        limit = self._plan.operations
        for number in itertools.count() if limit is None else range(limit):
            if self._is_asked_to_stop():
                break
            kind = self._chance.random()
            if kind < _READS:
                self._read()
            elif kind < _READS + _REPEATS and self._done:
                # As somebody does who did not believe the first answer.
                self._settle(self._chance.choice(self._done[-20:]))
            else:
                self._settle(self._new_order(number))

    def _open(self, number: int) -> Door:
        plan = self._plan
        match plan.doors[number]:
            case "api":
                return ApiDoor(
                    plan.site, email=plan.emails[number], password=plan.password
                )
            case "services":
                return ServicesDoor()
            case "careless":
                return CarelessDoor(plan.database_url)

    def _is_asked_to_stop(self) -> bool:
        # At its end standard input can be read without waiting.
        return bool(select.select([self._end], [], [], 0)[0])

    def _new_order(self, number: int) -> Order:
        payer, payee = self._chance.sample(list(self._plan.users), 2)
        cents = self._chance.randrange(1, 500)
        return Order(
            name=f"{self._name}:{number}",
            payer=payer,
            payee=payee,
            amount=Decimal(cents).scaleb(-2),
        )

    def _settle(self, order: Order) -> None:
        """Ask until there is a definite answer."""
        deadline = time.monotonic() + RESOLVED_WITHIN_SECONDS
        while True:
            answer = self._ask(order)
            if answer.outcome == "done":
                self._done.append(order)
            if answer.outcome != "unknown" or time.monotonic() > deadline:
                return
            # Who hammers a server that is starting only delays it.
            time.sleep(self._chance.uniform(0.01, 0.1))

    def _ask(self, order: Order) -> Answer:
        self._record.ask(order)
        answer = self._door.transfer(order)
        self._record.answer(order, answer)
        return answer

    def _read(self) -> None:
        try:
            if self._reader is None:
                self._reader = books.connect(self._plan.database_url)
            self._record.read(books.read_all(self._reader))
        except (psycopg.OperationalError, psycopg.InterfaceError):
            # The server is down, or went while it was read: nothing was seen.
            self._reader = None


def _main() -> int:
    plan = Plan(**json.loads(sys.argv[1]))
    if "services" in plan.doors:
        # Once for all of them: it takes longer than many transfers.
        import django

        django.setup()
    # Children of multiprocessing have no standard input of their own.
    end = os.dup(sys.stdin.fileno())
    # This process has no threads and no connection yet, so it may be copied.
    processes = [
        multiprocessing.get_context("fork").Process(target=_run, args=(plan, i, end))
        for i in range(len(plan.doors))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return int(any(process.exitcode for process in processes))


def _run(plan: Plan, number: int, end: int) -> None:
    _Client(plan, number, end).work()


if __name__ == "__main__":
    sys.exit(_main())
