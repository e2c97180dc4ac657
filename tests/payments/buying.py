"""Packages and purchases for tests, made the way real ones are."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from payments import gateway, services
from payments.models import CreditPackage, CreditPurchase, GatewayEvent, ReviewCase
from tests.factories import make_user
from tests.simulator_process import WEBHOOK_SECRET, SimulatorProcess

WEBHOOK = "/api/v1/webhooks/paychangu"


def make_package(**fields: Any) -> CreditPackage:
    """A package of 100 credits and 10 more for 1,000 kwacha."""
    terms = {
        "name": "Starter",
        "credits": Decimal("100.00"),
        "bonus_credits": Decimal("10.00"),
        "price": Decimal("1000.00"),
        "currency": "MWK",
        **fields,
    }
    return CreditPackage.objects.create(**terms)


def start(buyer: User | None = None, **fields: Any) -> CreditPurchase:
    """A purchase whose page is open."""
    return services.start_purchase(
        user=buyer or make_user("buyer"), package_id=make_package(**fields).pk
    )


def buy(
    simulator: SimulatorProcess, buyer: User | None = None, **fields: Any
) -> CreditPurchase:
    """A purchase that is paid for and credited."""
    purchase = start(buyer, **fields)
    simulator.control.complete(purchase.tx_ref)
    return services.settle_purchase(tx_ref=purchase.tx_ref)


def settle(purchase: CreditPurchase, **options: Any) -> CreditPurchase:
    """The purchase once the gateway was asked about it."""
    return services.settle_purchase(tx_ref=purchase.tx_ref, **options)


def now_of(purchase: CreditPurchase) -> CreditPurchase:
    """The purchase as it is in the database now."""
    return CreditPurchase.objects.get(pk=purchase.pk)


def purchase_of(case: ReviewCase) -> CreditPurchase:
    """The purchase that a case is about, as it is in the database now."""
    assert case.purchase is not None
    return now_of(case.purchase)


def cases_of(purchase: CreditPurchase) -> list[tuple[str, str, str]]:
    """Kind, what came and state of each case about a purchase, oldest first."""
    return list(purchase.cases.order_by("pk").values_list("kind", "came", "status"))


def event_about(purchase: CreditPurchase, **fields: Any) -> dict[str, Any]:
    """What the gateway's event about a paid purchase says."""
    return {
        "event_type": "checkout.payment",
        "currency": "MWK",
        "amount": 1000,
        "charge": 30,
        "mode": "test",
        "type": "API Payment (Checkout)",
        "status": "success",
        "reference": "26262633201",
        "tx_ref": purchase.tx_ref,
        "meta": "null",
        **fields,
    }


def encode(document: Any) -> bytes:
    """JSON as the gateway's PHP writes it: with every slash escaped."""
    return json.dumps(document).replace("/", "\\/").encode()


def receive(document: Any) -> GatewayEvent:
    """An event that was delivered and that no worker has had yet."""
    body = document if isinstance(document, bytes) else encode(document)
    return services.receive_event(body=body, headers={}, signed_by="webhook")


def process(document: Any) -> GatewayEvent:
    """An event that was delivered and that a worker has had once."""
    return services.process_event(event_id=receive(document).pk)


def deliver(
    client: Client,
    body: bytes,
    *,
    secret: str = WEBHOOK_SECRET,
    url: str = WEBHOOK,
    content_type: str = "application/json",
    **headers: str,
) -> Any:
    """Deliver an event, signed unless a `Signature` is given; empty sends none."""
    signature = headers.pop("Signature", gateway.sign(body, secret))
    if signature:
        headers["Signature"] = signature
    return client.post(url, body, content_type=content_type, headers=headers)
