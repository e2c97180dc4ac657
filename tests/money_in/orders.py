"""Orders in each state that the gateway knows, for deliveries to be about."""

from __future__ import annotations

from payments import services
from payments.models import CreditPurchase
from tests.factories import make_user
from tests.payments.buying import make_package
from tests.simulator_process import SimulatorProcess
from wallets.models import CreditTransfer

# By what the gateway knows of them: "unpaid", "failed", "paid".
Orders = dict[str, list[CreditPurchase]]
_STATES = ("unpaid", "failed", "paid")
_OF_EACH = 5


def make_orders(simulator: SimulatorProcess) -> Orders:
    """Start purchases and do at the gateway what they are named for.

    Nobody here hears of it: the gateway's own events are lost.
    """
    simulator.control.fault("webhook", "lost")
    package = make_package()

    def start() -> CreditPurchase:
        buyer = make_user("buyer")
        return services.start_purchase(user=buyer, package_id=package.pk)

    made = {
        name: [start() for _ in range(_OF_EACH)]
        for name in ("unpaid", "failed", "paid")
    }
    for purchase in made["failed"]:
        simulator.control.complete(purchase.tx_ref, "failed")
    for purchase in made["paid"]:
        simulator.control.complete(purchase.tx_ref)
    return made


def names_of(orders: Orders) -> list[str]:
    """Return what deliveries may name: the orders, and one that nobody made."""
    return [*(one.tx_ref for group in orders.values() for one in group), "nobody-s"]


def no_credit_but_for_the_paid(orders: Orders) -> None:
    """Look that whoever was credited had paid."""
    paid = {f"purchase:{purchase.pk}" for purchase in orders["paid"]}
    assert set(CreditTransfer.objects.values_list("key", flat=True)) <= paid
