"""Asking again about purchases: when one is due, and by one worker at a time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credits_project import leases
from payments import services
from payments.models import CreditPurchase
from payments.services.leasing import lease_time
from tests.factories import balance_of, make_user
from tests.payments.buying import now_of, settle, start

pytestmark = pytest.mark.django_db


def test_an_answer_after_the_lease_was_taken_over_is_dropped(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    rows = CreditPurchase.objects.filter(pk=purchase.pk)
    now = timezone.now()
    zombie = leases.claim(rows, pk=purchase.pk, now=now, lasts=lease_time())
    later = now + lease_time()
    assert leases.claim(rows, pk=purchase.pk, now=later, lasts=lease_time())

    assert settle(purchase, lease_token=zombie).status == "pending"
    assert now_of(purchase).checks == 0


def test_the_poller_asks_when_a_purchase_is_due_and_then_more_seldom(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    assert services.check_due_purchases(now=purchase.created_at) == 0

    later = purchase.created_at + timedelta(seconds=40)

    assert services.check_due_purchases(now=later) == 1
    assert balance_of(buyer) == Decimal("110.00")
    assert now_of(purchase).lease_token is None


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(seconds=30), timedelta(seconds=30)),
        (timedelta(minutes=10), timedelta(minutes=5)),
        (timedelta(hours=2), timedelta(hours=1)),
        (timedelta(days=3), timedelta(hours=6)),
    ],
)
def test_the_pauses_grow_with_the_age_up_to_six_hours(age, pause):
    purchase = CreditPurchase(created_at=timezone.now())
    now = purchase.created_at + age

    assert services.settling.next_check(purchase, now=now) - now == pause


def test_w41_while_the_gateway_is_down_the_poller_asks_again_in_the_next_sweep(
    simulator, settings
):
    purchase = start()
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"
    now = purchase.created_at + timedelta(seconds=40)

    assert services.check_due_purchases(now=now) == 0

    purchase = now_of(purchase)
    assert purchase.status == "pending"
    assert purchase.lease_token is None
    assert purchase.next_check_at == pytest.approx(
        now + timedelta(seconds=5), abs=timedelta(seconds=4)
    )


def test_purchases_that_never_get_an_answer_keep_no_others_waiting(simulator):
    purchases = [start() for _ in range(5)]
    for purchase in purchases:
        simulator.control.complete(purchase.tx_ref)
    now = timezone.now() + timedelta(seconds=40)
    # The first three of a pass, after which it takes the gateway to be down.
    simulator.control.fault("verify", "truncated", times=3)
    assert services.check_due_purchases(now=now) == 0

    assert services.check_due_purchases(now=now) == 2

    assert [now_of(purchase).status for purchase in purchases] == (
        ["pending"] * 3 + ["paid"] * 2
    )
    assert services.check_due_purchases(now=now + timedelta(seconds=10)) == 3


def test_a_sweep_of_everything_asks_about_all_that_is_open(simulator):
    purchase = start(make_user("buyer"))
    simulator.control.complete(purchase.tx_ref)

    assert services.sweep(now=purchase.created_at) == {"events": 0, "purchases": 0}
    assert services.sweep(now=purchase.created_at, everything=True) == {
        "events": 0,
        "purchases": 1,
    }
    assert now_of(purchase).status == "paid"


def test_a_purchase_that_somebody_is_asking_about_is_left_alone(simulator):
    purchase = start()
    rows = CreditPurchase.objects.filter(pk=purchase.pk)
    now = purchase.created_at + timedelta(seconds=40)
    leases.claim(rows, pk=purchase.pk, now=now, lasts=lease_time())

    assert services.check_due_purchases(now=now) == 0
    assert simulator.control.state()["counts"].get("verify", 0) == 0
