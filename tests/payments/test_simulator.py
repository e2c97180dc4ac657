"""The simulator end to end: our client on one side, a merchant on the other."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
from decimal import Decimal

import pytest
import requests

from payments.gateway import (
    DestinationKind,
    GatewayRefused,
    GatewayUnavailable,
    Outcome,
    PayoutOutcome,
    parse_event,
)
from tests.payments.simulated import (
    AIRTEL,
    CALLBACK,
    NATIONAL_BANK,
    RETURN,
    TNM,
    open_checkout,
    send_bank,
    send_mobile,
)
from tests.payments.simulated import client as client
from tests.payments.simulated import merchant as merchant
from tests.payments.simulated import running as running
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import WEBHOOK_SECRET, until


def press(url: str, action: str = "pay", **form: str) -> requests.Response:
    """Press a button of the checkout page as a browser does, without following."""
    return requests.post(
        url, data={"action": action, **form}, allow_redirects=False, timeout=20
    )


# Money in


def test_new_payment_is_pending(client):
    session = open_checkout(client)

    status = client.verify("purchase-1")

    assert session.status == "pending"
    assert (status.outcome, status.http_status) == (Outcome.PENDING, 400)
    assert status.message == "Payment transaction not created."


def test_payment_on_the_page_is_verified_and_the_browser_sent_back(client):
    session = open_checkout(client)

    answer = press(session.checkout_url, method="mobile_money", phone="0990000000")

    assert answer.status_code == 302
    assert answer.headers["Location"] == (
        f"{CALLBACK}&tx_ref=purchase-1&status=success"
    )
    status = client.verify("purchase-1")
    assert status.outcome is Outcome.PAID
    assert (status.amount, status.charges) == (Decimal(1000), Decimal(30))
    assert (status.currency, status.mode) == ("MWK", "test")
    assert (status.channel, len(status.reference)) == ("Mobile Money", 11)


def test_payment_is_told_in_the_documented_flat_form_and_signed(client, merchant):
    session = open_checkout(client, meta={"purchase": "1/2"}, first_name="Mac")

    press(session.checkout_url, method="card", card_number="4242 4242 4242 4242")

    (event,) = until(lambda: merchant.received)
    assert event.content_type == "application/json"
    expected = hmac.new(WEBHOOK_SECRET.encode(), event.body, hashlib.sha256)
    assert event.signature == expected.hexdigest()
    document = json.loads(event.body)
    assert "data" not in document
    assert document["event_type"] == "checkout.payment"
    assert (document["tx_ref"], document["status"]) == ("purchase-1", "success")
    assert (document["amount"], document["charge"]) == (1000, 30)
    assert json.loads(document["meta"]) == {"purchase": "1/2"}
    assert document["authorization"]["channel"] == "Card"
    assert b"\\/" in event.body
    assert parse_event(event.body).problems == ()


def test_failed_attempt_keeps_the_page_open_to_try_again(client, merchant):
    session = open_checkout(client)

    failed = press(session.checkout_url, method="mobile_money", phone="990000001")

    assert failed.status_code == 200
    assert "The last attempt failed." in failed.text
    (event,) = until(lambda: merchant.received)
    assert parse_event(event.body).outcome is Outcome.FAILED
    assert client.verify("purchase-1").outcome is Outcome.PENDING

    paid = press(session.checkout_url, method="mobile_money", phone="990000000")

    assert paid.status_code == 302
    until(lambda: len(merchant.received) == 2)
    assert parse_event(merchant.received[1].body).outcome is Outcome.PAID
    assert client.verify("purchase-1").outcome is Outcome.PAID


@pytest.mark.parametrize(
    ("form", "succeeds"),
    [
        ({"method": "card", "card_number": "4242424242424242"}, True),
        ({"method": "card", "card_number": "4000000000000002"}, False),
        ({"method": "card", "card_number": "4000000000009995"}, False),
        ({"method": "card", "card_number": "4000000000003220"}, False),
        ({"method": "mobile_money", "phone": "990000000"}, True),
        ({"method": "mobile_money", "phone": "990000001"}, False),
        ({"method": "mobile_money", "phone": "+265 899 817 565"}, True),
        ({"method": "mobile_money", "phone": "0899817566"}, False),
        ({"method": "bank"}, True),
        ({"method": "bank", "action": "fail"}, False),
        (
            {"method": "card", "card_number": "4242424242424242", "action": "fail"},
            False,
        ),
    ],
)
def test_documented_test_values_decide_the_result(client, form, succeeds):
    session = open_checkout(client)

    press(session.checkout_url, **form)

    expected = Outcome.PAID if succeeds else Outcome.PENDING
    assert client.verify("purchase-1").outcome is expected


@pytest.mark.parametrize(
    "form",
    [
        {"method": "card", "card_number": "4242424242424241"},
        {"method": "card", "card_number": "1"},
        {"method": "mobile_money", "phone": "12"},
        {"method": "mobile_money", "phone": "771234567"},
        {"method": "cash"},
    ],
)
def test_entry_of_another_form_is_no_attempt(client, simulator, form):
    session = open_checkout(client)

    answer = press(session.checkout_url, **form)

    assert answer.status_code == 422
    assert "Please check your entry." in answer.text
    assert simulator.control.payment("purchase-1")["attempts"] == 0


def test_cancel_sends_the_browser_back_and_leaves_the_payment_pending(client):
    session = open_checkout(client)

    answer = press(session.checkout_url, "cancel")

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{RETURN}?tx_ref=purchase-1&status=failed"
    assert client.verify("purchase-1").outcome is Outcome.PENDING


def test_payment_is_paid_once_however_often_the_button_is_pressed(
    client, merchant, simulator
):
    session = open_checkout(client)

    press(session.checkout_url, method="bank")
    press(session.checkout_url, method="bank")

    assert simulator.control.payment("purchase-1")["attempts"] == 1
    assert len(simulator.control.deliveries("purchase-1")) == 1


def test_page_shows_the_sum_and_runs_no_script(client):
    session = open_checkout(
        client, title="<b>Credits</b>", amount=Decimal(1234567), description='"a" & b'
    )

    answer = requests.get(session.checkout_url, timeout=20)

    assert "MWK 1,234,567" in answer.text
    assert html.escape("<b>Credits</b>") in answer.text
    assert "<b>Credits" not in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "form-action 'self' http://127.0.0.1:9" in policy


def test_page_that_does_not_exist_is_404(simulator):
    answer = requests.get(f"{simulator.base_url}/checkout/1234567890", timeout=20)

    assert answer.status_code == 404


def test_page_of_an_expired_session_takes_no_payment(client, simulator):
    session = open_checkout(client)
    simulator.control.post("options", session_seconds=0)
    try:
        answer = press(session.checkout_url, method="bank")
    finally:
        simulator.control.post("options", session_seconds=3600)

    assert answer.status_code == 410
    assert client.verify("purchase-1").outcome is Outcome.PENDING


def test_reference_that_was_used_is_refused(client):
    open_checkout(client)

    with pytest.raises(GatewayRefused) as refusal:
        open_checkout(client)

    assert refusal.value.reason == "tx_ref: The tx ref has already been taken."


def test_missing_fields_are_refused_by_name(simulator):
    answer = requests.post(
        f"{simulator.base_url}/payment",
        json={"amount": {"a": 1}},
        headers={"Authorization": f"Bearer {simulator.secret_key}"},
        timeout=20,
    )

    assert answer.status_code == 400
    document = answer.json()
    assert (document["status"], document["data"]) == ("failed", None)
    assert sorted(document["message"]) == [
        "amount",
        "callback_url",
        "currency",
        "return_url",
        "tx_ref",
    ]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic x"])
def test_without_the_key_there_is_nothing(simulator, authorization):
    headers = {"Authorization": authorization} if authorization else {}

    answer = requests.get(
        f"{simulator.base_url}/wallet-balance", headers=headers, timeout=20
    )

    assert answer.status_code == 401
    assert answer.json()["status"] == "failed"


def test_unknown_payment_is_not_found(client):
    assert client.verify("no-such-thing").outcome is Outcome.NOT_FOUND


# Money out


def test_destinations_are_the_documented_ones(client):
    operators = client.mobile_money_operators()
    banks = client.banks()

    assert [operator.id for operator in operators] == [AIRTEL, TNM]
    assert banks[0].id == NATIONAL_BANK


@pytest.mark.parametrize(
    ("send", "kind"),
    [
        (send_mobile, DestinationKind.MOBILE_MONEY),
        (send_bank, DestinationKind.BANK),
    ],
)
def test_payout_is_accepted_then_settles_and_is_told(client, merchant, send, kind):
    result = send(client)

    assert result.outcome is PayoutOutcome.ACCEPTED
    assert (result.status, result.amount) == ("pending", Decimal(5000))
    (event,) = until(lambda: merchant.received)
    told = parse_event(event.body)
    assert (told.event_type, told.charge_id) == ("api.payout", "withdrawal-1")
    assert (told.outcome, told.problems) == (Outcome.PAID, ())
    status = client.payout_status("withdrawal-1", kind=kind)
    assert (status.outcome, status.amount) == (Outcome.PAID, Decimal(5000))
    assert status.reference == result.reference


def test_payout_leaves_the_balance(client):
    send_mobile(client)

    assert client.balance().main == Decimal(995_000)


@pytest.mark.parametrize(
    "options",
    [
        {"mobile": "990000001"},
        {"mobile": "899817566", "operator_id": TNM},
        {"transaction_status": "failed"},
    ],
)
def test_failed_payout_comes_back_into_the_balance(client, merchant, options):
    send_mobile(client, **options)

    (event,) = until(lambda: merchant.received)
    assert parse_event(event.body).outcome is Outcome.FAILED
    status = client.payout_status("withdrawal-1", kind=DestinationKind.MOBILE_MONEY)
    assert status.outcome is Outcome.FAILED
    assert client.balance().main == Decimal(1_000_000)


def test_payout_beyond_the_balance_is_rejected(client):
    result = send_mobile(client, amount=Decimal(1_000_001))

    assert result.outcome is PayoutOutcome.REJECTED
    assert result.message == "Insufficient balance to process this payout."
    assert client.balance().main == Decimal(1_000_000)


def test_payout_that_was_sent_before_is_not_paid_twice(client, simulator):
    send_mobile(client)

    again = send_mobile(client)

    assert again.outcome is PayoutOutcome.UNKNOWN
    assert client.balance().main == Decimal(995_000)
    assert simulator.control.state()["counts"]["payout"] == 2


def test_payout_with_wrong_fields_is_rejected(client):
    result = send_mobile(client, operator_id="nobody")

    assert result.outcome is PayoutOutcome.REJECTED
    assert "mobile_money_operator_ref_id" in result.message


def test_payout_list_has_every_payout_on_several_pages(client):
    sent = {f"withdrawal-{number}" for number in range(23)}
    for charge_id in sent:
        send_mobile(client, charge_id, amount=Decimal(10))

    assert {payout.charge_id for payout in client.payouts()} == sent


def test_unknown_payout_is_not_found(client):
    for kind in DestinationKind:
        assert client.payout_status("nothing", kind=kind).outcome is Outcome.NOT_FOUND


# The list for people


def test_list_shows_what_happened_and_its_buttons_work(client, simulator, merchant):
    open_checkout(client)

    def click(
        action: str, key: str = "", outcome: str = "", preset: str = ""
    ) -> requests.Response:
        form = {"action": action, "key": key, "outcome": outcome, "preset": preset}
        return requests.post(f"{simulator.base_url}/_dashboard", data=form, timeout=20)

    assert "purchase-1" in click("complete", "purchase-1", "failed").text
    assert client.verify("purchase-1").outcome is Outcome.PENDING
    click("complete", "purchase-1", "success")
    assert client.verify("purchase-1").outcome is Outcome.PAID
    click("arm", preset="payout-result:pending")
    send_mobile(client)
    click("settle", "withdrawal-1", "success")
    until(lambda: len(merchant.received) == 3)
    delivery = simulator.control.deliveries("purchase-1")[0]
    assert "delivered" in click("resend", delivery["id"]).text
    until(lambda: len(merchant.received) == 4)
    assert "No fault is armed." not in click("arm", preset="webhook:lost").text
    assert "No fault is armed." in click("clear-faults").text


@pytest.mark.parametrize("path", ["_dashboard", "_control/reset"])
def test_page_of_another_site_cannot_press_the_buttons(simulator, path):
    answer = requests.post(
        f"{simulator.base_url}/{path}",
        headers={"Origin": "https://elsewhere.example"},
        timeout=20,
    )

    assert answer.status_code == 403


def test_key_that_is_wrong_makes_our_client_say_so(simulator, client):
    simulator.control.fault("balance", "unauthorized")

    with pytest.raises(GatewayUnavailable, match="key"):
        client.balance()
