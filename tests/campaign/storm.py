"""Everything that goes wrong in a campaign: what, how often and when, out of a seed."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from tests.campaign.house import WORKERS, House
from withdrawals.models import PayoutAttempt

# Seconds between two looks at which endpoints need another fault.
_TICK_SECONDS = 0.1
# How many of an endpoint's requests fail.
_SHARE = 0.25
# Exchanges with the gateway between two crashes, at least and at most: counted and not
# timed, so that a slow machine is not killed before it has done anything.
_CALM = (20, 100)
_CRASHES = [
    *["worker killed"] * 3,
    *["worker stopped"] * 2,
    "web server killed",
    "gateway killed",
    "payouts frozen",
]
# Longer than our side waits, which is one second.
_SILENT = {"seconds": 3}


@dataclass(frozen=True)
class Trouble:
    """A fault of the gateway, and how often it is drawn beside the others."""

    name: str
    weight: int = 6
    options: dict[str, Any] = field(default_factory=dict)


# An answer that does not come, or says nothing. Those for which our side waits are
# rare, as a worker waits for one at a time.
_NO_ANSWER = [
    Trouble("timeout-before", 1, _SILENT),
    Trouble("timeout-after", 1, _SILENT),
    Trouble("drip", 1, {"seconds": 0.5}),
    Trouble("slow", 1, {"seconds": 0.3}),
    Trouble("reset-before"),
    Trouble("reset-after"),
    Trouble("500-before"),
    Trouble("500-after"),
    Trouble("html-before"),
    Trouble("html-after", options={"status": 504}),
    Trouble("rate-limited", options={"retry_after": 1}),
    Trouble("unauthorized", 3),
    Trouble("redirect", 3),
    Trouble("truncated"),
    Trouble("cut-off"),
    Trouble("invalid-json"),
]
# One that says something, and not the truth.
_LIES = [
    Trouble("not-found", 12),
    Trouble("unknown-status"),
    Trouble("wrong-amount", 2),
    Trouble("wrong-currency", 2),
    Trouble("wrong-mode", 2),
    Trouble("not-a-number", 2),
    Trouble("alter", 3, {"set": {"charge_id": "somebody-elses"}}),
]
TROUBLES: dict[str, list[Trouble]] = {
    "payout": [
        *_NO_ANSWER,
        Trouble("timeout-after", 4, _SILENT),
        Trouble("processed-late", 12, {"seconds": 4}),
        Trouble("webhook-first"),
        Trouble("refused"),
        Trouble("not-found"),
        Trouble("other-http-status", options={"status": 202}),
        Trouble("unknown-status"),
        Trouble("wrong-amount"),
    ],
    "payout-result": [
        Trouble("failed"),
        Trouble("pending", 4),
        Trouble("failed-after-success", 3),
        Trouble("success-after-failed", 3),
    ],
    "mobile-lookup": [*_NO_ANSWER, *_LIES],
    "bank-lookup": [*_NO_ANSWER, *_LIES],
    "payout-list": _NO_ANSWER,
    "balance": [
        *_NO_ANSWER,
        Trouble("alter", 2, {"set": {"environment": "live"}}),
        Trouble("alter", 2, {"set": {"main_balance": "NaN"}}),
        Trouble("alter", 2, {"set": {"main_balance": "9.99"}}),
    ],
    "webhook": [
        Trouble("lost", 18),
        Trouble("copies", 12, {"count": 5}),
        Trouble("delay", options={"seconds": 1}),
        Trouble("held-back"),
        Trouble("forged"),
        Trouble("unsigned"),
        Trouble("signed-with-api-key"),
        Trouble("alter", 4, {"set": {"status": "failed"}}),
        Trouble("alter", 4, {"set": {"status": "success", "amount": 1}}),
    ],
}


class Storm:
    """Faults and crashes, from `begin` to `end`, in a thread of its own."""

    def __init__(self, house: House, *, seed: int, freeze: Callable[[], Any]) -> None:
        self._house = house
        self._freeze = freeze
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._rage, daemon=True)
        self._error: Exception | None = None
        self._deck: list[str] = []
        # Workers that stand still, and when they go on.
        self._stopped: dict[str, float] = {}
        self.met: Counter[str] = Counter()

    def begin(self) -> None:
        """Let it break loose."""
        self._thread.start()

    def end(self) -> None:
        """Have no more faults: everything runs and the gateway is sound and rich."""
        self._is_over.set()
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), "the storm does not end"
        if self._error is not None:
            raise self._error
        self._house.gateway.clear_faults()
        for payout in self._house.gateway.state()["payouts"]:
            if payout["status"] == "pending" and not payout["results"]:
                outcome = self._chance.choice(["success", "failed"])
                self._house.gateway.settle(payout["charge_id"], outcome)

    def _rage(self) -> None:
        try:
            next_crash = self._chance.randint(*_CALM)
            while not self._is_over.wait(_TICK_SECONDS):
                self._arm()
                self._wake_workers(at=time.monotonic())
                if (exchanges := PayoutAttempt.objects.count()) >= next_crash:
                    self._crash()
                    next_crash = exchanges + self._chance.randint(*_CALM)
            self._wake_workers(at=math.inf)
        except Exception as error:
            self._error = error
        finally:
            connection.close()

    def _arm(self) -> None:
        """Give each endpoint that has no fault one for a request to come."""
        gateway = self._house.gateway
        armed = {fault["endpoint"] for fault in _harmful(gateway.get("faults"))}
        for endpoint, troubles in TROUBLES.items():
            if endpoint in armed:
                continue
            weights = [trouble.weight for trouble in troubles]
            (trouble,) = self._chance.choices(troubles, weights)
            skip = int(math.log(1 - self._chance.random()) / math.log(1 - _SHARE))
            gateway.fault(endpoint, trouble.name, times=1, skip=skip, **trouble.options)
            self.met[trouble.name] += 1

    def _crash(self) -> None:
        """Crash one thing, or let it do what is as bad."""
        if not self._deck:
            # Each of them before the first comes again, a worker first.
            self._deck = [*_CRASHES]
            self._chance.shuffle(self._deck)
            self._deck.append("worker killed")
        name = self._deck.pop()
        ways: dict[str, Callable[[], None]] = {
            "worker killed": self._kill_worker,
            "worker stopped": self._stop_worker,
            "web server killed": self._house.kill_web,
            "gateway killed": self._kill_gateway,
            "payouts frozen": self._freeze,
        }
        ways[name]()
        self.met[name] += 1

    def _kill_worker(self) -> None:
        name = self._chance.choice(WORKERS)
        self._stopped.pop(name, None)
        self._house.kill_worker(name)

    def _stop_worker(self) -> None:
        """Stop one for longer than its lease, or not so long."""
        name = self._chance.choice(WORKERS)
        self._house.stop_worker(name)
        self._stopped[name] = time.monotonic() + self._chance.choice([2, 8, 11])

    def _wake_workers(self, *, at: float) -> None:
        for name in [name for name, until in self._stopped.items() if until <= at]:
            self._house.wake_worker(name)
            del self._stopped[name]

    def _kill_gateway(self) -> None:
        self._house.kill_gateway()
        self._is_over.wait(self._chance.uniform(0, 1))
        self._house.revive_gateway()


def _harmful(faults: Any) -> list[Any]:
    """Return the faults that are armed but for the one that lets it pay twice."""
    return [one for one in faults["armed"] if one["name"] != "pays-again"]
