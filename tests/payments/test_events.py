"""Events: what comes of them once a worker has them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from payments import services
from payments.gateway import events_registry
from payments.models import CreditPurchase, ReviewCase
from tests.factories import balance_of, make_staff, make_user
from tests.payments.buying import (
    buy,
    cases_of,
    encode,
    event_about,
    now_of,
    process,
    start,
)
from wallets.models import CreditTransfer

pytestmark = pytest.mark.django_db


def test_an_event_about_a_payment_has_the_gateway_asked_and_the_credits_given(
    simulator,
):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    event = process(event_about(purchase))

    assert (event.status, event.outcome) == ("processed", "purchase paid")
    assert (event.event_type, event.reference) == ("checkout.payment", purchase.tx_ref)
    assert balance_of(buyer) == Decimal("110.00")


def test_w21_an_event_that_the_gateway_does_not_confirm_gives_nothing_and_waits(
    simulator,
):
    buyer = make_user("buyer")
    purchase = start(buyer)

    event = process(event_about(purchase))

    assert event.status == "received"
    assert event.outcome == "not confirmed: asked, the gateway says pending"
    assert event.next_attempt_at is not None
    assert balance_of(buyer) == 0

    simulator.control.complete(purchase.tx_ref)
    services.process_due_events(now=event.next_attempt_at)

    assert balance_of(buyer) == Decimal("110.00")


@pytest.mark.parametrize("claimed", [{"amount": 1_000_000}, {"currency": "USD"}])
def test_w22_w23_what_an_event_claims_counts_nothing(simulator, claimed):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    process(event_about(purchase, **claimed))

    assert balance_of(buyer) == Decimal("110.00")


def test_w25_an_event_about_nobody_is_parked_and_writes_nothing_else(simulator):
    purchase = start()

    event = process(event_about(purchase, tx_ref="somebody-elses"))

    assert event.status == "parked"
    assert event.outcome == "no purchase of ours has this tx_ref"
    assert CreditPurchase.objects.get() == now_of(purchase)
    assert not CreditTransfer.objects.filter(key__startswith="purchase:").exists()


def test_w26_an_event_credits_the_owner_of_the_purchase(simulator):
    buyer, other = make_user("buyer"), make_user("other")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    process(event_about(purchase, email=other.email, meta=f'{{"user": {other.pk}}}'))

    assert balance_of(buyer) == Decimal("110.00")
    assert balance_of(other) == 0


def test_w27_only_our_own_reference_is_matched(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)

    event = process(
        event_about(
            purchase,
            tx_ref="26262633201",
            reference=purchase.tx_ref,
            charge_id=purchase.tx_ref,
        )
    )

    assert event.status == "parked"
    assert now_of(purchase).status == "pending"


def test_w28_a_payout_event_that_names_a_payment_is_parked(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)

    event = process(
        event_about(purchase, event_type="api.payout", charge_id=purchase.tx_ref)
    )

    assert event.status == "parked"
    assert event.outcome == "no payout of ours has this charge_id"
    assert now_of(purchase).status == "pending"


def test_a_payout_event_goes_to_whoever_registered_for_it(monkeypatch, simulator):
    known = []

    def handle(charge_id: str) -> None:
        if charge_id != "payout-1":
            raise events_registry.UnknownPayout(charge_id)
        known.append(charge_id)

    monkeypatch.setattr(events_registry, "_handlers", [])
    events_registry.register_payout_handler(handle)
    events_registry.register_payout_handler(handle)
    document = {**event_about(start()), "event_type": "api.payout", "tx_ref": None}

    event = process({**document, "charge_id": "payout-1"})
    other = process({**document, "charge_id": "payout-2"})

    assert known == ["payout-1"]
    assert (event.status, event.reference) == ("processed", "payout-1")
    assert other.status == "parked"


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        (
            {"event_type": "checkout.gift"},
            "not as documented: unknown-event-type (checkout.gift, success)",
        ),
        (
            {"status": "blessed"},
            "not as documented: unknown-status (checkout.payment, blessed)",
        ),
        ({"tx_ref": ""}, "not as documented: tx-ref-missing"),
        (
            {"event_type": "api.charge.payment", "charge_id": "c"},
            "direct charges are not used here",
        ),
    ],
)
def test_w29_what_is_not_understood_is_parked_with_the_reason(
    simulator, changed, outcome
):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)

    event = process(event_about(purchase, **changed))

    assert (event.status, event.outcome) == ("parked", outcome)
    assert event.next_attempt_at is None
    assert now_of(purchase).status == "pending"
    case = ReviewCase.objects.get()
    assert (case.event, case.came) == (event, f"An event: {outcome}")


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        (b"1000", b"NaN", "not as documented: not-finite, amount-invalid"),
        (b"1000", b"1e400", "not as documented: amount-invalid"),
        (
            b'"amount": 1000',
            b'"amount": 1000, "amount": 1',
            "not as documented: duplicate-keys",
        ),
    ],
)
def test_w13_w14_what_reads_differently_for_others_is_parked(
    simulator, old, new, outcome
):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)

    event = process(encode(event_about(purchase)).replace(old, new))

    assert (event.status, event.outcome) == ("parked", outcome)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null"])
def test_signed_json_that_is_no_event_is_parked(body):
    assert process(body).status == "parked"


@pytest.mark.parametrize("tx_ref", ["../../wallet-balance", "a?b=c", "a%2fb", "…", "."])
def test_w30_a_name_that_is_no_name_is_looked_up_and_never_sent(simulator, tx_ref):
    event = process(event_about(start(), tx_ref=tx_ref))

    assert event.status == "parked"
    assert simulator.control.state()["counts"].get("verify", 0) == 0


def test_w31_a_failure_after_a_success_takes_nothing_and_is_flagged(simulator):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)
    simulator.control.fault("verify", "alter", set={"status": "failed"})

    event = process(event_about(purchase, status="failed"))

    assert event.status == "processed"
    assert balance_of(buyer) == Decimal("110.00")
    assert CreditPurchase.objects.in_review().get() == purchase


def test_w31_the_event_of_an_earlier_attempt_that_comes_late_changes_nothing(simulator):
    purchase = buy(simulator)

    event = process(event_about(purchase, status="failed"))

    assert (event.status, event.outcome) == ("processed", "purchase paid")
    assert cases_of(purchase) == []


def test_w32_a_success_after_the_order_expired_is_credited_and_flagged(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    services.settle_purchase(
        tx_ref=purchase.tx_ref, now=timezone.now() + timedelta(days=8)
    )
    simulator.control.complete(purchase.tx_ref)

    process(event_about(purchase))

    assert balance_of(buyer) == Decimal("110.00")
    assert CreditPurchase.objects.in_review().get() == purchase


def test_w33_a_success_of_a_refunded_order_is_parked(simulator):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)
    services.refund_purchase(
        purchase_id=purchase.pk, actor=make_staff("support"), reason="a mistake"
    )

    event = process(event_about(purchase))

    assert (event.status, event.outcome) == (
        "parked",
        "the purchase is refunded already",
    )
    assert balance_of(buyer) == 0
    came = "An event: the purchase is refunded already"
    assert cases_of(purchase) == [("after-refund", came, "open")]


def test_a_failure_of_a_refunded_order_is_no_news(simulator):
    purchase = buy(simulator, make_user("buyer"))
    services.refund_purchase(
        purchase_id=purchase.pk, actor=make_staff("support"), reason="a mistake"
    )

    assert process(event_about(purchase, status="failed")).status == "processed"


def test_w34_w44_a_replay_has_no_effect(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    event = process(event_about(purchase))

    for _ in range(20):
        process(event_about(purchase))

    assert balance_of(buyer) == Decimal("110.00")
    event.refresh_from_db()
    assert (event.deliveries, event.attempts) == (21, 1)


def test_staff_can_have_a_parked_event_processed_again_and_are_noted(simulator):
    event = process(event_about(start(), tx_ref="somebody-elses"))
    support = make_staff("support")

    services.process_event(event_id=event.pk, actor=support)

    event.refresh_from_db()
    assert event.attempts == 2
    assert LogEntry.objects.get(object_id=str(event.pk)).user == support


def test_what_cannot_be_read_is_parked():
    event = process(b"not json")

    assert (event.status, event.outcome) == ("parked", "The body is not readable JSON.")
