"""Deliveries of the simulator: its retries, and events that go astray on demand."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from payments.gateway import Outcome, PayoutOutcome, matching_secret, parse_event
from tests.payments.simulated import client as client
from tests.payments.simulated import merchant as merchant
from tests.payments.simulated import open_checkout, send_mobile
from tests.payments.simulated import paid as paid
from tests.payments.simulated import running as running
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import SECRET_KEY, WEBHOOK_SECRET, until

SECRETS = [WEBHOOK_SECRET, SECRET_KEY]


def test_only_200_counts_and_three_retries_follow(paid, merchant):
    merchant.statuses = [500, 201, 302, 400]

    delivery = paid()

    assert delivery["state"] == "given-up"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [
        500,
        201,
        302,
        400,
    ]
    # The redirect was not followed, and every try was the same bytes.
    assert len(merchant.received) == 4
    assert len({(one.body, one.signature) for one in merchant.received}) == 1


def test_delivery_ends_with_the_first_200(paid, merchant):
    merchant.statuses = [503]

    delivery = paid()

    assert delivery["state"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [503, 200]


def test_event_can_be_sent_again_byte_for_byte(paid, merchant, simulator):
    delivery = paid()

    simulator.control.post(f"deliveries/{delivery['id']}/resend")

    until(lambda: len(merchant.received) == 2)
    assert merchant.received[0] == merchant.received[1]


def test_lost_event_is_never_delivered_though_the_payment_is_paid(
    paid, merchant, simulator, client
):
    simulator.control.fault("webhook", "lost")

    assert paid()["state"] == "lost"
    assert merchant.received == []
    assert client.verify("purchase-1").outcome is Outcome.PAID


def test_event_can_come_many_times_at_once(paid, merchant, simulator):
    simulator.control.fault("webhook", "copies", count=20)

    paid()

    until(lambda: len(merchant.received) == 20)
    assert len({one.body for one in merchant.received}) == 1


def test_event_can_come_again_after_it_was_taken(paid, merchant, simulator):
    simulator.control.fault("webhook", "repeated", count=3, times=1)

    paid()

    until(lambda: len(merchant.received) == 3)
    assert len({(one.body, one.signature) for one in merchant.received}) == 1


def test_event_can_come_late(client, merchant, simulator):
    simulator.control.fault("webhook", "delay", seconds=0.3, times=1)
    open_checkout(client)

    simulator.control.complete("purchase-1")

    assert simulator.control.deliveries("purchase-1")[0]["attempts"] == []
    until(lambda: merchant.received)


def test_events_can_come_in_the_wrong_order(client, merchant, simulator):
    simulator.control.fault("webhook", "held-back", times=1)
    open_checkout(client)

    simulator.control.complete("purchase-1", "failed")
    simulator.control.complete("purchase-1")

    until(lambda: len(merchant.received) == 2)
    outcomes = [parse_event(one.body).outcome for one in merchant.received]
    assert outcomes == [Outcome.PAID, Outcome.FAILED]


@pytest.mark.parametrize(
    ("fault", "signed_by"),
    [("forged", None), ("unsigned", None), ("signed-with-api-key", 1)],
)
def test_signature_can_be_another(paid, merchant, simulator, fault, signed_by):
    simulator.control.fault("webhook", fault)

    paid()

    (event,) = merchant.received
    assert matching_secret(event.body, event.signature, SECRETS) == signed_by


def test_event_can_say_something_else_than_verify(paid, merchant, simulator, client):
    simulator.control.fault("webhook", "alter", set={"amount": 1, "currency": "MK"})

    paid()

    told = parse_event(merchant.received[0].body)
    assert (told.amount, told.currency) == (Decimal(1), "MWK")
    assert client.verify("purchase-1").amount == 1000


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [
        ("wrong-amount", "amount", Decimal(1)),
        ("wrong-currency", "currency", "USD"),
        ("wrong-mode", "mode", "live"),
        ("unknown-status", "outcome", Outcome.UNKNOWN),
    ],
)
def test_event_can_contradict_the_order(
    paid, merchant, simulator, client, fault, name, value
):
    simulator.control.fault("webhook", fault)

    paid()

    said = parse_event(merchant.received[0].body)
    assert getattr(said, name) == value
    assert getattr(client.verify("purchase-1"), name) != value


def test_an_attempt_can_fail_before_one_succeeds(merchant, simulator, client):
    simulator.control.fault("attempt", "failed-first", times=1)
    open_checkout(client)

    simulator.control.complete("purchase-1")

    until(lambda: len(merchant.received) == 2)
    told = [parse_event(one.body).outcome for one in merchant.received]
    assert sorted(told) == sorted([Outcome.FAILED, Outcome.PAID])
    status = client.verify("purchase-1")
    assert status.outcome is Outcome.PAID
    assert simulator.control.payment("purchase-1")["attempts"] == 2


def test_any_event_can_be_sent_signed(merchant, simulator):
    simulator.control.post("events", body={"event_type": "checkout.payment"})

    (event,) = until(lambda: merchant.received)
    assert matching_secret(event.body, event.signature, SECRETS) == 0
    assert json.loads(event.body) == {"event_type": "checkout.payment"}


def test_payout_event_can_come_before_the_answer(client, merchant, simulator):
    simulator.control.fault("payout", "webhook-first", times=1)

    result = send_mobile(client)

    assert result.outcome is PayoutOutcome.ACCEPTED
    assert parse_event(merchant.received[0].body).charge_id == "withdrawal-1"
