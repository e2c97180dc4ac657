"""Start the gateway's simulator for tests: a process of its own, spoken to by HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import requests

SECRET_KEY = "sec-test-for-tests-only"
WEBHOOK_SECRET = "webhook-secret-for-tests-only"
_ROOT = Path(__file__).resolve().parents[1]


def until(look: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Return the first true value of `look`, asking again until it has one."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"still {seen!r} after {seconds} s")
        time.sleep(0.02)


class Control:
    """The simulator's control surface, `/_control/`."""

    def __init__(self, base_url: str) -> None:
        self._base = f"{base_url}/_control"

    def get(self, path: str) -> Any:
        """Return the JSON document at `path`."""
        answer = requests.get(f"{self._base}/{path}", timeout=20)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **document: Any) -> Any:
        """Post `document`; return the answer's document."""
        answer = requests.post(f"{self._base}/{path}", json=document, timeout=20)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def state(self) -> Any:
        """Return everything: payments, payouts, deliveries, balance, faults, counts."""
        return self.get("state")

    def fault(
        self, endpoint: str, name: str, *, times: int | None = None, **options: Any
    ) -> None:
        """Arm a fault, for ever unless `times` is given."""
        self.post("faults", endpoint=endpoint, fault=name, times=times, **options)

    def clear_faults(self) -> None:
        """Disarm all faults."""
        requests.delete(f"{self._base}/faults", timeout=20).raise_for_status()

    def complete(self, tx_ref: str, outcome: str = "success") -> Any:
        """Pay, or fail to pay, without the page."""
        return self.post(f"payments/{tx_ref}/complete", outcome=outcome)

    def settle(self, charge_id: str, outcome: str = "success") -> Any:
        """Give a payout its result now."""
        return self.post(f"payouts/{charge_id}/settle", outcome=outcome)

    def payment(self, tx_ref: str) -> Any:
        """Return a payment as the simulator keeps it."""
        return self.get(f"payments/{tx_ref}")

    def payout(self, charge_id: str) -> Any:
        """Return a payout as the simulator keeps it."""
        return self.get(f"payouts/{charge_id}")

    def deliveries(self, about: str) -> list[Any]:
        """Return the deliveries of events about one transaction, oldest first."""
        everything = self.state()["deliveries"]
        return [one for one in everything if one["about"] == about]

    def reset(self) -> None:
        """Forget everything."""
        self.post("reset")


class SimulatorProcess:
    """A running simulator. Ends with `stop()`, a `with` block, or this process."""

    def __init__(self, process: subprocess.Popen[str], base_url: str) -> None:
        self.process = process
        self.base_url = base_url
        self.control = Control(base_url)
        self.secret_key = SECRET_KEY
        self.webhook_secret = WEBHOOK_SECRET

    def stop(self) -> None:
        """End the process and wait for it; it must end in peace."""
        is_running = self.process.poll() is None
        self.process.terminate()
        self._wait()
        assert not is_running or self.process.returncode == 0

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self._wait()

    def _wait(self) -> None:
        self.process.communicate(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_simulator(
    webhook_url: str = "",
    *,
    port: int = 0,
    faults: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> SimulatorProcess:
    """Start a simulator on a free port and return it when it answers.

    `options` are those of the command line with underscores (`settle_seconds=0.1`,
    `state=path`, `sign_with="api"`); `faults` are bodies for `/_control/faults`. It
    settles payouts after 0.2 s and repeats webhooks after 0.3 s unless told otherwise.
    """
    settings = {
        "webhook_url": webhook_url,
        "secret_key": SECRET_KEY,
        "webhook_secret": WEBHOOK_SECRET,
        "settle_seconds": 0.2,
        "retry_seconds": 0.3,
        "port": port,
        **options,
    }
    command = [sys.executable, "-m", "payments.simulator", "--stop-on-eof"]
    for name, value in settings.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        # Closed when this process ends, however it ends: the simulator then ends too.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    base_url = line.strip().rpartition(" ")[2]
    if not base_url.startswith("http"):
        process.kill()
        process.communicate()
        raise AssertionError(f"the simulator did not start: {line!r}")
    simulator = SimulatorProcess(process, base_url)
    until(lambda: _is_healthy(base_url))
    for fault in faults:
        simulator.control.post("faults", **fault)
    return simulator


def _is_healthy(base_url: str) -> bool:
    try:
        return requests.get(f"{base_url}/_control/health", timeout=5).ok
    except requests.ConnectionError:
        return False
