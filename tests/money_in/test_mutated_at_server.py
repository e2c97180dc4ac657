"""Spoiled deliveries at the running server, whose worker processes what is kept."""

from __future__ import annotations

import http.client
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from payments.models import GatewayEvent
from tests.money_in.mutations import Delivery, Mutator
from tests.money_in.orders import make_orders, names_of, no_credit_but_for_the_paid
from tests.money_in.test_mutated_deliveries import SEED
from tests.payments.buying import WEBHOOK, now_of
from tests.simulator_process import until
from tests.system import System, start_system

_DELIVERIES = 400


@pytest.fixture
def system(committed: str, settings: Any) -> Iterator[System]:
    with start_system(committed) as running:
        settings.PAYCHANGU_BASE_URL = running.simulator.base_url
        yield running


def test_no_spoiled_delivery_is_an_error_of_the_server_or_ends_the_worker(system):
    sys.stdout.write(f"\nMUTATED_SEED={SEED}\n")
    orders = make_orders(system.simulator)
    mutator = Mutator(seed=SEED + 2, names=names_of(orders))
    worker = system.processes["worker"].pid

    answers = Counter(_send(system, mutator.draw()) for _ in range(_DELIVERIES))

    assert set(answers) <= {200, 400, 401, 413, 431}, answers
    assert answers[200] > _DELIVERIES // 4
    until(lambda: not GatewayEvent.objects.filter(attempts=0).exists(), seconds=120)
    no_credit_but_for_the_paid(orders)
    # Who did all that is the one who was started, and has complained of nothing.
    assert system.processes["worker"].pid == worker
    assert system.processes["worker"].poll() is None
    assert "Traceback" not in system.printed()
    # The next one in order is served.
    system.simulator.control.clear_faults()
    (paid, *_) = orders["paid"]
    (told,) = system.simulator.control.deliveries(paid.tx_ref)
    system.simulator.control.post(f"deliveries/{told['id']}/resend")
    until(lambda: now_of(paid).status == "paid", seconds=60)


def _send(system: System, delivery: Delivery) -> int:
    """Send a delivery as it is; return the status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if delivery.signature:
        headers["Signature"] = delivery.signature
    try:
        connection.request("POST", WEBHOOK, delivery.body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
