"""A client's key while the request that has it is still running."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from credits_project import idempotency
from credits_project.exceptions import RequestInProgress
from tests.factories import make_user
from wallets import services

pytestmark = pytest.mark.usefixtures("committed")


def test_a_clients_key_is_its_own_while_the_request_runs():
    rich, poor = make_user("rich", balance="9.00"), make_user("poor")
    claimed, done = threading.Event(), threading.Event()

    def hold_the_key() -> None:
        try:
            with transaction.atomic():
                idempotency.claim(user_id=rich.pk, scope="transfers", key="once")
                claimed.set()
                done.wait(20)
        finally:
            connection.close()

    def send(key: str) -> Any:
        return services.send_credits(
            sender=rich, to=poor.email, amount=Decimal("1.00"), idempotency_key=key
        )

    other = threading.Thread(target=hold_the_key, daemon=True)
    other.start()
    try:
        assert claimed.wait(20)
        with pytest.raises(RequestInProgress):
            send("once")
        assert not send("another").is_replay
    finally:
        done.set()
        other.join(20)

    assert not send("once").is_replay
