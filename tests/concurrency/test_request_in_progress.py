from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from credits_project import idempotency
from tests.factories import balance_of, make_user


@contextmanager
def running_request(*, user_id: int, scope: str, key: str) -> Iterator[None]:
    """The same request, as far as its claim, in a transaction that is still open."""
    claimed, may_end = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with transaction.atomic():
                idempotency.claim(user_id=user_id, scope=scope, key=key)
                claimed.set()
                may_end.wait(timeout=30)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert claimed.wait(timeout=30)
        yield
    finally:
        may_end.set()
        thread.join(timeout=30)


def send(client: APIClient, receiver: Any) -> Any:
    return client.post(
        "/api/v1/transfers",
        {"to": receiver.email, "amount": "1.00"},
        format="json",
        headers={"Idempotency-Key": "lunch"},
    )


@pytest.mark.usefixtures("committed")
def test_a_request_whose_key_is_still_being_worked_on_is_a_conflict(settings: Any):
    settings.USER_TRANSFERS_ENABLED = True
    sender, receiver = make_user("sender", balance="3.00"), make_user("receiver")
    client = APIClient()
    client.force_authenticate(sender)

    with running_request(user_id=sender.pk, scope="transfers", key="lunch"):
        answer = send(client, receiver)

    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body.pop("request_id")
    assert body == {
        "type": "/problems/request-in-progress",
        "title": "The same request is still being worked on.",
        "status": 409,
        "detail": "A request with this Idempotency-Key is still running."
        " Repeat it shortly.",
    }
    assert balance_of(receiver) == 0
    # It left nothing under its key: the repeat goes through.
    assert send(client, receiver).status_code == 201
