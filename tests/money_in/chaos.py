"""What goes wrong while people buy, and the people: both drawn from a seed."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests.journeys import people
from tests.payments.buying import WEBHOOK
from tests.postgres import database_url
from tests.simulator_process import start_simulator, until
from tests.system import Client, System

# While faults go on: how long a buyer tries again until the gateway answers.
PATIENCE_SECONDS = 240.0
_QUEUE = "procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers"
# Endpoint, fault and its numbers: each for a few requests.
_FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("verify", "reset-before", {}),
    ("verify", "500-after", {}),
    ("verify", "html-before", {}),
    ("verify", "truncated", {}),
    ("verify", "rate-limited", {}),
    ("verify", "slow", {"seconds": 1}),
    ("verify", "not-found", {}),
    ("verify", "contradicts", {}),
    ("checkout", "500-before", {}),
    ("checkout", "html-before", {}),
    ("webhook", "lost", {}),
    ("webhook", "copies", {"count": 5}),
    ("webhook", "repeated", {}),
    ("webhook", "delay", {"seconds": 2}),
    ("webhook", "held-back", {}),
    ("webhook", "forged", {}),
    ("webhook", "wrong-amount", {}),
    ("attempt", "failed-first", {}),
)


@dataclass
class Chaos:
    """Breaks things, one after the other, each for a while."""

    system: System
    state: Path
    seed: int
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - repeatable
        ways = (
            self._gateway,
            self._worker,
            self._sleeper,
            self._queue,
            self._faults,
            self._faults,
        )
        self._ways = self._shuffled(ways)
        self._next_faults = self._shuffled(_FAULTS)
        self._keep_gateway_on_disk()

    def strike(
        self, *, progress: Callable[[], int], is_over: Callable[[], bool]
    ) -> None:
        """Break something, and mend it once the buyers have got on a little.

        Args:
            progress: how many things the buyers have done or tried so far.
            is_over: whether they are done.
        """
        seen = progress()
        wanted = self.chance.randint(4, 24)

        def got_on() -> bool:
            return progress() >= seen + wanted or is_over()

        next(self._ways)(lambda: until(got_on, seconds=PATIENCE_SECONDS))

    def mend(self) -> None:
        """End all faults; from here on nobody touches anything."""
        self.system.simulator.control.clear_faults()

    def _gateway(self, wait: Callable[[], object]) -> None:
        self.done["gateway killed"] += 1
        self.system.simulator.kill()
        wait()
        self._start_gateway()

    def _worker(self, wait: Callable[[], object]) -> None:
        self.done["worker killed"] += 1
        self.system.kill("worker")
        wait()
        self.system.start("worker")

    def _sleeper(self, wait: Callable[[], object]) -> None:
        """Stop the worker while another one works; it wakes in the midst of its own."""
        self.done["worker stopped"] += 1
        group = self.system.processes["worker"].pid
        os.killpg(group, signal.SIGSTOP)
        self.system.start("worker-2")
        wait()
        os.killpg(group, signal.SIGCONT)
        self.system.kill("worker-2")

    def _queue(self, wait: Callable[[], object]) -> None:
        self.done["queue emptied"] += 1
        url = database_url(self.system.database)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {_QUEUE}")
        wait()

    def _faults(self, wait: Callable[[], object]) -> None:
        for endpoint, name, numbers in itertools.islice(self._next_faults, 3):
            self.done[f"{endpoint} {name}"] += 1
            times = self.chance.randint(1, 10)
            self.system.simulator.control.fault(endpoint, name, times=times, **numbers)
        wait()

    def _shuffled(self, things: Sequence[Any]) -> Iterator[Any]:
        """Yield all of them in a random order, and again in another one, for ever."""
        while True:
            yield from self.chance.sample(things, len(things))

    def _keep_gateway_on_disk(self) -> None:
        # What was paid is the gateway's to remember, also when it is killed.
        self._port = int(self.system.simulator.base_url.rpartition(":")[2])
        self.system.simulator.kill()
        self._start_gateway()

    def _start_gateway(self) -> None:
        self.system.simulator = start_simulator(
            f"{self.system.site}{WEBHOOK}", port=self._port, state=self.state
        )


@dataclass
class Shop:
    """People who buy and pay, however often they have to try."""

    system: System
    package: Any
    seed: int
    # Everything that was done or tried.
    steps: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def buy(self, buyer: Client, number: int) -> str:
        """Order, and pay unless the buyer thinks better of it. Return the `tx_ref`."""
        chance = random.Random(f"{self.seed}:{number}")  # noqa: S311 - repeatable
        key = str(uuid.UUID(int=chance.getrandbits(128)))
        body = {"package": str(self.package.pk)}
        purchase = self._insist(lambda: self._order(buyer, body, key))
        if chance.random() < 0.9:
            self._insist(lambda: self._pay(purchase, chance))
        if chance.random() < 0.3:
            self._step()
            query = {"tx_ref": purchase["tx_ref"], "status": "success"}
            page = f"{self.system.site}/payments/return"
            assert requests.get(page, params=query, timeout=60).status_code == 200
        return str(purchase["tx_ref"])

    def _order(self, buyer: Client, body: Any, key: str) -> Any:
        try:
            purchase = buyer.post("/purchases", body, key=key)
        except AssertionError:
            # The gateway is down, which the buyer is told as a 502 and the like.
            return None
        return purchase if purchase["checkout_url"] else None

    def _pay(self, purchase: Any, chance: random.Random) -> bool:
        action = "fail" if chance.random() < 0.2 else "pay"
        try:
            answer = people.pay_on_page(purchase["checkout_url"], action=action)
        except (requests.RequestException, AssertionError):
            answer = None
        if answer is not None and answer.status_code == 302:
            return True
        # Whoever does not see the answer comes back to a page that says it is paid.
        return self._says_paid(purchase)

    def _says_paid(self, purchase: Any) -> bool:
        try:
            page = requests.get(purchase["checkout_url"], timeout=20)
        except requests.RequestException:
            return False
        return "This payment is complete" in page.text

    def _insist(self, work: Callable[[], Any]) -> Any:
        def attempt() -> Any:
            self._step()
            return work()

        return until(attempt, seconds=PATIENCE_SECONDS)

    def _step(self) -> None:
        with self._lock:
            self.steps += 1


@contextmanager
def kept_running(system: System) -> Iterator[None]:
    """Start a worker again that ends by itself, as a supervisor does."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.2):
            worker = system.processes.get("worker")
            if worker is not None and worker.poll() is not None:
                system.start("worker")

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join(timeout=20)
