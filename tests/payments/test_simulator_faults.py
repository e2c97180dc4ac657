"""Faults on demand: payouts that turn out otherwise, answers that lie or never come."""

from __future__ import annotations

import pytest
import requests

from payments.gateway import (
    DestinationKind,
    GatewayUnavailable,
    Outcome,
    PayoutOutcome,
    parse_event,
)
from tests.payments.simulated import client as client
from tests.payments.simulated import client_of, open_checkout, send_mobile
from tests.payments.simulated import merchant as merchant
from tests.payments.simulated import paid as paid
from tests.payments.simulated import running as running
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import until

MOBILE = DestinationKind.MOBILE_MONEY


# Results of payouts


def test_payout_can_hang(client, simulator):
    simulator.control.fault("payout-result", "pending", times=1)
    send_mobile(client)
    send_mobile(client, "withdrawal-2")

    until(lambda: simulator.control.payout("withdrawal-2")["status"] == "success")

    assert simulator.control.payout("withdrawal-1")["status"] == "pending"
    simulator.control.settle("withdrawal-1", "failed")
    status = client.payout_status("withdrawal-1", kind=MOBILE)
    assert status.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("fault", "outcomes", "balance"),
    [
        ("failed-after-success", [Outcome.PAID, Outcome.FAILED], 1_000_000),
        ("success-after-failed", [Outcome.FAILED, Outcome.PAID], 995_000),
    ],
)
def test_payout_can_change_its_mind(
    client, merchant, simulator, fault, outcomes, balance
):
    simulator.control.fault("payout-result", fault, times=1)

    send_mobile(client)

    until(lambda: len(merchant.received) == 2)
    assert [parse_event(one.body).outcome for one in merchant.received] == outcomes
    assert client.balance().main == balance


# Answers


@pytest.mark.parametrize(
    ("fault", "outcome", "is_processed"),
    [
        ("timeout-before", PayoutOutcome.UNKNOWN, False),
        ("timeout-after", PayoutOutcome.UNKNOWN, True),
        ("reset-before", PayoutOutcome.UNKNOWN, False),
        ("reset-after", PayoutOutcome.UNKNOWN, True),
        ("500-before", PayoutOutcome.UNKNOWN, False),
        ("500-after", PayoutOutcome.UNKNOWN, True),
        ("html-before", PayoutOutcome.UNKNOWN, False),
        ("html-after", PayoutOutcome.UNKNOWN, True),
        ("redirect", PayoutOutcome.UNKNOWN, False),
        ("unauthorized", PayoutOutcome.UNKNOWN, False),
        ("rate-limited", PayoutOutcome.NOT_SENT, False),
        ("refused", PayoutOutcome.REJECTED, False),
        ("truncated", PayoutOutcome.ACCEPTED, True),
        ("cut-off", PayoutOutcome.ACCEPTED, True),
        ("invalid-json", PayoutOutcome.ACCEPTED, True),
        ("other-http-status", PayoutOutcome.ACCEPTED, True),
    ],
)
def test_payout_under_faults_has_the_outcome_that_is_certain(
    simulator, fault, outcome, is_processed
):
    simulator.control.fault("payout", fault, times=1)

    result = send_mobile(client_of(simulator, seconds=0.5))

    assert result.outcome is outcome
    assert bool(simulator.control.state()["payouts"]) is is_processed


@pytest.mark.parametrize(
    "fault",
    [
        "html-after",
        "truncated",
        "invalid-json",
        "500-before",
        "reset-after",
        "redirect",
        "rate-limited",
        "not-a-number",
        "cut-off",
    ],
)
def test_verify_under_faults_is_an_outage_and_then_heals(client, simulator, fault):
    open_checkout(client)
    simulator.control.complete("purchase-1")
    simulator.control.fault("verify", fault, times=1)

    with pytest.raises(GatewayUnavailable):
        client.verify("purchase-1")

    assert client.verify("purchase-1").outcome is Outcome.PAID


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_verify_that_takes_too_long_is_an_outage(client, simulator, fault):
    open_checkout(client)
    simulator.control.fault("verify", fault, seconds=0.4, times=1)
    impatient = client_of(simulator, seconds=0.2)

    with pytest.raises(GatewayUnavailable):
        impatient.verify("purchase-1")


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [
        ("wrong-amount", "amount", 1),
        ("wrong-currency", "currency", "USD"),
        ("wrong-mode", "mode", "live"),
        ("wrong-reference", "tx_ref", "somebody-elses"),
        ("unknown-status", "outcome", Outcome.UNKNOWN),
    ],
)
def test_verify_can_contradict_the_order(client, simulator, fault, name, value):
    open_checkout(client)
    simulator.control.complete("purchase-1")
    simulator.control.fault("verify", fault)

    assert getattr(client.verify("purchase-1"), name) == value


def test_verify_can_say_pending_after_the_event_said_success(client, simulator):
    open_checkout(client)
    simulator.control.complete("purchase-1")
    simulator.control.fault("verify", "alter", set={"status": "pending"}, times=1)

    assert client.verify("purchase-1").outcome is Outcome.PENDING


@pytest.mark.parametrize(
    ("options", "outcome"),
    [({}, Outcome.PENDING), ({"status": "failed"}, Outcome.FAILED)],
)
def test_verify_can_contradict_the_event(
    paid, merchant, simulator, client, options, outcome
):
    simulator.control.fault("verify", "contradicts", **options)

    paid()

    assert parse_event(merchant.received[0].body).outcome is Outcome.PAID
    assert client.verify("purchase-1").outcome is outcome


def test_look_up_can_know_nothing_at_first(client, simulator):
    send_mobile(client)
    simulator.control.fault("lookup", "not-found", times=2)

    assert client.payout_status("withdrawal-1", kind=MOBILE).outcome is (
        Outcome.NOT_FOUND
    )
    assert client.payout_status("withdrawal-1", kind=MOBILE).outcome is not (
        Outcome.NOT_FOUND
    )


def test_look_up_falls_back_where_one_address_knows_nothing(client, simulator):
    send_mobile(client)
    simulator.control.fault("mobile-lookup", "not-found")

    status = client.payout_status("withdrawal-1", kind=MOBILE)

    assert status.outcome in {Outcome.PENDING, Outcome.PAID}


def test_operator_can_stop_supporting_withdrawals(client, simulator):
    simulator.control.fault("operators", "no-withdrawals")

    assert not any(one.supports_withdrawals for one in client.mobile_money_operators())


# The control surface


def test_faults_are_listed_with_what_could_be_armed(simulator):
    simulator.control.fault("verify", "slow", seconds=1)

    known = simulator.control.get("faults")

    assert known["armed"] == [
        {"endpoint": "verify", "name": "slow", "times": None, "options": {"seconds": 1}}
    ]
    assert {"verify", "webhook", "lookup"} <= set(known["endpoints"])
    simulator.control.clear_faults()
    assert simulator.control.get("faults")["armed"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"endpoint": "verify", "fault": "no-such"},
        {"endpoint": "no-such", "fault": "slow"},
        {"endpoint": "verify", "fault": "slow", "times": 0},
        {"endpoint": "verify", "fault": "slow", "seconds": "long"},
        {"endpoint": "verify", "fault": "lost"},
    ],
)
def test_fault_that_does_not_exist_is_refused(simulator, body):
    answer = requests.post(
        f"{simulator.base_url}/_control/faults", json=body, timeout=20
    )

    assert answer.status_code == 400


def test_collections_can_be_moved_to_the_main_balance(client, simulator):
    open_checkout(client)
    simulator.control.complete("purchase-1")

    simulator.control.post("balance", settle=True)

    assert (client.balance().main, client.balance().collection) == (1_000_970, 0)
