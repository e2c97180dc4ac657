"""What tests of the simulator share: one running, one merchant, one client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from payments.gateway import CheckoutSession, Gateway, GatewayConfig, PayoutResult
from tests.payments.webhook_receiver import WebhookReceiver
from tests.simulator_process import SECRET_KEY, SimulatorProcess, start_simulator, until

AIRTEL = "20be6c20-adeb-4b5b-a7ba-0769820df4fb"
TNM = "27494cb5-ba9e-437f-a114-4e7a7686bcca"
NATIONAL_BANK = "82310dd1-ec9b-4fe7-a32c-2f262ef08681"

CALLBACK = "http://127.0.0.1:9/payments/return?shop=1"
RETURN = "http://127.0.0.1:9/payments/return"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[SimulatorProcess, WebhookReceiver]]:
    """A simulator and the merchant it tells, for a whole module."""
    with (
        WebhookReceiver() as merchant,
        start_simulator(merchant.url, settle_seconds=0.1, retry_seconds=0.1) as one,
    ):
        yield one, merchant


@pytest.fixture
def simulator(
    running: tuple[SimulatorProcess, WebhookReceiver],
) -> SimulatorProcess:
    """The simulator, having forgotten everything."""
    simulator, merchant = running
    simulator.control.reset()
    merchant.forget()
    return simulator


@pytest.fixture
def merchant(
    simulator: SimulatorProcess, running: tuple[SimulatorProcess, WebhookReceiver]
) -> WebhookReceiver:
    """The merchant that the simulator tells."""
    return running[1]


@pytest.fixture
def client(simulator: SimulatorProcess) -> Gateway:
    """Our client of the simulator."""
    return client_of(simulator)


@pytest.fixture
def paid(client: Gateway, simulator: SimulatorProcess) -> Callable[[], Any]:
    """Pay, and return the delivery of the event once it is over."""

    def pay() -> Any:
        open_checkout(client)
        simulator.control.complete("purchase-1")

        def finished() -> Any:
            (delivery,) = simulator.control.deliveries("purchase-1")
            return delivery if delivery["state"] != "pending" else None

        return until(finished)

    return pay


def client_of(simulator: SimulatorProcess, *, seconds: float = 10) -> Gateway:
    return Gateway(
        GatewayConfig(
            base_url=simulator.base_url,
            secret_key=SECRET_KEY,
            read_timeout_seconds=seconds,
        )
    )


def open_checkout(
    client: Gateway, tx_ref: str = "purchase-1", **options: Any
) -> CheckoutSession:
    wanted: dict[str, Any] = {
        "amount": Decimal(1000),
        "currency": "MWK",
        "callback_url": CALLBACK,
        "return_url": RETURN,
        "title": "Course Credits",
        **options,
    }
    return client.start_checkout(tx_ref=tx_ref, **wanted)


def send_mobile(
    client: Gateway, charge_id: str = "withdrawal-1", **options: Any
) -> PayoutResult:
    wanted: dict[str, Any] = {
        "amount": Decimal(5000),
        "mobile": "990000000",
        "operator_id": AIRTEL,
        **options,
    }
    return client.send_mobile_payout(charge_id=charge_id, **wanted)


def send_bank(client: Gateway, charge_id: str = "withdrawal-1") -> PayoutResult:
    return client.send_bank_payout(
        charge_id=charge_id,
        amount=Decimal(5000),
        bank_id=NATIONAL_BANK,
        account_name="Thoko Banda",
        account_number="1007534422",
    )
