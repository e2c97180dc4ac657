"""The ways to arm a fault: the page, the command line, and HTTP; each arms the same."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from payments.simulator import faults, panel
from payments.simulator.wire import Refused
from tests.payments.simulated import running as running
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import SimulatorProcess, start_simulator

_ROOT = Path(__file__).parents[2]
PRESETS = [(endpoint, name) for _, _, endpoint, name in panel.PRESETS]


def by_page(simulator: SimulatorProcess, endpoint: str, name: str) -> requests.Response:
    form = {"action": "arm", "preset": f"{endpoint}:{name}", "times": "3"}
    return requests.post(f"{simulator.base_url}/_dashboard", data=form, timeout=20)


def by_http(simulator: SimulatorProcess, endpoint: str, name: str) -> None:
    simulator.control.fault(endpoint, name, times=3)


def by_command_line(simulator: SimulatorProcess, endpoint: str, name: str) -> None:
    command(simulator, "--fault", f"{endpoint}:{name}:3")


def command(
    simulator: SimulatorProcess, *arguments: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command line against a simulator that runs."""
    program = [sys.executable, "-m", "payments.simulator", "--at", simulator.base_url]
    ended = subprocess.run(
        [*program, *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == status, ended.stderr
    return ended


def armed(simulator: SimulatorProcess) -> list[Any]:
    return list(simulator.control.get("faults")["armed"])


@pytest.mark.parametrize(("endpoint", "name"), PRESETS)
def test_a_button_of_the_page_arms_what_http_arms(simulator, endpoint, name):
    by_http(simulator, endpoint, name)
    (wanted,) = armed(simulator)
    simulator.control.clear_faults()

    page = by_page(simulator, endpoint, name)

    (seen,) = armed(simulator)
    # A button has no place for a number of copies, so it says one.
    assert {**seen, "options": {}} == wanted
    assert f"<strong>{name}</strong> on {endpoint}, × 3" in page.text


@pytest.mark.parametrize("arm", [by_page, by_http, by_command_line])
def test_every_door_arms_the_same(simulator, arm: Callable[..., Any]):
    arm(simulator, "verify", "truncated")

    assert armed(simulator) == [
        {"endpoint": "verify", "name": "truncated", "times": 3, "options": {}}
    ]


def test_the_command_line_says_what_is_armed_and_can_clear_it_first(simulator):
    simulator.control.fault("webhook", "lost")

    ended = command(
        simulator, "--clear-faults", "--fault", "verify:slow,seconds=2.5,note=x"
    )

    assert ended.stdout == "armed: slow on verify, until cleared\n"
    assert armed(simulator) == [
        {
            "endpoint": "verify",
            "name": "slow",
            "times": None,
            "options": {"seconds": 2.5, "note": "x"},
        }
    ]
    assert command(simulator, "--clear-faults").stdout == "no fault is armed\n"


def test_a_simulator_can_start_with_faults():
    with start_simulator(fault="webhook:lost:2") as simulator:
        assert armed(simulator) == [
            {"endpoint": "webhook", "name": "lost", "times": 2, "options": {}}
        ]


@pytest.mark.parametrize("text", ["verify:no-such", "lost", "webhook:lost:x", ""])
def test_the_command_line_refuses_what_is_no_fault(simulator, text):
    ended = command(simulator, "--fault", text, status=2)

    assert "argument --fault" in ended.stderr
    assert armed(simulator) == []


def test_a_command_to_nobody_says_so_in_one_line(simulator):
    ended = command(simulator, "--at", "http://127.0.0.1:9", status=1)

    assert ended.stderr.startswith("The simulator does not answer: ")
    assert ended.stderr.count("\n") == 1


def test_the_page_arms_any_fault_with_its_numbers(simulator):
    form = {"action": "arm", "endpoint": "lookup", "fault": "slow", "times": ""}
    requests.post(
        f"{simulator.base_url}/_dashboard", data={**form, "seconds": "4"}, timeout=20
    )

    assert armed(simulator) == [
        {
            "endpoint": "lookup",
            "name": "slow",
            "times": None,
            "options": {"seconds": 4},
        }
    ]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"preset": "webhook:lost", "times": "-1"}, "times must be a whole number"),
        ({"preset": "webhook:lost", "times": "0"}, "times must be a number above 0"),
        ({"endpoint": "webhook", "fault": "html-before"}, "fault not one of webhook"),
        ({"endpoint": "<b>", "fault": "slow"}, "endpoint unknown: &lt;b&gt;"),
        ({}, "fault unknown:"),
    ],
)
def test_the_page_says_what_it_cannot_do(simulator, form, said):
    answer = requests.post(
        f"{simulator.base_url}/_dashboard", data={"action": "arm", **form}, timeout=20
    )

    assert answer.status_code == 422
    assert said in answer.text
    assert armed(simulator) == []


def test_a_fault_can_be_disarmed_alone(simulator):
    simulator.control.fault("webhook", "lost")
    simulator.control.fault("verify", "slow")
    page = requests.get(simulator.base_url, timeout=20).text
    assert 'value="webhook:lost"' in page

    form = {"action": "disarm", "key": "webhook:lost"}
    requests.post(f"{simulator.base_url}/_dashboard", data=form, timeout=20)

    assert [fault["name"] for fault in armed(simulator)] == ["slow"]


def test_the_page_offers_every_endpoint_and_every_fault(simulator):
    page = html.unescape(requests.get(simulator.base_url, timeout=20).text)

    offered = set(re.findall(r"<option>([^<]+)</option>", page))

    assert offered == {*faults.ENDPOINTS, *faults.GROUPS, *faults.NAMES}


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("webhook", "html-before"),
        ("verify", "lost"),
        ("payout-result", "slow"),
        ("any", "no-withdrawals"),
        ("balance", "contradicts"),
        ("attempt", "failed"),
    ],
)
def test_a_fault_that_an_endpoint_cannot_have_is_refused(endpoint, name):
    with pytest.raises(Refused, match="not one of"):
        faults.Fault(endpoint=endpoint, name=name).check()


@pytest.mark.parametrize("option", ["seconds=soon", "seconds=-1", "count=[]"])
def test_an_option_that_must_be_a_number_is_one(option):
    with pytest.raises(Refused, match="must be a number"):
        faults.read_fault(f"webhook:delay,{option}")
