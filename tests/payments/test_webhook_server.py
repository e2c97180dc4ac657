"""The webhook behind the running system: odd requests, kills, floods and sleepers."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import requests

from payments import gateway, webhooks
from payments.models import CreditPurchase, GatewayEvent, RefusedDelivery
from tests.factories import balance_of, make_user
from tests.payments.buying import WEBHOOK, cases_of, encode, event_about, now_of, start
from tests.payments.canned_gateway import CannedGateway, http
from tests.postgres import database_url
from tests.simulator_process import WEBHOOK_SECRET, until
from tests.system import System, start_system
from wallets.models import CreditTransfer

BODY = b'{"event_type": "checkout.payment"}'
RIGHT = f"Signature: {gateway.sign(BODY, WEBHOOK_SECRET)}"
WRONG = f"Signature: {'0' * 64}"


@pytest.fixture
def system(committed: str) -> Iterator[System]:
    with start_system(committed) as system:
        yield system


def send(system: System, *headers: str, body: bytes = BODY) -> int:
    """Send a request as written; return the status of the answer."""
    head = "\r\n".join(
        [
            f"POST {WEBHOOK} HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            "Connection: close",
            *headers,
        ]
    )
    with socket.create_connection(("127.0.0.1", system.port), timeout=20) as peer:
        peer.sendall(f"{head}\r\n\r\n".encode() + body)
        answer = peer.makefile("rb").readline()
    return int(answer.split()[1])


def test_w07_w18_odd_requests_are_refused_by_the_running_server(system):
    length = f"Content-Length: {len(BODY)}"
    chunked = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    large = webhooks.BODY_LENGTH_MAX + 1

    assert send(system, length, RIGHT) == 200
    # W07: whichever of the two a server would hand on.
    assert send(system, length, WRONG, RIGHT) == 401
    assert send(system, length, RIGHT, WRONG) == 401
    assert send(system, length, RIGHT, RIGHT) == 401
    assert send(system, length, WRONG) == 401
    # W18: answered without waiting for the body, which never comes.
    assert send(system, f"Content-Length: {large}", RIGHT, body=b"") == 413
    assert send(system, "Transfer-Encoding: chunked", RIGHT, body=chunked) in {200, 401}
    assert send(system, length, "Content-Encoding: gzip", RIGHT) == 415

    assert GatewayEvent.objects.count() == 1


def deliver(site: str, body: bytes, **headers: str) -> int:
    """Deliver an event; return the status of the answer, 0 where there was none."""
    headers = {"Signature": gateway.sign(body, WEBHOOK_SECRET), **headers}
    headers["Content-Type"] = "application/json"
    try:
        answer = requests.post(
            f"{site}{WEBHOOK}", data=body, headers=headers, timeout=60
        )
    except requests.ConnectionError:
        return 0
    return answer.status_code


def is_up(system: System) -> bool:
    try:
        return requests.get(f"{system.site}/readyz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def paid_order(system: System, settings: Any) -> tuple[CreditPurchase, bytes]:
    """A purchase that is paid for, and the event about it, which nobody has sent."""
    settings.PAYCHANGU_BASE_URL = system.simulator.base_url
    purchase = start(make_user("buyer"))
    system.simulator.control.fault("webhook", "lost")
    system.simulator.control.complete(purchase.tx_ref)
    # The poller leaves it alone: what is tested here is the event.
    CreditPurchase.objects.update(next_check_at=None)
    return purchase, encode(event_about(purchase))


def test_w39_w40_an_event_outlives_web_and_worker_killed_right_after_it_is_kept(
    committed, settings
):
    address = database_url(committed)
    address += "&" if "?" in address else "?"
    address += "options=-c%20lock_timeout%3D60s%20-c%20statement_timeout%3D60s"
    with start_system(committed, DATABASE_URL=address) as system:
        system.kill("worker")
        purchase, body = paid_order(system, settings)
        answers: list[int] = []
        with psycopg.connect(database_url(committed)) as blocking:
            # The event is kept; to wake a worker takes this table, and time.
            blocking.execute("LOCK TABLE procrastinate_jobs IN ACCESS EXCLUSIVE MODE")
            sender = threading.Thread(
                target=lambda: answers.append(deliver(system.site, body))
            )
            sender.start()
            until(GatewayEvent.objects.exists)
            system.kill("web")
            sender.join(timeout=60)
        # W39: no answer, so the gateway delivers it again.
        assert answers == [0]
        system.start("web")
        until(lambda: is_up(system), seconds=60)
        assert deliver(system.site, body) == 200
        assert GatewayEvent.objects.get().deliveries == 2

        # W40: answered, and then everything that knew of it is gone but the table.
        system.kill("web")
        with psycopg.connect(database_url(committed), autocommit=True) as other:
            other.execute("TRUNCATE procrastinate_jobs CASCADE")
        assert now_of(purchase).status == "pending"
        system.start("worker")
        until(lambda: now_of(purchase).status == "paid", seconds=60)

    assert balance_of(purchase.user) == Decimal("110.00")
    assert CreditTransfer.objects.filter(key__startswith="purchase:").count() == 1


def test_w42_w45_neither_a_slow_gateway_nor_a_flood_keeps_events_waiting(
    committed, settings
):
    with start_system(committed) as system:
        purchase, body = paid_order(system, settings)
        # W42: half a minute for each question.
        system.simulator.control.fault("verify", "slow", seconds=30)
        assert deliver(system.site, body) == 200
        until(lambda: system.simulator.control.state()["counts"].get("verify"))
        others = [encode({"number": number}) for number in range(10)]
        assert {deliver(system.site, other) for other in others} == {200}
        # All were answered before the gateway's first answer.
        assert now_of(purchase).checks == 0

        # W45: what is forged is refused, and neither read nor written down one by one.
        kept = GatewayEvent.objects.count()
        with ThreadPoolExecutor(8) as pool:
            flood = [
                pool.submit(deliver, system.site, BODY, Signature="0" * 64)
                for _ in range(400)
            ]
            assert deliver(system.site, encode({"number": "amid"})) == 200
            assert requests.get(f"{system.site}/api/v1/credit-packages", timeout=60).ok
            assert {one.result() for one in flood} == {401}

        def all_are_counted() -> bool:
            assert requests.get(f"{system.site}/metrics", timeout=60).ok
            row = RefusedDelivery.objects.filter(reason="not-authenticated").first()
            return row is not None and row.count == 400

        until(all_are_counted)
        assert RefusedDelivery.objects.count() <= 2
        assert GatewayEvent.objects.count() == kept + 1


def test_a_worker_that_was_stopped_while_it_asked_cannot_write_when_it_wakes(
    committed, settings
):
    """F04: another one has taken over its lease, and done the work."""
    is_stopped = threading.Event()
    told: dict[str, Any] = {}

    def paid(peer: socket.socket) -> None:
        http({"status": "success", "data": told})(peer)

    def failed_once_it_is_stopped(peer: socket.socket) -> None:
        is_stopped.wait(60)
        http({"status": "success", "data": {**told, "status": "failed"}})(peer)

    with (
        CannedGateway(failed_once_it_is_stopped, paid) as slow,
        start_system(
            committed, PAYCHANGU_BASE_URL=slow.base_url, PAYCHANGU_TIMEOUT_SECONDS="5"
        ) as system,
    ):
        purchase, body = paid_order(system, settings)
        told |= {
            "tx_ref": purchase.tx_ref,
            "status": "success",
            "amount": 1000,
            "currency": "MWK",
            "mode": "test",
        }
        assert deliver(system.site, body) == 200
        until(lambda: slow.requests)
        sleeper = system.processes["sleeper"] = system.processes.pop("worker")
        os.killpg(sleeper.pid, signal.SIGSTOP)
        is_stopped.set()
        event = GatewayEvent.objects.get()
        assert (event.status, event.attempts) == ("received", 1)

        # Its lease ends, and another worker takes over.
        system.start("worker")
        until(lambda: GatewayEvent.objects.get().status == "processed", seconds=90)
        system.kill("worker")
        done, event = now_of(purchase), GatewayEvent.objects.get()
        assert (done.status, event.attempts) == ("paid", 2)
        os.killpg(sleeper.pid, signal.SIGCONT)
        # It is awake, and does new work with what it is.
        assert deliver(system.site, encode({"number": 1})) == 200
        until(lambda: GatewayEvent.objects.filter(status="parked").exists(), seconds=60)

        event.refresh_from_db()
        assert (event.status, event.attempts) == ("processed", 2)
        assert event.lease_token is None
        assert (now_of(purchase).status, cases_of(purchase)) == ("paid", [])

    assert balance_of(purchase.user) == Decimal("110.00")
