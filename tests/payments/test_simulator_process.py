"""The simulator as a process: starting, ending, going on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from payments.gateway import Outcome
from tests.payments.simulated import client_of, open_checkout, send_mobile
from tests.payments.simulated import merchant as merchant
from tests.payments.simulated import running as running
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import start_simulator, until


def test_restart_keeps_the_state_and_goes_on_with_the_work(merchant, tmp_path):
    state = tmp_path / "state.sqlite3"
    with start_simulator(merchant.url, state=state, settle_seconds=60) as first:
        client = client_of(first)
        open_checkout(client)
        first.control.complete("purchase-1")
        send_mobile(client)
        until(lambda: merchant.received)
        first.kill()

    with start_simulator(merchant.url, state=state, settle_seconds=0) as second:
        client = client_of(second)
        assert client.verify("purchase-1").outcome is Outcome.PAID
        until(lambda: second.control.payout("withdrawal-1")["status"] == "success")
        # The kill may have come between a delivery and the note of it: then it is
        # delivered again, as the gateway does too.
        until(lambda: any(b"withdrawal-1" in one.body for one in merchant.received))


@pytest.mark.parametrize(
    "options",
    [["--port", "{taken}"], ["--port", "99999"], ["--state", "/no/such/folder/state"]],
)
def test_what_keeps_it_from_starting_gets_one_clear_line(simulator, options):
    taken = simulator.base_url.rpartition(":")[2]

    ended = subprocess.run(
        [sys.executable, "-m", "payments.simulator", "--port=0"]
        + [option.format(taken=taken) for option in options],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[2],
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("The simulator cannot start: ")
    assert ended.stderr.count("\n") == 1


def test_simulator_ends_when_its_starter_does():
    one = start_simulator()

    one.process.communicate(timeout=20)

    assert one.process.returncode == 0


def test_simulator_imports_nothing_of_ours():
    script = (
        "import sys, payments.simulator.cli;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " {'django', 'credits_project', 'wallets', 'courses', 'withdrawals'}"
        " or name.startswith('payments.') and not"
        " name.startswith('payments.simulator')])"
    )

    seen = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert seen.stdout.strip() == "[]"
