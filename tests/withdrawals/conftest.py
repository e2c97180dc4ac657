"""A gateway for each test: the simulator, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from tests.simulator_process import SimulatorProcess, start_simulator
from tests.withdrawals.book import judge


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    # Payouts get their result when a test says so.
    with start_simulator(settle_seconds=3600) as running:
        yield running


@pytest.fixture
def gateway(
    request: pytest.FixtureRequest, simulator_process: SimulatorProcess, settings: Any
) -> Any:
    """The simulator's control surface; the settings name it as the gateway."""
    # The cache is in the database, which is the test's own where it commits.
    with_own = "committed" in request.fixturenames
    request.getfixturevalue("committed" if with_own else "db")
    simulator_process.control.reset()
    settings.PAYCHANGU_BASE_URL = simulator_process.base_url
    settings.PAYCHANGU_TIMEOUT_SECONDS = 2
    cache.clear()
    return simulator_process.control


@pytest.fixture
def judged(request: pytest.FixtureRequest, gateway: Any) -> Iterator[None]:
    """Whatever the test does, the gateway's own book is in order at its end."""
    # Asked for before the test, so that it is judged before its database goes.
    name = "committed" if "committed" in request.fixturenames else "db"
    request.getfixturevalue(name)
    yield
    judge(gateway)


@pytest.fixture(autouse=True)
def policy(settings: Any) -> None:
    """No cooling-off and no limits, unless a test says otherwise."""
    settings.PAYOUT_COOLING_OFF_HOURS = 0
    settings.COMMISSION_RATE = 0
    settings.REFUND_WINDOW_DAYS = 0
