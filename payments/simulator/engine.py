"""The simulator's state and clockwork, shared by everything it serves."""

from __future__ import annotations

import heapq
import itertools
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from payments.simulator.faults import Faults
from payments.simulator.store import Store


@dataclass(kw_only=True, slots=True)
class Options:
    """How the simulator runs; times in seconds, the fee as a fraction."""

    host: str = "127.0.0.1"
    port: int = 8400
    # Where browsers find it; empty is host and port.
    public_url: str = ""
    webhook_url: str = ""
    secret_key: str = "sec-test-simulator"  # noqa: S105 (known to everybody)
    webhook_secret: str = "simulator-webhook-secret"  # noqa: S105 (the same)
    # Sources disagree which key signs webhooks: "webhook" or "api".
    sign_with: str = "webhook"
    mode: str = "test"
    state: Path | None = None
    settle_seconds: float = 1.5
    # The real gateway waits 30 minutes between its deliveries.
    retry_seconds: float = 5.0
    webhook_timeout_seconds: float = 30.0
    session_seconds: float = 3600.0
    balance: Decimal = Decimal(1_000_000)
    fee_rate: Decimal = Decimal("0.03")
    # Rows of a page of the list of payouts, where the request does not say.
    payouts_per_page: int = 10


class Scheduler:
    """Runs functions later, each in a thread of its own."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._running = 0
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Run `work` after `seconds`."""
        with self._wake:
            due = time.monotonic() + seconds
            heapq.heappush(self._due, (due, next(self._numbers), work))
            self._wake.notify_all()

    def clear(self, *, seconds: float = 10) -> None:
        """Forget what is due, and wait for what is running to end."""
        with self._wake:
            self._due.clear()
            self._wake.wait_for(lambda: not self._running, timeout=seconds)
            # What was running may have planned more.
            self._due.clear()

    def stop(self) -> None:
        """Run nothing any more."""
        with self._wake:
            self._is_stopped = True
            self._wake.notify_all()

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._is_stopped:
                    return
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is None or wait > 0:
                    self._wake.wait(wait)
                    continue
                _, _, work = heapq.heappop(self._due)
                self._running += 1
            threading.Thread(target=self._do, args=(work,), daemon=True).start()

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            with self._wake:
                self._running -= 1
                self._wake.notify_all()


@dataclass(slots=True)
class Engine:
    """One simulated gateway."""

    options: Options
    store: Store
    faults: Faults = field(default_factory=Faults)
    scheduler: Scheduler = field(default_factory=Scheduler)
    # Requests by endpoint, so that a test can count what was really asked.
    counts: dict[str, int] = field(default_factory=dict)
    # Events that wait for a newer one to overtake them.
    held_back: list[str] = field(default_factory=list)

    @property
    def public_url(self) -> str:
        """The address of the simulator, without a slash at the end."""
        options = self.options
        own = f"http://{options.host}:{options.port}"
        return (options.public_url or own).rstrip("/")

    def count(self, endpoint: str) -> None:
        """Note a request."""
        with self.store.lock:
            self.counts[endpoint] = self.counts.get(endpoint, 0) + 1

    def balances(self) -> dict[str, str]:
        """Return `main` and `collection` as text."""
        start = {"main": f"{self.options.balance:.2f}", "collection": "0"}
        return self.store.get("balance", "MWK") or start

    def move(self, name: str, amount: Decimal) -> None:
        """Add `amount`, which may be negative, to the balance `name`."""
        with self.store.lock:
            balances = self.balances()
            balances[name] = f"{Decimal(balances[name]) + amount:.2f}"
            self.store.put("balance", "MWK", balances)


def new_reference() -> str:
    """Return a reference of the gateway: 11 digits, as text."""
    return str(10**10 + secrets.randbelow(9 * 10**10))
