"""The webhook cases of which none of the other modules is the place, and all by name.

W01 to W48 are the cases that a webhook has to stand; each has a test whose name begins
with its number.
"""

from __future__ import annotations

import ast
import hmac
import itertools
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from payments import gateway, services, webhooks
from payments.gateway import events
from payments.models import GatewayEvent, RefusedDelivery
from tests.factories import balance_of, make_user
from tests.payments.buying import cases_of, deliver, encode, event_about, now_of, start
from tests.simulator_process import WEBHOOK_SECRET, until

ROOT = Path(__file__).resolve().parents[2]
APPS = ("credits_project", "wallets", "payments", "courses", "withdrawals")


def test_every_webhook_case_has_a_test_that_bears_its_number():
    numbers: set[int] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^def test_((?:w\d\d_)+)", file.read_text(), re.M):
            numbers |= {int(number) for number in re.findall(r"\d\d", name)}

    assert {*range(1, 49)} - numbers == set()


# Authenticity


def test_w09_signatures_are_compared_in_constant_time_and_as_bytes(monkeypatch):
    compared: list[Any] = []

    def compare(one: Any, other: Any) -> bool:
        compared.extend([one, other])
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    body = b"{}"
    right = gateway.sign(body, "second")

    for given in (right, "0" * 64, "é" * 64):
        gateway.matching_secret(body, given, ["first", "second"])

    assert len(compared) >= 8
    assert {type(one) for one in compared} == {bytes}


def test_w09_nothing_else_compares_a_signature():
    for module in (events, webhooks):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        compared = [
            ast.unparse(side)
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for side in (node.left, *node.comparators)
        ]
        suspicious = [
            text for text in compared if re.search(r"given|sign\(|secret|digest", text)
        ]
        assert suspicious == []


@pytest.mark.django_db
def test_w46_what_a_forwarded_header_says_changes_nothing():
    body = encode({"event_type": "checkout.payment"})
    spoofed = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "Forwarded": "for=127.0.0.1",
    }

    forged = deliver(Client(), body, Signature="0" * 64, **spoofed)
    from_anywhere = deliver(
        Client(REMOTE_ADDR="203.0.113.9"), body, **{"X-Forwarded-For": "10.0.0.1"}
    )

    assert (forged.status_code, from_anywhere.status_code) == (401, 200)


def test_refused_deliveries_are_counted_by_day_and_reason(committed):
    def counted() -> dict[str, int]:
        today = RefusedDelivery.objects.filter(day=timezone.now().date())
        return dict(today.values_list("reason", "count"))

    for _ in range(30):
        assert deliver(Client(), b"{}", Signature="0" * 64).status_code == 401
    assert deliver(Client(), b"{", secret=WEBHOOK_SECRET).status_code == 400

    # At most once a second, and by monitoring too.
    def all_are_kept() -> bool:
        Client().get("/metrics")
        return counted().get("not-authenticated", 0) >= 30

    until(all_are_kept)
    until(lambda: Client().get("/metrics") and counted().get("invalid-request"))
    assert not GatewayEvent.objects.exists()
    assert RefusedDelivery.objects.count() <= len(counted())
    metrics = Client().get("/metrics").content.decode()
    assert 'credits_refused_deliveries{reason="not-authenticated"}' in metrics


# Delivery

ORDERS = list(itertools.permutations(["failed", "success", "again", "cancelled"]))


@pytest.mark.django_db
@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order) for order in ORDERS])
def test_w37_in_whatever_order_events_come_it_is_one_credit(simulator, order):
    buyer = make_user("buyer")
    purchase = start(buyer)
    bodies = {
        "failed": event_about(purchase, status="failed"),
        "success": event_about(purchase),
        # The same in other bytes, as of another attempt of the gateway's.
        "again": event_about(purchase, completed_at="2026-11-01T00:00:00Z"),
        "cancelled": event_about(purchase, status="cancelled"),
    }
    simulator.control.complete(purchase.tx_ref, "failed")
    simulator.control.complete(purchase.tx_ref)

    for which in order:
        event = services.receive_event(
            body=encode(bodies[which]), headers={}, signed_by="webhook"
        )
        services.process_event(event_id=event.pk)

    assert balance_of(buyer) == Decimal("110.00")
    assert (now_of(purchase).status, cases_of(purchase)) == ("paid", [])
    statuses = GatewayEvent.objects.values_list("status", flat=True)
    assert set(statuses) == {"processed"}


# Outgoing


def test_w48_nothing_but_the_gateways_client_calls_out():
    """There are no webhooks of ours, and no address that a user gives is asked."""
    callers = {
        "aiohttp", "ftplib", "http", "httpx", "requests", "socket", "urllib3",
    }  # fmt: skip
    allowed = {
        "payments/gateway/transport.py",
        # Look whether a port of this machine is free, or who listens on it.
        "credits_project/embedded_postgres.py",
        "credits_project/run.py",
        "credits_project/supervisor.py",
        "credits_project/demo_environment.py",
    }
    found = {}
    for app in APPS:
        for file in (ROOT / app).rglob("*.py"):
            name = str(file.relative_to(ROOT))
            # A process of its own that plays the gateway.
            if name in allowed or name.startswith("payments/simulator/"):
                continue
            imported = set()
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(node.module or "")
            calls = {
                module
                for module in imported
                if (module.partition(".")[0] in callers and module != "http")
                or module == "urllib.request"
            }
            if calls:
                found[name] = calls

    assert found == {}
