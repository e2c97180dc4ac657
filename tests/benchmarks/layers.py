"""Where a process's time goes: whose code runs, and how often the server is asked."""

from __future__ import annotations

import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import psycopg

# By a part of the file's path; everything else is looked for in what called it.
_LAYERS = {
    "/psycopg": "driver",
    "/django/": "Django",
    "/wallets/": "own",
    "/credits_project/": "own",
    "/tests/benchmarks/": "own",
    "/hordak/": "own",
    "/djmoney/": "own",
    "/moneyed/": "own",
    "/mptt/": "own",
}
LAYERS = ("own", "Django", "driver")
# Of processor time. The kernel looks at its own ticks, which are a few times as long.
_EVERY_SECONDS = 0.001


def start_sampling() -> Counter[str]:
    """Count from now on whose code is found running, each time some has been used.

    A profiler that is called at every function would make small functions look dear;
    this one costs next to nothing. What C code uses counts for who called it: libpq,
    called without the driver's Python, for the caller.
    """
    samples: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        samples[_layer_of(frame)] += 1

    signal.signal(signal.SIGPROF, sample)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_SECONDS, _EVERY_SECONDS)
    return samples


def stop_sampling() -> None:
    """Count no more; harmless where nothing is counted."""
    signal.setitimer(signal.ITIMER_PROF, 0)


def _layer_of(frame: FrameType | None) -> str:
    while frame is not None:
        for part, layer in _LAYERS.items():
            if part in frame.f_code.co_filename:
                return layer
        frame = frame.f_back
    return "own"


@contextmanager
def traced(driver: psycopg.Connection[Any]) -> Iterator[Callable[[], int]]:
    """Have libpq write down what it sends and gets; yields what counts the round trips.

    A round trip is whatever is sent after something came back, be it one message or
    many: each is a wait for the server.
    """
    with tempfile.TemporaryFile("w+") as trace:
        driver.pgconn.trace(trace.fileno())
        driver.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        directions: list[str] = []
        yield lambda: sum(
            direction == "F" and before != "F"
            for before, direction in zip(["", *directions], directions, strict=False)
        )
        driver.pgconn.untrace()
        trace.seek(0)
        directions += [line[0] for line in trace if line[:2] in ("F\t", "B\t")]
