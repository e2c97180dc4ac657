"""What is crashed: web server, two workers and the gateway, each a process."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import database_url
from tests.simulator_process import Control, SimulatorProcess, start_simulator, until
from tests.system import System, answers, free_port

WORKERS = ("worker-1", "worker-2")
# Longer than the ten seconds within which a worker that was stopped may still begin a
# call, and the two that a call may take: by then the gateway has got it or never will.
SETTLING_SECONDS = 14
# A gateway without idempotency: only this lets its book show two payouts.
_WORST = {"endpoint": "payout", "fault": "pays-again"}
_FORTUNE = "1000000000"


class House:
    """The running system, and what can befall its parts."""

    def __init__(self, system: System, book: Path) -> None:
        self.system = system
        self._book = book

    @property
    def gateway(self) -> Control:
        """The gateway's control surface; its book is the judge."""
        return self.system.simulator.control

    def kill_worker(self, name: str) -> None:
        """Kill a worker with all that it is doing, and start it again."""
        self.system.kill(name)
        self.system.start(name)

    def kill_web(self) -> None:
        """Kill the web server in the middle of its requests, and start it again."""
        self.system.kill("web")
        self.system.start("web")

    def stop_worker(self, name: str) -> None:
        """Have a worker stand still, as a machine that is out of memory does."""
        os.killpg(self.system.processes[name].pid, signal.SIGSTOP)

    def wake_worker(self, name: str) -> None:
        """Let a worker go on where it stood."""
        os.killpg(self.system.processes[name].pid, signal.SIGCONT)

    def kill_gateway(self) -> None:
        """Kill the gateway; nobody listens at its address."""
        self.system.simulator.kill()

    def revive_gateway(self) -> None:
        """Start the gateway again with the book it had; its faults are gone."""
        port = int(self.system.simulator.base_url.rpartition(":")[2])
        self.system.simulator = _start_gateway(self.system.port, self._book, port=port)


def _start_gateway(web_port: int, book: Path, *, port: int = 0) -> SimulatorProcess:
    gateway = start_simulator(
        f"http://127.0.0.1:{web_port}/api/v1/webhooks/paychangu",
        port=port,
        state=book,
        balance=_FORTUNE,
        faults=[_WORST],
    )
    # Each payout that it does not know has its whole list read.
    gateway.control.post("options", payouts_per_page=100)
    return gateway


@contextmanager
def running_house(database: str, **environment: str) -> Iterator[House]:
    """A web server, two workers as `make run` starts them, and a gateway."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "book.db"
        simulator = _start_gateway(port, book)
        system = System(
            database=database,
            port=port,
            simulator=simulator,
            environment={
                "DATABASE_URL": database_url(database),
                "SITE_URL": f"http://127.0.0.1:{port}",
                "PAYCHANGU_BASE_URL": simulator.base_url,
                "PAYCHANGU_SECRET_KEY": simulator.secret_key,
                "PAYCHANGU_WEBHOOK_SECRET": simulator.webhook_secret,
                "PAYCHANGU_TIMEOUT_SECONDS": "1",
                "PAYOUT_COOLING_OFF_HOURS": "0",
                "CAMPAIGN_SETTLING_SECONDS": str(SETTLING_SECONDS),
                "DJANGO_SETTINGS_MODULE": "tests.campaign.settings",
                "LOG_LEVEL": "ERROR",
                **environment,
            },
        )
        with system:
            for name in ("web", *WORKERS):
                system.start(name)
            until(lambda: answers(system), seconds=90)
            yield House(system, book)
