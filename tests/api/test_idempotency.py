"""A key names one request of one person for ever, whatever happens on the way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection
from rest_framework.test import APIClient

from tests.api import urls
from tests.api.keyed import KEYED, Keyed
from tests.factories import PASSWORD, make_user
from tests.simulator_process import start_simulator, until
from tests.system import Client, System, start_system

OPERATIONS = pytest.mark.parametrize("name", KEYED)
AT_ONCE = 50


@pytest.fixture
def everything_on(settings: Any) -> None:
    settings.USER_TRANSFERS_ENABLED = True
    settings.REFUND_WINDOW_DAYS = 0
    settings.PAYOUT_COOLING_OFF_HOURS = 0


@pytest.fixture
def keyed(name: str, everything_on: None, simulator: Any, settings: Any) -> Keyed:
    if "refund" in name:
        settings.REFUND_WINDOW_DAYS = 14
    return KEYED[name]()


@pytest.fixture
def simulator(settings: Any) -> Iterator[Any]:
    with start_simulator(settle_seconds=3600) as running:
        settings.PAYCHANGU_BASE_URL = running.base_url
        settings.PAYCHANGU_SECRET_KEY = running.secret_key
        yield running


def send(user: Any, path: str, body: Any, key: str) -> Any:
    client = APIClient()
    client.force_authenticate(user)
    return client.post(path, body, format="json", headers={"Idempotency-Key": key})


def test_every_operation_that_takes_a_key_is_tried():
    taking = {
        operation.name
        for operation in urls.operations()
        if operation.method == "post"
        and getattr(getattr(operation.view, "view_class", None), "moves_money", False)
    }

    assert taking == set(KEYED)


@OPERATIONS
@pytest.mark.django_db
def test_a_repeat_answers_the_same_and_does_nothing(keyed: Keyed):
    first, second = (send(keyed.user, keyed.path, keyed.body, "k") for _ in range(2))

    assert (first.status_code, second.status_code) == (keyed.status, keyed.status)
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    assert keyed.effects() == 1


# The address of a cancellation says it all: there is no other request.
@pytest.mark.parametrize("name", [name for name in KEYED if "cancel" not in name])
@pytest.mark.django_db
def test_another_request_under_the_key_is_refused(keyed: Keyed):
    send(keyed.user, keyed.path, keyed.body, "k")

    answer = send(keyed.user, keyed.path, keyed.other_body, "k")

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/idempotency-key-reused"
    assert keyed.effects() == 1


@OPERATIONS
@pytest.mark.django_db
def test_the_key_of_somebody_else_tells_nothing_of_their_request(keyed: Keyed):
    first = send(keyed.user, keyed.path, keyed.body, "k")
    other = keyed.other_user or make_user("stranger")

    answer = send(other, keyed.path, keyed.body, "k")

    assert "Idempotent-Replayed" not in answer
    assert answer.status_code in (keyed.status, 404)
    assert answer.json().get("id") != first.json()["id"]


@OPERATIONS
def test_fifty_at_once_have_one_effect(name: str, committed: str, keyed: Keyed):
    start = threading.Barrier(AT_ONCE, timeout=120)

    def ask(_: int) -> Any:
        try:
            start.wait()
            return send(keyed.user, keyed.path, keyed.body, "k")
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    last = send(keyed.user, keyed.path, keyed.body, "k")

    done = [a for a in answers if a.status_code == keyed.status]
    others = {a.json()["type"] for a in answers if a.status_code != keyed.status}
    assert len([a for a in done if "Idempotent-Replayed" not in a]) == 1
    assert others <= {"/problems/request-in-progress", "/problems/unavailable"}
    assert {a.json()["id"] for a in [*done, last]} == {done[0].json()["id"]}
    assert last["Idempotent-Replayed"] == "true"
    assert keyed.effects() == 1


@pytest.fixture
def running(committed: str, settings: Any, everything_on: None) -> Iterator[System]:
    environment = {
        "USER_TRANSFERS_ENABLED": "on",
        "REFUND_WINDOW_DAYS": "14",
        # A busy machine is not a gateway that is gone, which gives the key back.
        "PAYCHANGU_TIMEOUT_SECONDS": "10",
    }
    with start_system(committed, **environment) as system:
        settings.PAYCHANGU_BASE_URL = system.simulator.base_url
        settings.PAYCHANGU_SECRET_KEY = system.simulator.secret_key
        yield system


@pytest.mark.xdist_group("api")
def test_a_crash_before_the_answer_leaves_one_effect_that_a_repeat_finds(
    running: System, settings: Any
):
    for name, prepare in KEYED.items():
        settings.REFUND_WINDOW_DAYS = 14 if "refund" in name else 0
        keyed = prepare()
        token = _token(running, keyed.user)

        _crash_after_the_effect(running, keyed, token)
        answer = until(partial(_repeated, running, keyed, token), seconds=120)

        assert answer.status_code == keyed.status, (name, answer.text)
        assert answer.headers.get("Idempotent-Replayed") == "true", name
        assert keyed.effects() == 1, name


def _crash_after_the_effect(system: System, keyed: Keyed, token: str) -> None:
    with _sent(system, keyed, token):
        until(lambda: keyed.effects() == 1, seconds=60)
        # Whether it was answered by now or not: nobody has read it.
        system.kill("web")
    system.start("web")
    until(lambda: _is_ready(system), seconds=60)


def _repeated(system: System, keyed: Keyed, token: str) -> requests.Response | None:
    """Repeat the request; none while the one that died is thought to be running."""
    answer = requests.post(
        f"{system.site}{keyed.path}",
        json=keyed.body,
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "k"},
        timeout=60,
    )
    if answer.status_code == 409:
        assert answer.json()["type"] == "/problems/request-in-progress", answer.text
        return None
    return answer


def _token(system: System, user: Any) -> str:
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    client = Client(system.site)
    client.sign_in(user.email, PASSWORD)
    return client._token


def _sent(system: System, keyed: Keyed, token: str) -> socket.socket:
    """Send the request on a connection whose answer nobody reads."""
    body = json.dumps(keyed.body).encode()
    head = [
        f"POST {keyed.path} HTTP/1.1",
        f"Host: {urlsplit(system.site).netloc}",
        f"Authorization: Bearer {token}",
        "Idempotency-Key: k",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    open_socket = socket.create_connection(("127.0.0.1", system.port), timeout=60)
    open_socket.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return open_socket


def _is_ready(system: System) -> bool:
    try:
        return requests.get(f"{system.site}/readyz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
