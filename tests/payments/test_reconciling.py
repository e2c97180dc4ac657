"""`manage.py reconcile_gateway`, and the jobs."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from payments import services, tasks
from payments.gateway import events_registry
from tests.payments.buying import buy, encode, event_about, now_of, start

pytestmark = pytest.mark.django_db


def reconcile(**options: Any) -> tuple[str, str, str]:
    """What the command prints, what it complains of, and how it ends."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("reconcile_gateway", stdout=out, stderr=err, **options)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), f"{error.returncode} {error}"
    return out.getvalue(), err.getvalue(), "0"


def test_where_the_gateway_says_the_same_the_command_says_so(simulator):
    buy(simulator)
    start()

    assert reconcile() == ("The gateway says the same.\n", "", "0")


def test_what_is_paid_there_and_not_here_is_told(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)

    _, told, end = reconcile()

    assert told == f"purchase {purchase.tx_ref}: pending here, paid there: 1000 MWK\n"
    assert end == "1 1 difference(s)."
    assert now_of(purchase).status == "pending"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"status": "failed"}, "paid here, failed there"),
        ({"amount": 1}, "1000.00 here, 1 there"),
        ({"currency": "USD"}, "MWK here, USD there"),
        ({"tx_ref": "other"}, "answered about other"),
    ],
)
def test_what_is_paid_here_and_not_so_there_is_told(simulator, said, told):
    purchase = buy(simulator)
    simulator.control.fault("verify", "alter", set=said)

    assert reconcile()[1] == f"purchase {purchase.tx_ref}: {told}\n"


def test_without_the_gateway_nothing_is_proven(simulator, settings):
    buy(simulator)
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"

    end = reconcile()[2]

    assert end == "2 Not compared: The payment gateway cannot be reached."


def test_other_days_are_not_compared(simulator):
    simulator.control.complete(start().tx_ref)

    assert reconcile(start="2001-01-01", end="2001-01-31")[2] == "0"


@pytest.mark.parametrize(
    ("start", "end"),
    [("2001-02-30", None), ("soon", None), ("2001-01-02", "2001-01-01")],
)
def test_days_that_are_none_are_refused(start, end):
    assert reconcile(start=start, end=end)[2].startswith("1 ")


def test_payouts_are_compared_by_whoever_registered_for_it(monkeypatch, simulator):
    def compare(start: datetime, end: datetime) -> list[str]:
        return [f"payout p: unknown there since {start:%Y}"]

    monkeypatch.setattr(events_registry, "_reconcilers", [])
    events_registry.register_payout_reconciler(compare)
    events_registry.register_payout_reconciler(compare)

    _, told, end = reconcile(start="2001-01-01", end="2001-01-01")

    assert told == "payout p: unknown there since 2001\n"
    assert end == "1 1 difference(s)."


def test_the_job_that_events_wake_processes_them(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    services.receive_event(
        body=encode(event_about(purchase)), headers={}, signed_by="webhook"
    )

    tasks.process_events()

    assert now_of(purchase).status == "paid"


def test_the_periodic_job_sweeps(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    services.receive_event(
        body=encode(event_about(purchase)), headers={}, signed_by="webhook"
    )

    tasks.sweep(timestamp=0)

    assert now_of(purchase).status == "paid"
