"""One payment, told a thousand times, fifty at a time, while all ask: one credit.

ONE_PAYMENT_DELIVERIES is how often it is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
from django.db import connections
from django.utils import timezone

from payments import services
from payments.models import GatewayEvent
from tests.journeys import people
from tests.money_in.crowd import asking
from tests.payments.buying import WEBHOOK
from tests.simulator_process import until
from tests.system import System, answers, free_port, start_system
from wallets.models import CreditTransfer

DELIVERIES = int(os.environ.get("ONE_PAYMENT_DELIVERIES") or 1000)
AT_ONCE = 50


@pytest.fixture
def system(committed: str, settings: Any) -> Iterator[System]:
    """The running system, which this process sees and can sweep like a worker."""
    with start_system(committed) as running:
        settings.PAYCHANGU_BASE_URL = running.simulator.base_url
        yield running


@pytest.fixture
def second_site(system: System) -> Iterator[str]:
    """A second web server beside the first, as a busy site has."""
    second = replace(system, port=free_port(), processes={})
    second.start("web")
    try:
        until(lambda: answers(second), seconds=60)
        yield second.site
    finally:
        second.kill("web")


def test_w34_w36_one_payment_told_a_thousand_times_is_credited_once(
    system, second_site
):
    buyer, _ = people.new_person(system, "buyer")
    purchase = people.buy(buyer, people.new_package(credits="100.00", bonus="10.00"))
    # Kept back by the gateway, so that all deliveries can come together.
    system.simulator.control.fault("webhook", "lost", times=1)
    system.simulator.control.complete(purchase["tx_ref"])
    (delivery,) = system.simulator.control.deliveries(purchase["tx_ref"])
    sites = (system.site, second_site)

    def tell(number: int) -> int:
        return _deliver(delivery, to=sites[number % 2])

    def come_back() -> None:
        page = f"{second_site}/payments/return"
        query = {"tx_ref": purchase["tx_ref"], "status": "success"}
        assert requests.get(page, params=query, timeout=60).status_code == 200

    def read() -> None:
        buyer.get(f"/purchases/{purchase['id']}")

    def poll() -> None:
        try:
            services.sweep(now=timezone.now(), everything=True)
        finally:
            connections.close_all()

    with (
        asking(come_back, come_back, read, read, poll, poll),
        ThreadPoolExecutor(AT_ONCE) as senders,
    ):
        told = list(senders.map(tell, range(DELIVERIES)))

    assert told == [200] * DELIVERIES
    event = until(
        lambda: GatewayEvent.objects.filter(status="processed").first(), seconds=60
    )
    assert event.deliveries == DELIVERIES
    assert GatewayEvent.objects.count() == 1
    assert CreditTransfer.objects.filter(key__startswith="purchase:").count() == 1
    assert buyer.get(f"/purchases/{purchase['id']}")["status"] == "paid"
    transactions = buyer.get("/wallet/transactions")["results"]
    assert [one["amount"] for one in transactions] == ["110.00"]


def _deliver(delivery: Any, *, to: str) -> int:
    """Deliver what the gateway would have, byte for byte; return the status."""
    answer = requests.post(
        f"{to}{WEBHOOK}",
        delivery["body"].encode(),
        headers={
            "Content-Type": "application/json",
            "Signature": delivery["signature"],
        },
        timeout=60,
    )
    return answer.status_code
