"""Races on money in, with real threads; the books are proven after each."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

import wallets.services
from payments import services
from payments.models import CreditPurchase, GatewayEvent, PurchaseRefund, ReviewCase
from payments.services import crediting, settling
from payments.services.cases import put_before_staff
from tests.concurrency.threads import in_threads, kinds
from tests.factories import balance_of, make_staff, make_user
from tests.payments.buying import (
    buy,
    deliver,
    encode,
    event_about,
    make_package,
    now_of,
    start,
)
from tests.simulator_process import until
from wallets.models import CreditTransfer

pytestmark = pytest.mark.usefixtures("committed")
TIMES = 20


def credits_of(purchase: CreditPurchase) -> int:
    """How many transfers the purchase has."""
    return CreditTransfer.objects.filter(key=f"purchase:{purchase.pk}").count()


def test_settling_at_once_credits_once(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    outcomes = in_threads(
        lambda tx_ref: services.settle_purchase(tx_ref=tx_ref),
        [purchase.tx_ref] * TIMES,
    )

    assert [outcome.status for outcome in outcomes] == ["paid"] * TIMES
    assert balance_of(buyer) == Decimal("110.00")
    assert credits_of(purchase) == 1
    # Who asked before it was credited, and is answered after, has nothing to add.
    assert 1 <= now_of(purchase).checks <= TIMES


def test_without_the_lock_the_key_of_the_transfer_still_credits_once(
    simulator, monkeypatch
):
    """The control: both have read a purchase that is not paid before either writes."""
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    both_have_read = threading.Barrier(2, timeout=10)
    booked: list[Any] = []

    def read_without_locking(**lookup: Any) -> CreditPurchase:
        found = CreditPurchase.objects.get(**lookup)
        both_have_read.wait()
        return found

    def post_and_tell(*legs: Any, **options: Any) -> CreditTransfer:
        transfer = wallets.services.post(*legs, **options)
        booked.append(transfer)
        return transfer

    monkeypatch.setattr(settling, "_lock", read_without_locking)
    monkeypatch.setattr(crediting, "post", post_and_tell)

    in_threads(
        lambda tx_ref: services.settle_purchase(tx_ref=tx_ref), [purchase.tx_ref] * 2
    )

    # Both decided to credit: the race is real in this setup.
    assert sorted(transfer.is_replay for transfer in booked) == [False, True]
    assert balance_of(buyer) == Decimal("110.00")


def test_w35_one_event_delivered_at_once_is_one_row_and_one_credit(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    body = encode(event_about(purchase))

    answers = in_threads(lambda body: deliver(Client(), body), [body] * TIMES)
    event = GatewayEvent.objects.get()
    in_threads(lambda pk: services.process_event(event_id=pk), [event.pk] * TIMES)

    assert {answer.status_code for answer in answers} == {200}
    event.refresh_from_db()
    assert (event.deliveries, event.attempts, event.status) == (TIMES, 1, "processed")
    assert balance_of(buyer) == Decimal("110.00")


def test_w36_event_return_page_reading_and_poller_together_credit_once(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    event = services.receive_event(
        body=encode(event_about(purchase)), headers={}, signed_by="webhook"
    )
    later = timezone.now() + timedelta(seconds=40)
    ways = [
        lambda: services.process_event(event_id=event.pk),
        lambda: Client().get("/payments/return", {"tx_ref": purchase.tx_ref}),
        lambda: services.recheck_if_stale(purchase=purchase),
        lambda: services.check_due_purchases(now=later),
        lambda: services.settle_purchase(tx_ref=purchase.tx_ref),
    ] * 3

    outcomes = in_threads(lambda way: way(), ways)

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert credits_of(purchase) == 1
    assert balance_of(buyer) == Decimal("110.00")


def test_one_key_at_once_is_one_purchase(simulator):
    buyer, package = make_user("buyer"), make_package()

    outcomes = in_threads(
        lambda key: services.start_purchase(
            user=buyer, package_id=package.pk, idempotency_key=key
        ),
        ["k"] * 10,
    )

    counted = kinds(outcomes)
    assert counted.keys() <= {"CreditPurchase", "RequestInProgress"}
    assert counted["CreditPurchase"] >= 1
    assert CreditPurchase.objects.filter(user=buyer).count() == 1
    assert simulator.control.state()["counts"]["checkout"] == 1


def test_a_refund_pressed_at_once_takes_the_credits_once(simulator):
    buyer, support = make_user("buyer", balance="1000.00"), make_staff("support")
    purchase = buy(simulator, buyer)

    outcomes = in_threads(
        lambda pk: services.refund_purchase(
            purchase_id=pk, actor=support, reason="a mistake"
        ),
        [purchase.pk] * 10,
    )

    assert kinds(outcomes) == {"PurchaseRefund": 1, "NotRefundable": 9}
    assert balance_of(buyer) == Decimal("1000.00")


@pytest.mark.parametrize("decide", ["credit_case", "refund_case", "dismiss_case"])
def test_a_case_that_is_decided_at_once_is_decided_once(simulator, decide):
    buyer, support = make_user("buyer"), make_staff("support")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": 500})
    services.settle_purchase(tx_ref=purchase.tx_ref)
    case = purchase.cases.get()

    outcomes = in_threads(
        lambda pk: getattr(services, decide)(case_id=pk, actor=support, reason="x"),
        [case.pk] * 10,
    )

    assert kinds(outcomes) == {"ReviewCase": 1, "AlreadyDecided": 9}
    given = Decimal("55.00") if decide == "credit_case" else 0
    assert balance_of(buyer) == given
    assert PurchaseRefund.objects.count() == (1 if decide == "refund_case" else 0)


def test_the_same_case_put_before_staff_at_once_is_there_once(simulator):
    purchase = start()

    outcomes = in_threads(
        lambda came: put_before_staff(
            kind=ReviewCase.Kind.UNCONFIRMED,
            reference=purchase.tx_ref,
            expected="something",
            came=came,
            purchase=purchase,
        ),
        ["something else"] * 10,
    )

    assert sorted(is_new for _, is_new in outcomes) == [False] * 9 + [True]
    assert ReviewCase.objects.count() == 1


def test_parts_refunded_at_once_never_pass_the_whole(simulator):
    buyer, support = make_user("buyer", balance="1000.00"), make_staff("support")
    purchase = buy(simulator, buyer)

    outcomes = in_threads(
        lambda credits: services.refund_purchase(
            purchase_id=purchase.pk,
            actor=support,
            reason="in parts",
            credits=Decimal(credits),
        ),
        ["30.00"] * 8,
    )

    assert kinds(outcomes) == {"PurchaseRefund": 3, "NotRefundable": 5}
    assert now_of(purchase).refunded_credits == Decimal("90.00")
    assert PurchaseRefund.objects.count() == 3


def test_pollers_share_the_work(simulator):
    purchases = [start() for _ in range(6)]
    for purchase in purchases:
        simulator.control.complete(purchase.tx_ref)
    later = timezone.now() + timedelta(seconds=40)

    counts = in_threads(lambda now: services.check_due_purchases(now=now), [later] * 4)

    assert sum(counts) == 6
    assert {now_of(purchase).status for purchase in purchases} == {"paid"}
    assert {now_of(purchase).checks for purchase in purchases} == {1}


def test_a_job_is_left_for_a_worker_once_the_event_is_committed(simulator):
    from procrastinate.contrib.django.models import ProcrastinateJob

    deliver(Client(), encode(event_about(start())))

    assert ProcrastinateJob.objects.get().task_name == "payments.process_events"


def test_an_event_is_taken_although_the_queue_is_broken(simulator):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE procrastinate_jobs RENAME TO gone")

    answer = deliver(Client(), encode(event_about(start())))

    assert answer.status_code == 200
    assert GatewayEvent.objects.count() == 1


def test_a_payer_who_is_quicker_than_the_answer_to_the_order_is_credited(simulator):
    buyer, package = make_user("buyer"), make_package()
    simulator.control.fault("checkout", "slow", seconds=1)

    def order() -> CreditPurchase:
        return services.start_purchase(user=buyer, package_id=package.pk)

    def pay() -> CreditPurchase:
        payment = until(lambda: simulator.control.state()["payments"])[0]
        simulator.control.complete(payment["tx_ref"])
        return services.settle_purchase(tx_ref=payment["tx_ref"])

    ordered, paid = in_threads(lambda way: way(), [order, pay])

    assert paid.checkout_url == ""
    assert ordered.pk == paid.pk
    assert (ordered.status, bool(ordered.checkout_url)) == ("paid", True)
    assert balance_of(buyer) == Decimal("110.00")
