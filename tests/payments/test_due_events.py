"""Working on events: when one is due, again and again, by one worker at a time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credits_project import leases
from payments import services
from payments.gateway import events_registry
from payments.models import CreditPurchase, GatewayEvent, ReviewCase
from payments.services.leasing import lease_time
from tests.factories import balance_of, make_user
from tests.payments.buying import cases_of, event_about, now_of, process, receive, start

pytestmark = pytest.mark.django_db


def test_w21_an_event_that_is_never_confirmed_is_parked_in_the_end(simulator):
    purchase = start()
    event = receive(event_about(purchase))
    tomorrow = timezone.now() + timedelta(days=1)

    event = services.process_event(event_id=event.pk, now=tomorrow)

    assert event.status == "parked"
    assert event.outcome == "never confirmed: asked, the gateway says pending"
    assert cases_of(purchase) == [("unconfirmed", f"An event: {event.outcome}", "open")]


@pytest.mark.parametrize(
    ("age", "pause"), [(0, 10), (60, 10), (600, 60), (3600, 360), (36000, 600)]
)
def test_w21_the_sooner_after_the_event_the_sooner_it_is_asked_about_again(
    simulator, age, pause
):
    event = receive(event_about(start()))
    now = timezone.now() + timedelta(seconds=age)

    event = services.process_event(event_id=event.pk, now=now)

    assert event.next_attempt_at is not None
    waits = (event.next_attempt_at - now).total_seconds()
    assert waits == pytest.approx(pause, abs=2)


def test_w38_an_event_that_overtook_its_purchase_finds_it_later(simulator):
    document = event_about(start(), tx_ref="credits-late")
    event = process(document)
    assert event.next_attempt_at is not None
    purchase = CreditPurchase.objects.get()
    # As the purchase of another transaction that commits only now.
    late = CreditPurchase.objects.create(
        user=purchase.user,
        package=purchase.package,
        credits=purchase.credits,
        bonus_credits=purchase.bonus_credits,
        price=purchase.price,
        currency=purchase.currency,
        mode=purchase.mode,
        tx_ref="credits-late",
    )
    services.starting._open_page(late, late.user)
    simulator.control.complete("credits-late")

    services.process_due_events(now=event.next_attempt_at)

    event.refresh_from_db()
    assert event.status == "processed"
    assert now_of(late).status == "paid"


def test_w41_while_the_gateway_is_down_the_event_is_tried_again_and_never_dropped(
    simulator,
):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "500-before", times=3)
    event = receive(event_about(purchase))
    now = timezone.now()
    pauses = []

    for _ in range(3):
        event = services.process_event(event_id=event.pk, now=now)
        assert event.status == "received"
        assert event.next_attempt_at is not None
        pauses.append((event.next_attempt_at - now).total_seconds())
        now = event.next_attempt_at

    # However long it was down, the next sweep finds it.
    assert pauses == [5, 5, 5]
    assert services.process_due_events(now=now) == 1
    assert balance_of(buyer) == Decimal("110.00")


def test_w25_what_is_about_nothing_of_ours_is_looked_at_four_times_and_then_a_case(
    simulator,
):
    event = receive(event_about(start(), tx_ref="somebody-elses"))
    now = timezone.now()
    pauses = []
    for _ in range(3):
        event = services.process_event(event_id=event.pk, now=now)
        assert not ReviewCase.objects.exists()
        assert event.next_attempt_at is not None
        pauses.append((event.next_attempt_at - now).total_seconds())
        now = event.next_attempt_at

    event = services.process_event(event_id=event.pk, now=now)

    assert (pauses, event.next_attempt_at) == ([15, 30, 60], None)
    case = ReviewCase.objects.get()
    assert (case.kind, case.reference) == ("unknown-reference", "somebody-elses")
    assert (case.event, case.purchase) == (event, None)


def test_an_event_that_a_worker_has_is_left_alone_until_the_lease_is_over(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    event = receive(event_about(purchase))
    now = timezone.now()
    lasts = lease_time()
    leases.claim(GatewayEvent.objects.all(), pk=event.pk, now=now, lasts=lasts)

    assert services.process_event(event_id=event.pk, now=now).status == "received"
    assert services.process_due_events(now=now) == 0
    assert now_of(purchase).status == "pending"

    over = now + lasts
    assert services.process_due_events(now=over) == 1
    assert now_of(purchase).status == "paid"


def test_a_sweep_finds_events_that_no_job_is_there_for(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    receive(event_about(purchase))

    counts = services.sweep(now=timezone.now())

    assert counts["events"] == 1
    assert now_of(purchase).status == "paid"


def test_while_the_gateway_is_down_a_pass_does_not_ask_about_every_event(simulator):
    for _ in range(5):
        receive(event_about(start()))
    simulator.control.fault("verify", "500-before")

    assert services.process_due_events(now=timezone.now()) == 0

    assert simulator.control.state()["counts"]["verify"] == 3


def test_a_worker_that_lost_its_lease_writes_nothing(monkeypatch, simulator):
    event = receive(
        {**event_about(start()), "event_type": "api.payout", "charge_id": "payout-1"}
    )
    now = timezone.now()

    def take_so_long_that_another_takes_over(_: str) -> None:
        lasts = lease_time()
        over = now + lasts
        leases.claim(GatewayEvent.objects.all(), pk=event.pk, now=over, lasts=lasts)

    monkeypatch.setattr(
        events_registry, "_handlers", [take_so_long_that_another_takes_over]
    )

    assert services.process_event(event_id=event.pk, now=now).status == "received"
    event.refresh_from_db()
    assert (event.status, event.outcome) == ("received", "")
