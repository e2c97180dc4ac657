"""A gateway at its worst: slower than anybody waits, and without idempotency."""

from __future__ import annotations

from payments.gateway import DestinationKind, Outcome, PayoutOutcome
from tests.payments.simulated import client as client
from tests.payments.simulated import merchant as merchant
from tests.payments.simulated import running as running
from tests.payments.simulated import send_mobile
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import until


def test_a_payout_can_be_booked_after_the_connection_broke(client, simulator):
    simulator.control.fault("payout", "processed-late", times=1, seconds=0.5)

    result = send_mobile(client)

    assert result.outcome is PayoutOutcome.UNKNOWN
    status = client.payout_status("withdrawal-1", kind=DestinationKind.MOBILE_MONEY)
    assert status.outcome is Outcome.NOT_FOUND
    (late,) = until(lambda: simulator.control.state()["payouts"])
    assert late["charge_id"] == "withdrawal-1"


def test_a_charge_id_that_is_sent_again_is_refused(client, simulator):
    send_mobile(client)

    again = send_mobile(client)

    # The first may well have been paid.
    assert again.outcome is PayoutOutcome.UNKNOWN
    assert len(simulator.control.state()["payouts"]) == 1


def test_a_gateway_without_idempotency_pays_twice_and_its_book_says_so(
    client, simulator
):
    simulator.control.fault("payout", "pays-again")
    send_mobile(client)

    send_mobile(client)

    book = simulator.control.state()["payouts"]
    assert [one["charge_id"] for one in book] == ["withdrawal-1"] * 2
    until(lambda: simulator.control.payout("withdrawal-1")["status"] == "success")
    assert client.balance().main == 1_000_000 - 2 * 5000


def test_a_fault_can_let_requests_pass_first(client, simulator):
    simulator.control.fault("payout", "500-before", times=1, skip=1)

    outcomes = [send_mobile(client, f"withdrawal-{n}").outcome for n in range(3)]

    assert outcomes == [
        PayoutOutcome.ACCEPTED,
        PayoutOutcome.UNKNOWN,
        PayoutOutcome.ACCEPTED,
    ]
