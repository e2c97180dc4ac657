"""Who kills what, when, and how it comes back: drawn from a seed."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import psutil

from tests.bank.record import Watch
from tests.crash.machine import Machine
from tests.simulator_process import until

# What has begun to work again after a crash must get this many transfers done before
# the next one, or up to that many: so each crash meets others' recovery at any stage.
_LEAST, _MOST = 1, 40
# Nothing may be stuck for longer than this after a fault (I24).
RECOVERED_WITHIN_SECONDS = 60.0


class Killer:
    """Crashes parts of the machine while clients work on it."""

    def __init__(self, machine: Machine, watch: Watch, *, seed: int) -> None:
        self._machine = machine
        self._watch = watch
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        self.killed: Counter[str] = Counter()

    def crash(self, times: int, *, is_working: Callable[[], bool]) -> None:
        """Crash something, let it recover, and so on; the kinds in a random order.

        Args:
            is_working: whether the clients live; a crash of theirs ends it.
        """
        ways = {
            "PostgreSQL": self._postgres,
            "backend": self._backend,
            "web worker": self._web_worker,
            "web server": self._web_server,
        }
        kinds = list(itertools.islice(itertools.cycle([*ways, "PostgreSQL"]), times))
        self._chance.shuffle(kinds)
        for kind in kinds:
            self.await_transfers(self._chance.randint(_LEAST, _MOST))
            assert is_working()
            ways[kind]()
            self.killed[kind] += 1
        self.await_transfers(_MOST)

    def await_transfers(self, count: int) -> None:
        """Wait until the clients have got that many more transfers acknowledged."""
        goal = self._watch.answers("done") + count

        def is_reached() -> bool:
            self._machine.web.keep_running()
            return self._watch.answers("done") >= goal

        until(is_reached, seconds=RECOVERED_WITHIN_SECONDS)

    def _postgres(self) -> None:
        self._machine.postgres.kill()
        self._perhaps_wait_until_clients_notice()
        self._machine.postgres.start()

    def _backend(self) -> None:
        """Kill one; PostgreSQL then ends all others and recovers by itself."""
        backends = until(self._machine.postgres.backends)
        with contextlib.suppress(psutil.NoSuchProcess):
            self._chance.choice(backends).kill()

    def _web_worker(self) -> None:
        """Kill one; the web server replaces it."""
        workers = until(self._machine.web.workers)
        with contextlib.suppress(psutil.NoSuchProcess):
            self._chance.choice(workers).kill()

    def _web_server(self) -> None:
        self._machine.web.kill()
        self._perhaps_wait_until_clients_notice()
        self._machine.web.start()

    def _perhaps_wait_until_clients_notice(self) -> None:
        noticed = partial(self._watch.answers, "unknown")
        if self._chance.random() < 0.5:
            before = noticed()
            until(lambda: noticed() > before)
