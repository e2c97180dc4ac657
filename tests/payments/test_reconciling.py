"""`manage.py reconcile_gateway`, and the jobs."""

from __future__ import annotations

import io
import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from payments import gateway, services, tasks
from payments.exceptions import AlreadyDecided
from payments.gateway import GatewayUnavailable, events_registry
from payments.models import GatewayDifference, ReconciliationRun
from tests.factories import make_staff, make_user
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
    kept = GatewayDifference.objects.get()
    assert (kept.subject, kept.reference) == ("payout", "p")
    assert kept.detail == "unknown there since 2001"


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


# What is kept of it.


def compare(**elsewhen: int) -> ReconciliationRun:
    """Compare the last and the next hour, or hours further away."""
    now = timezone.now() + timedelta(**elsewhen)
    start, end = now - timedelta(hours=1), now + timedelta(hours=1)
    return services.reconcile(start=start, end=end)[0]


def test_a_difference_is_kept_once_however_often_it_is_found(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)

    first, second = compare(), compare()

    kept = GatewayDifference.objects.get()
    assert (kept.subject, kept.reference) == ("purchase", purchase.tx_ref)
    assert kept.detail == "pending here, paid there: 1000 MWK"
    assert (kept.first_run, kept.last_run, kept.status) == (first, second, "open")
    assert (second.outcome, second.differences) == ("different", 1)


def test_a_difference_that_is_no_more_is_gone_whatever_the_period(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    compare()
    still = compare(days=30)
    kept = GatewayDifference.objects.get()
    assert (still.outcome, kept.status, kept.last_run) == ("same", "open", still)

    services.settle_purchase(tx_ref=purchase.tx_ref)
    compare(days=30)

    kept.refresh_from_db()
    assert (kept.status, kept.decided_by) == ("gone", None)


def test_a_difference_that_is_back_is_news(simulator):
    purchase = buy(simulator)
    for _ in range(2):
        simulator.control.fault("verify", "alter", set={"status": "failed"})
        compare()
        simulator.control.clear_faults()
        compare()

    found = GatewayDifference.objects.filter(reference=purchase.tx_ref)
    assert [one.status for one in found] == ["gone", "gone"]


def test_a_dismissed_difference_is_known_and_decided_once(simulator):
    finance = make_staff("finance")
    purchase = buy(simulator)
    simulator.control.fault("verify", "alter", set={"status": "reversed"})
    compare()
    kept = GatewayDifference.objects.get()

    services.dismiss_difference(
        difference_id=kept.pk, actor=finance, reason="paid back by card"
    )
    compare()

    kept = GatewayDifference.objects.get(reference=purchase.tx_ref)
    assert (kept.status, kept.decided_by) == ("dismissed", finance)
    with pytest.raises(AlreadyDecided):
        services.dismiss_difference(
            difference_id=kept.pk, actor=finance, reason="again"
        )


def test_a_payment_that_the_gateway_has_and_nobody_ordered_is_told(simulator):
    stranger = "nobody-ordered-it"
    gateway.from_settings().start_checkout(
        tx_ref=stranger,
        amount=Decimal(500),
        currency="MWK",
        callback_url="http://127.0.0.1/",
        return_url="http://127.0.0.1/",
    )
    event = services.receive_event(
        body=encode({**event_about(start()), "tx_ref": stranger}),
        headers={},
        signed_by="webhook",
    )
    services.process_event(event_id=event.pk)
    assert compare().outcome == "same"
    simulator.control.complete(stranger)

    for _ in range(2):
        assert reconcile()[1] == (
            f"purchase {stranger}: unknown here, paid there: 500 MWK\n"
        )

    assert GatewayDifference.objects.get().reference == stranger


def test_without_an_answer_the_run_says_that_nothing_was_compared(simulator):
    buy(simulator)
    simulator.control.fault("verify", "500-before")

    with pytest.raises(GatewayUnavailable):
        compare()

    run = ReconciliationRun.objects.get()
    assert (run.outcome, run.differences) == ("not-compared", 0)
    assert run.ended_at is not None


def test_the_daily_comparison_is_made_once_a_day_once_there_is_something(simulator):
    now = timezone.now()
    assert services.reconcile_if_due(now=now) is None
    start()
    assert services.reconcile_if_due(now=now) is None

    tomorrow = now + timedelta(days=1, hours=1)
    run = services.reconcile_if_due(now=tomorrow)

    assert run is not None
    assert run.outcome == "same"
    assert services.reconcile_if_due(now=now + timedelta(hours=26)) is None


def test_the_job_of_the_daily_comparison_logs_what_differs(
    simulator, caplog, monkeypatch
):
    purchase = buy(simulator, make_user("buyer"))
    simulator.control.fault("verify", "alter", set={"status": "failed"})
    tomorrow = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)

    with caplog.at_level(logging.ERROR, logger="payments.tasks"):
        tasks.reconcile(timestamp=0)

    assert caplog.messages == ["the gateway says something else, 1 times"]
    assert GatewayDifference.objects.get().reference == purchase.tx_ref


def test_the_job_of_the_daily_comparison_stays_due_while_the_gateway_is_down(
    simulator, caplog, monkeypatch
):
    buy(simulator)
    simulator.control.fault("verify", "500-before", times=1)
    tomorrow = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)

    tasks.reconcile(timestamp=0)
    assert "could not compare with the gateway" in caplog.text
    tasks.reconcile(timestamp=0)

    outcomes = ReconciliationRun.objects.order_by("pk").values_list("outcome")
    assert [outcome for (outcome,) in outcomes] == ["not-compared", "same"]


def rule_of(error: IntegrityError) -> str:
    """The name of the rule that refused."""
    return str(getattr(error.__cause__, "diag", None).constraint_name)  # type: ignore[union-attr]


def test_the_database_keeps_a_difference_once_and_a_decision_as_it_was(simulator):
    run = ReconciliationRun.objects.create(
        starts_at=timezone.now() - timedelta(days=1), ends_at=timezone.now()
    )
    fields = {"subject": "payout", "reference": "p", "detail": "d"}
    kept = GatewayDifference.objects.create(**fields, first_run=run, last_run=run)

    for changes, rule in (
        ({"detail": "e"}, "payments_difference_fixed"),
        ({"status": "dismissed"}, "payments_gatewaydifference_decided_by_whom"),
    ):
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            GatewayDifference.objects.filter(pk=kept.pk).update(**changes)
        assert rule_of(refusal.value) == rule
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        GatewayDifference.objects.create(**fields, first_run=run, last_run=run)
    rule = rule_of(refusal.value)
    assert rule == "payments_gatewaydifference_once"
