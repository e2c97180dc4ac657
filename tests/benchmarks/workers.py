"""Processes that move credits as fast as they can, and what it costs.

A stable is a process that has imported Django and what its contestants need. For each
measurement it forks the processes that do the work: they connect anew and warm up, but
the import, which takes longer than a measurement, happens once.

A contestant is named `module.kind`; its module has `contestant(kind, number, of)`.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import psycopg

from tests.benchmarks import database, layers

OURS = "credits_project.settings"
PEERS = "tests.benchmarks.peers_settings"
_CONTEXT = multiprocessing.get_context("fork")
_START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """One process's work: `move` does a piece and returns how many transfers it was."""

    move: Callable[[], int]
    driver: psycopg.Connection[Any]
    # The first few pieces compile, connect and prepare.
    warm_up: int = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """What some processes got done together.

    The `…_ms` are of each transfer. `python_ms` and `server_ms` are processor time: of
    the process itself, and of the server's process that serves it; `elapsed_ms` is what
    a transfer took one process. `layers` says what part of the Python was whose, and
    `round_trips` how often the server was asked, where that was looked at.
    """

    per_second: float
    transfers: int
    elapsed_ms: float
    python_ms: float
    server_ms: float
    layers: dict[str, float]
    round_trips: int


class Stable:
    """A process that holds a setting's contestants ready."""

    def __init__(self, settings: str) -> None:
        self._settings = settings
        # How many transfers each database was told to be booked, warming up included.
        self.booked: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.workers"],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": self._settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        # It ends with what it is told.
        self._process.communicate(timeout=_START_SECONDS)

    def measure(
        self,
        name: str,
        *,
        database: str,
        processes: int,
        seconds: float,
        look_inside: bool = False,
    ) -> Speed:
        """Have processes at work on a database and return what they got done.

        Raises:
            AssertionError: one of them failed; the figure does not count.
        """
        order = {
            "name": name,
            "database": database,
            "processes": processes,
            "seconds": seconds,
            "look_inside": look_inside,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        results = json.loads(self._process.stdout.readline())
        errors = [result["error"] for result in results if "error" in result]
        assert not errors, f"{name}: {errors[0]}"
        self.booked[database] += sum(result["booked"] for result in results)
        return _summed(results)


def _summed(results: list[dict[str, Any]]) -> Speed:
    done = sum(result["done"] for result in results)
    assert done, "nothing was done"

    def each_ms(key: str) -> float:
        return 1000 * sum(float(result[key]) for result in results) / done

    seen: Counter[str] = Counter()
    for result in results:
        seen.update(result["samples"])
    return Speed(
        per_second=sum(result["done"] / result["seconds"] for result in results),
        transfers=done,
        elapsed_ms=each_ms("seconds"),
        python_ms=each_ms("python_seconds"),
        server_ms=each_ms("server_seconds"),
        layers={layer: count / seen.total() for layer, count in seen.items()},
        round_trips=max(result["round_trips"] for result in results),
    )


def prepare(settings: str, module: str, name: str) -> None:
    """Have a module prepare a new database, in a process that has its settings."""
    database.create(name)
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.workers", module, name],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": settings},
        check=True,
    )


def _prepare(module: str, name: str) -> None:
    database.use(name)
    importlib.import_module(f"tests.benchmarks.{module}").prepare()


def _serve() -> None:
    """Be a stable: carry out orders until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        start = _CONTEXT.Barrier(order["processes"])
        results = _CONTEXT.SimpleQueue()
        children = [
            _CONTEXT.Process(target=_be_worker, args=(order, number, start, results))
            for number in range(order["processes"])
        ]
        for child in children:
            child.start()
        told = [results.get() for _ in children]
        for child in children:
            child.join()
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _be_worker(order: dict[str, Any], number: int, start: Any, results: Any) -> None:
    try:
        database.use(order["database"])
        module, kind = order["name"].split(".")
        contestants = importlib.import_module(f"tests.benchmarks.{module}")
        contestant = contestants.contestant(kind, number, order["processes"])
        results.put(_work(order, contestant, start))
    except BaseException:
        # The others shall not wait for one that will not come.
        start.abort()
        results.put({"error": traceback.format_exc()})


def _work(order: dict[str, Any], contestant: Contestant, start: Any) -> dict[str, Any]:
    booked = sum(contestant.move() for _ in range(contestant.warm_up))
    driver, round_trips = contestant.driver, 0
    samples: Counter[str] = Counter()
    if order["look_inside"]:
        with layers.traced(driver) as trips:
            booked += contestant.move()
        round_trips = trips()
    backend, done = driver.info.backend_pid, 0
    start.wait(_START_SECONDS)
    if order["look_inside"]:
        samples = layers.start_sampling()
    server, python = database.cpu_seconds(backend), time.process_time()
    started = time.perf_counter()
    while time.perf_counter() - started < order["seconds"]:
        done += contestant.move()
    result = {
        "done": done,
        "booked": booked + done,
        "seconds": time.perf_counter() - started,
        "python_seconds": time.process_time() - python,
        "server_seconds": database.cpu_seconds(backend) - server,
        "round_trips": round_trips,
    }
    layers.stop_sampling()
    return result | {"samples": dict(samples)}


if __name__ == "__main__":
    import django

    django.setup()
    if sys.argv[1:]:
        _prepare(*sys.argv[1:])
    else:
        _serve()
