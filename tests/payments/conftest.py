"""What the tests of money in share: the gateway's simulator, and people who buy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.factories import make_staff
from tests.simulator_process import SimulatorProcess, start_simulator


@pytest.fixture(scope="session")
def _simulator() -> Iterator[SimulatorProcess]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(
    _simulator: SimulatorProcess, settings: Any
) -> Iterator[SimulatorProcess]:
    """A gateway without history, which the settings name."""
    _simulator.control.reset()
    settings.PAYCHANGU_BASE_URL = _simulator.base_url
    settings.PAYCHANGU_TIMEOUT_SECONDS = 5
    yield _simulator
    _simulator.control.reset()


@pytest.fixture
def support(db: None) -> User:
    return make_staff("support")
