"""What the worker says of the books every hour."""

from __future__ import annotations

import pytest

from tests.credits_project.connecting import connected_with
from tests.factories import make_user
from tests.wallets.test_proof import guards_off
from wallets import tasks
from wallets.models import CreditWallet

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.usefixtures("as_owner")]


def test_the_hourly_proof_says_nothing_of_books_that_are_right(caplog):
    make_user("rich", balance="10.00")

    tasks.verify_ledger(timestamp=0)

    assert caplog.messages == []


def test_the_hourly_proof_raises_the_alert_on_a_server_made_unsafe_meanwhile(caplog):
    with connected_with(options="-c synchronous_commit=off"):
        tasks.verify_ledger(timestamp=0)

    (alert,) = caplog.records
    assert alert.levelname == "ERROR"
    assert "synchronous_commit is off" in alert.getMessage()


def test_the_hourly_proof_raises_the_alert_on_books_that_are_wrong(caplog):
    rich = make_user("rich", balance="10.00")

    with guards_off():
        CreditWallet.objects.filter(user=rich).update(balance=11)
        tasks.verify_ledger(timestamp=0)

    assert "the books are wrong: I03" in " ".join(caplog.messages)
    assert {record.levelname for record in caplog.records} == {"ERROR"}
