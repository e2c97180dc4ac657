"""Where the time of one transfer goes: whose Python, the driver, the server, guards."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from tests.benchmarks.layers import LAYERS
from tests.benchmarks.ours import LEDGER
from tests.benchmarks.speeds import FLOOR, HAND_HOT, PEERS_AT_WORK
from tests.benchmarks.workers import Speed, Stable

_OURS = "post"
_UNGUARDED = "post without any guard"


def measure(
    our: Stable,
    peers: Stable,
    *,
    rounds: int,
    seconds: float,
    unguarded: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return the milliseconds of a transfer that each part of it takes.

    One process at a time: what others wait for is not a cost. `unguarded` is a ledger
    without guards; what the server needs more with them is their price.
    """
    at_work = [
        (_OURS, our, "ours.random", LEDGER),
        (_UNGUARDED, our, "ours.random", unguarded),
        (FLOOR, our, "floor.random", LEDGER),
        *(
            (name, peers, kind, where)
            for name, kind, where, limit in PEERS_AT_WORK
            if limit != HAND_HOT
        ),
    ]
    found: dict[str, list[Speed]] = {name: [] for name, *_ in at_work}
    for number in range(rounds):
        for name, stable, kind, where in at_work:
            speed = stable.measure(
                kind, database=where, processes=1, seconds=seconds, look_inside=True
            )
            found[name].append(speed)
            say(f"round {number + 1}: inside {name}: {speed.elapsed_ms:.3f} ms")
    shares = {name: _median(speeds) for name, speeds in found.items()}
    # In each round both saw the same minute.
    pairs = zip(found[_OURS], found[_UNGUARDED], strict=True)
    guards = statistics.median(a.server_ms - b.server_ms for a, b in pairs)
    shares[_OURS]["guards_ms"] = guards
    shares[_OURS]["server_ms"] -= guards
    return shares


def _median(speeds: list[Speed]) -> dict[str, float]:
    def median(value: Callable[[Speed], float]) -> float:
        return statistics.median(value(speed) for speed in speeds)

    def share(layer: str) -> float:
        return median(lambda speed: speed.python_ms * speed.layers.get(layer, 0))

    return {
        "round_trips": max(speed.round_trips for speed in speeds),
        **{f"{layer}_ms": share(layer) for layer in LAYERS},
        "python_ms": median(lambda speed: speed.python_ms),
        "server_ms": median(lambda speed: speed.server_ms),
        "guards_ms": 0.0,
        # The disk's answer at commit, and passing the word between two processes.
        "waiting_ms": median(
            lambda speed: speed.elapsed_ms - speed.python_ms - speed.server_ms
        ),
        "elapsed_ms": median(lambda speed: speed.elapsed_ms),
    }
