"""Payouts by the client, against documented bodies over a real socket."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from payments.gateway import (
    DestinationKind,
    GatewayUnavailable,
    Outcome,
    PayoutOutcome,
)
from tests.payments.canned_gateway import SECRET_KEY, CannedGateway, documented, http

AIRTEL = "20be6c20-adeb-4b5b-a7ba-0769820df4fb"
NATIONAL_BANK = "82310dd1-ec9b-4fe7-a32c-2f262ef08681"

MOBILE_PAYOUT: dict[str, Any] = {
    "charge_id": "withdrawal-1",
    "amount": Decimal("1000.00"),
    "mobile": "990000000",
    "operator_id": AIRTEL,
}
BANK_PAYOUT: dict[str, Any] = {
    "charge_id": "withdrawal-1",
    "amount": Decimal(1000),
    "bank_id": NATIONAL_BANK,
    "account_name": "Thoko Banda",
    "account_number": "1007534422",
}


def test_mobile_payout_sends_what_is_documented():
    with CannedGateway(http(documented("payout_flat.json"))) as canned:
        result = canned.client().send_mobile_payout(
            **MOBILE_PAYOUT, transaction_status="failed"
        )

    assert canned.lines == ["POST /mobile-money/payouts/initialize"]
    assert canned.sent() == {
        "mobile": "990000000",
        "mobile_money_operator_ref_id": AIRTEL,
        "amount": "1000",
        "charge_id": "withdrawal-1",
        "transaction_status": "failed",
    }
    assert result.outcome is PayoutOutcome.ACCEPTED


def test_bank_payout_sends_what_is_documented():
    with CannedGateway(http(documented("payout_nested.json"))) as canned:
        result = canned.client().send_bank_payout(**BANK_PAYOUT)

    assert canned.lines == ["POST /direct-charge/payouts/initialize"]
    assert canned.sent() == {
        "payout_method": "bank_transfer",
        "bank_uuid": NATIONAL_BANK,
        "amount": "1000",
        "charge_id": "withdrawal-1",
        "bank_account_name": "Thoko Banda",
        "bank_account_number": "1007534422",
    }
    assert result.outcome is PayoutOutcome.ACCEPTED


@pytest.mark.parametrize(
    ("name", "status", "mode"),
    [
        ("payout_flat.json", "successful", "live"),
        ("payout_nested.json", "pending", "test"),
    ],
)
def test_transaction_is_read_flat_and_nested(name, status, mode):
    with CannedGateway(http(documented(name))) as canned:
        result = canned.client().send_bank_payout(**BANK_PAYOUT)

    assert (result.amount, result.reference) == (Decimal(1000), "54438943842")
    assert (result.status, result.mode) == (status, mode)


@pytest.mark.parametrize("name", ["payout_flat.json", "payout_nested.json"])
def test_look_up_reads_both_forms(name):
    with CannedGateway(http(documented(name))) as canned:
        status = canned.client().payout_status(
            "withdrawal-1", kind=DestinationKind.BANK
        )

    assert canned.lines == ["GET /direct-charge/payouts/withdrawal-1/details"]
    assert (
        status.outcome
        is {
            "payout_flat.json": Outcome.PAID,
            "payout_nested.json": Outcome.PENDING,
        }[name]
    )


def test_look_up_reads_the_fee_and_the_time():
    with CannedGateway(http(documented("payout_flat.json"))) as canned:
        status = canned.client().payout_status(
            "withdrawal-1", kind=DestinationKind.MOBILE_MONEY
        )

    assert status.charges == Decimal(30)
    assert status.completed_at == datetime(2024, 8, 8, 23, 21, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "silent",
    [http(b"<html>404</html>", status=404), http(b"<html>502</html>", status=502)],
)
def test_mobile_look_up_falls_back_to_the_other_address(silent):
    found = http(documented("payout_flat.json"))
    with CannedGateway(silent, found) as canned:
        status = canned.client().payout_status(
            "withdrawal-1", kind=DestinationKind.MOBILE_MONEY
        )

    assert canned.lines == [
        "GET /mobile-money/payments/withdrawal-1/details",
        "GET /direct-charge/payouts/withdrawal-1/details",
    ]
    assert status.outcome is Outcome.PAID


def test_payout_that_both_addresses_do_not_know_is_not_found():
    missing = http({"status": "failed", "message": "No", "data": None}, status=404)
    with CannedGateway(missing) as canned:
        status = canned.client().payout_status(
            "withdrawal-1", kind=DestinationKind.MOBILE_MONEY
        )

    assert status.outcome is Outcome.NOT_FOUND


def test_payout_unknown_to_one_address_while_the_other_is_silent_is_not_decided():
    missing = http({"status": "failed", "message": "No", "data": None}, status=404)
    with (
        CannedGateway(http(b"", status=500), missing) as canned,
        pytest.raises(GatewayUnavailable),
    ):
        canned.client().payout_status("withdrawal-1", kind=DestinationKind.MOBILE_MONEY)


def test_look_up_that_tells_of_another_payout_means_nothing():
    with CannedGateway(http(documented("payout_flat.json"))) as canned:
        status = canned.client().payout_status(
            "withdrawal-2", kind=DestinationKind.BANK
        )

    assert status.outcome is Outcome.UNKNOWN


def test_payout_list_is_read_page_by_page_without_following_its_addresses():
    def page(number: int) -> Any:
        return http(
            {
                "status": "success",
                "data": {
                    "current_page": number,
                    "total_pages": 2,
                    "per_page": 1,
                    "next_page_url": "http://169.254.169.254/",
                    "data": [
                        {"charge_id": f"w-{number}", "amount": 5, "status": "failed"}
                    ],
                },
            }
        )

    with CannedGateway(page(1), page(2)) as canned:
        listed = list(canned.client().payouts())

    assert canned.lines == [
        "GET /direct-charge/payouts?page=1",
        "GET /direct-charge/payouts?page=2",
    ]
    assert [(one.charge_id, one.outcome) for one in listed] == [
        ("w-1", Outcome.FAILED),
        ("w-2", Outcome.FAILED),
    ]


# What may be kept


def test_summary_of_an_exchange_has_no_key_and_no_full_number():
    with CannedGateway(http(documented("payout_nested.json"))) as canned:
        result = canned.client().send_bank_payout(
            **BANK_PAYOUT, email="thoko@example.com"
        )

    kept = json.dumps(result.summary) + repr(result)
    assert "1007534422" not in kept
    assert SECRET_KEY not in kept
    assert "thoko@example.com" not in kept
    assert result.summary["sent"]["bank_account_number"] == "*******422"
    assert result.summary["sent"]["charge_id"] == "withdrawal-1"
    assert result.summary["http_status"] == 200


def test_numbers_are_masked_in_free_text_too():
    body = {"status": "failed", "message": "Account 1007534422 is closed", "data": None}
    with CannedGateway(http(body, status=400)) as canned:
        result = canned.client().send_bank_payout(**BANK_PAYOUT)

    assert result.message == "Account *******422 is closed"
    assert "1007534422" not in json.dumps(result.summary)
