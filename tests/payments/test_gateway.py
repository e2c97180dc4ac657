"""The client against documented bodies, served over a real socket."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from payments import gateway
from payments.gateway import (
    DestinationKind,
    GatewayRefused,
    GatewayUnavailable,
    Outcome,
)
from tests.payments.canned_gateway import (
    SECRET_KEY,
    CannedGateway,
    client_of,
    documented,
    http,
)

AIRTEL = "20be6c20-adeb-4b5b-a7ba-0769820df4fb"
NATIONAL_BANK = "82310dd1-ec9b-4fe7-a32c-2f262ef08681"

CHECKOUT: dict[str, Any] = {
    "tx_ref": "purchase-1",
    "amount": Decimal("1000.00"),
    "currency": "MWK",
    "callback_url": "https://example.com/payments/return",
    "return_url": "https://example.com/payments/return",
}


def verify(body: Any, *, status: int = 200) -> gateway.PaymentStatus:
    with CannedGateway(http(body, status=status)) as canned:
        return canned.client().verify("PA54231315")


def verify_paid_with(**changes: Any) -> gateway.PaymentStatus:
    document = json.loads(documented("verify_paid.json"))
    document["data"] |= changes
    return verify(document)


def test_settings_name_the_gateway(settings):
    settings.PAYCHANGU_BASE_URL = "https://api.paychangu.com"
    settings.PAYCHANGU_SECRET_KEY = SECRET_KEY
    settings.PAYCHANGU_MODE = "live"
    settings.PAYCHANGU_TIMEOUT_SECONDS = 30

    config = gateway.from_settings().config

    assert (config.base_url, config.mode) == ("https://api.paychangu.com", "live")
    assert (config.connect_timeout_seconds, config.read_timeout_seconds) == (10, 30)


def test_the_key_stays_out_of_what_is_printed():
    assert SECRET_KEY not in repr(client_of("https://api.paychangu.com").config)


# Money in


@pytest.mark.parametrize("status", [200, 201])
def test_checkout_answers_with_the_page(status):
    body = documented("checkout_session.json")
    with CannedGateway(http(body, status=status)) as canned:
        session = canned.client().start_checkout(**CHECKOUT)

    assert session.checkout_url == "https://test-checkout.paychangu.com/7887951180"
    assert (session.tx_ref, session.amount) == ("purchase-1", Decimal(1000))
    assert (session.currency, session.mode, session.status) == (
        "MWK",
        "test",
        "pending",
    )


def test_checkout_sends_what_is_documented():
    with CannedGateway(http(documented("checkout_session.json"))) as canned:
        canned.client().start_checkout(
            **CHECKOUT,
            email="mac@example.com",
            title="Course Credits",
            meta={"purchase": "1"},
        )

    assert canned.lines == ["POST /payment"]
    assert b"\r\nAuthorization: Bearer " + SECRET_KEY.encode() in canned.requests[0]
    assert b"\r\nAccept: application/json" in canned.requests[0]
    assert canned.sent() == {
        "amount": "1000",
        "currency": "MWK",
        "callback_url": "https://example.com/payments/return",
        "return_url": "https://example.com/payments/return",
        "tx_ref": "purchase-1",
        "email": "mac@example.com",
        "customization": {"title": "Course Credits"},
        "meta": {"purchase": "1"},
    }


def test_checkout_in_dollars_sends_cents():
    with CannedGateway(http(documented("checkout_session.json"))) as canned:
        canned.client().start_checkout(
            **CHECKOUT | {"currency": "USD", "amount": Decimal("12.50")}
        )

    assert canned.sent()["amount"] == "12.50"


def test_checkout_refused_tells_staff_why_and_the_client_nothing():
    body = documented("refused_fields.json")
    with (
        CannedGateway(http(body, status=400)) as canned,
        pytest.raises(GatewayRefused) as refusal,
    ):
        canned.client().start_checkout(**CHECKOUT)

    assert refusal.value.reason == (
        "amount: The amount field is required.;"
        " currency: The currency field is required."
    )
    assert (refusal.value.code, refusal.value.status) == ("gateway-unavailable", 502)
    assert "amount" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "", None, "//elsewhere", "https://a b", "http://["]
)
def test_checkout_never_hands_out_what_is_no_web_address(url):
    document = json.loads(documented("checkout_session.json"))
    document["data"]["checkout_url"] = url
    with CannedGateway(http(document)) as canned, pytest.raises(GatewayUnavailable):
        canned.client().start_checkout(**CHECKOUT)


def test_checkout_of_another_payment_is_not_taken():
    with (
        CannedGateway(http(documented("checkout_session.json"))) as canned,
        pytest.raises(GatewayUnavailable, match="another payment"),
    ):
        canned.client().start_checkout(**CHECKOUT | {"tx_ref": "purchase-2"})


def test_payment_that_is_paid_is_read():
    status = verify(documented("verify_paid.json"))

    assert status.outcome is Outcome.PAID
    assert (status.tx_ref, status.status) == ("PA54231315", "success")
    assert (status.amount, status.currency) == (Decimal(1000), "MWK")
    assert (status.mode, status.reference) == ("live", "26262633201")
    assert (status.channel, status.charges) == ("Card", Decimal(40))
    assert status.completed_at == datetime(2024, 8, 8, 23, 21, 22, tzinfo=UTC)
    assert status.http_status == 200


def test_not_yet_paid_is_http_400_and_means_pending_not_failed():
    status = verify(documented("verify_pending.json"), status=400)

    assert status.outcome is Outcome.PENDING
    assert (status.http_status, status.mode) == (400, "test")


@pytest.mark.parametrize(
    ("text", "amount"), [("1000.10", "1000.10"), ('"1000.1"', "1000.1"), ("1", "1")]
)
def test_verified_sums_are_exact(text, amount):
    body = documented("verify_paid.json").replace(
        b'"amount":1000,', f'"amount":{text},'.encode()
    )

    assert verify(body).amount == Decimal(amount)


@pytest.mark.parametrize("word", ["success", "successful", "SUCCESS", "Successful"])
def test_both_success_words_count_at_both_levels(word):
    document = json.loads(documented("verify_paid.json"))
    document["status"] = document["data"]["status"] = word

    assert verify(document).outcome is Outcome.PAID


def test_paid_in_an_answer_that_says_failed_is_not_believed():
    document = json.loads(documented("verify_paid.json"))

    assert verify(document, status=400).outcome is Outcome.UNKNOWN
    assert verify(document | {"status": "failed"}).outcome is Outcome.UNKNOWN


def test_failed_payment_is_read_whatever_the_http_status():
    document = json.loads(documented("verify_paid.json"))
    document["data"]["status"] = "failed"

    assert verify(document).outcome is Outcome.FAILED
    assert verify(document, status=400).outcome is Outcome.FAILED


def test_status_word_that_is_not_known_means_nothing():
    assert verify_paid_with(status="reviewing").outcome is Outcome.UNKNOWN
    assert verify_paid_with(status=None).outcome is Outcome.UNKNOWN


def test_mk_is_the_kwacha_and_sandbox_is_the_test_mode():
    status = verify_paid_with(currency="MK", mode="sandbox")

    assert (status.currency, status.mode) == ("MWK", "test")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "failed", "message": "Not found", "data": None}, 404),
        ({"status": "failed", "message": "Not found", "data": None}, 400),
        (b"<html>Not Found</html>", 404),
    ],
)
def test_unknown_payment_is_not_found(body, status):
    assert verify(body, status=status).outcome is Outcome.NOT_FOUND


def test_success_without_data_means_nothing():
    document = {"status": "success", "message": "", "data": None}

    assert verify(document).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "odd",
    [
        {"data": []},
        {"data": "text"},
        {"data": {"status": {"a": 1}, "amount": [], "authorization": "x"}},
        {"data": {"status": "success", "authorization": {"completed_at": "soon"}}},
        {"message": {"a": 1}, "data": {"tx_ref": 5, "status": True}},
    ],
)
def test_answer_of_another_shape_is_read_without_harm(odd):
    assert verify({"status": "success"} | odd).outcome in {
        Outcome.UNKNOWN,
        Outcome.PAID,
    }


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("../wallet-balance", "..%2Fwallet-balance"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a%2fb", "a%252fb"),
        ("a#b", "a%23b"),
        ("é", "%C3%A9"),
    ],
)
def test_reference_stays_one_segment_of_the_path(reference, path):
    with CannedGateway(http(documented("verify_paid.json"))) as canned:
        canned.client().verify(reference)

    assert canned.lines == [f"GET /verify-payment/{path}"]


@pytest.mark.parametrize("reference", ["", ".", "..", "a\r\nb", "x" * 300])
def test_reference_that_no_quoting_helps_is_never_sent(reference):
    with CannedGateway(http(b"{}")) as canned, pytest.raises(ValueError, match="not a"):
        canned.client().verify(reference)

    assert canned.requests == []


# Destinations and balance


def test_operators_are_read_with_whether_they_take_withdrawals():
    with CannedGateway(http(documented("operators.json"))) as canned:
        airtel, tnm = canned.client().mobile_money_operators()

    assert canned.lines == ["GET /mobile-money"]
    assert (airtel.id, airtel.name) == (AIRTEL, "Airtel Money")
    assert airtel.kind is DestinationKind.MOBILE_MONEY
    assert (airtel.supports_withdrawals, tnm.supports_withdrawals) == (True, False)


@pytest.mark.parametrize(
    ("value", "supports"),
    [(True, True), (1, True), ("1", True), (0, False), ("false", False), (None, False)],
)
def test_whether_withdrawals_are_supported_comes_in_several_forms(value, supports):
    row = {"ref_id": "a", "name": "A", "supports_withdrawals": value}
    with CannedGateway(http({"status": "success", "data": [row]})) as canned:
        (operator,) = canned.client().mobile_money_operators()

    assert operator.supports_withdrawals is supports


def test_banks_are_read():
    with CannedGateway(http(documented("banks.json"))) as canned:
        (bank,) = canned.client().banks()

    assert canned.lines == ["GET /direct-charge/payouts/supported-banks?currency=MWK"]
    assert (bank.id, bank.name) == (NATIONAL_BANK, "National Bank of Malawi")
    assert (bank.kind, bank.supports_withdrawals) == (DestinationKind.BANK, True)


def test_balance_is_read_from_text_and_number():
    with CannedGateway(http(documented("balance.json"))) as canned:
        balance = canned.client().balance()

    assert canned.lines == ["GET /wallet-balance?currency=MWK"]
    assert (balance.main, balance.collection) == (Decimal("52637.95"), Decimal(0))
    assert (balance.currency, balance.mode) == ("MWK", "live")


@pytest.mark.parametrize("data", [None, {}, {"main_balance": "lots"}])
def test_balance_that_is_no_number_is_no_balance(data):
    body = {"status": "success", "data": data}
    with CannedGateway(http(body)) as canned, pytest.raises(GatewayUnavailable):
        canned.client().balance()
