"""Webhooks: signatures, and bodies however odd."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.gateway import (
    EventKind,
    Outcome,
    UnreadableEvent,
    matching_secret,
    parse_event,
    sign,
)
from tests.payments.canned_gateway import documented


def altered(**changes: Any) -> bytes:
    """The documented event of a checkout with other members."""
    return json.dumps(
        {**json.loads(documented("webhook_checkout.json")), **changes}
    ).encode()


def test_signature_is_hmac_sha256_of_the_raw_body_in_lower_case_hex():
    body = documented("webhook_checkout.json")

    signature = sign(body, "key")

    assert signature == hmac.new(b"key", body, hashlib.sha256).hexdigest()


def test_signature_names_the_secret_that_made_it():
    body = documented("webhook_payout.json")

    assert matching_secret(body, sign(body, "new"), ["new", "old", "api"]) == 0
    assert matching_secret(body, sign(body, "api"), ["new", "old", "api"]) == 2


def test_signature_of_a_body_altered_by_one_byte_does_not_match():
    body = documented("webhook_checkout.json")

    assert matching_secret(body + b" ", sign(body, "key"), ["key"]) is None


def test_signature_of_a_reserialized_body_does_not_match():
    r"""The gateway writes `\/`, which Python does not."""
    body = documented("webhook_checkout.json")
    again = json.dumps(json.loads(body), separators=(",", ":")).encode()

    assert matching_secret(body, sign(again, "key"), ["key"]) is None


def test_an_empty_secret_matches_nothing():
    assert matching_secret(b"{}", sign(b"{}", ""), ["", ""]) is None


@pytest.mark.parametrize(
    "spoil",
    [
        str.upper,
        lambda good: f" {good}",
        lambda good: f"{good},{good}",
        lambda good: "é" * 64,
        lambda good: "\udcff" * 64,
        lambda good: good[:-1],
        lambda good: "a" * 1_000_000,
        lambda good: "",
        lambda good: None,
    ],
)
def test_a_header_in_another_form_matches_nothing(spoil):
    good = sign(b"{}", "key")

    assert matching_secret(b"{}", spoil(good), ["key"]) is None


@given(body=st.binary(), header=st.text())
def test_no_header_makes_the_comparison_raise(body, header):
    assert matching_secret(body, header, ["key"]) is None


def test_documented_event_of_a_checkout_is_read():
    event = parse_event(documented("webhook_checkout.json"))

    assert event.kind is EventKind.CHECKOUT
    assert event.tx_ref == "PA54231315"
    assert event.charge_id == ""
    assert (event.status, event.outcome) == ("success", Outcome.PAID)
    assert (event.amount, event.currency, event.mode) == (Decimal(1000), "MWK", "live")
    assert event.reference == "26262633201"
    assert event.problems == ()


def test_meta_is_json_inside_the_json():
    event = parse_event(documented("webhook_checkout.json"))

    assert event.meta == {"purchase": "0190f6c2", "link": "https://example.com"}


@pytest.mark.parametrize(
    ("meta", "read"), [("[]", []), ("null", None), ("", None), ({"a": 1}, {"a": 1})]
)
def test_empty_meta_comes_in_several_forms(meta, read):
    event = parse_event(altered(meta=meta))

    assert event.meta == read
    assert event.problems == ()


def test_meta_that_is_no_json_is_noted():
    assert parse_event(altered(meta="{")).problems == ("meta-unreadable",)


def test_documented_event_of_a_payout_is_read():
    event = parse_event(documented("webhook_payout.json"))

    assert event.kind is EventKind.PAYOUT
    assert (event.charge_id, event.tx_ref) == ("4567tfuty", "")
    assert (event.outcome, event.amount) == (Outcome.PAID, Decimal(1000))
    assert event.problems == ()


def test_documented_event_of_a_direct_charge_is_read():
    event = parse_event(documented("webhook_charge.json"))

    assert event.kind is EventKind.CHARGE
    assert (event.charge_id, event.mode) == ("charge-7", "test")
    assert event.problems == ()


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1000", "1000"),
        ("1000.0", "1000"),
        ("0.1", "0.1"),
        ('"50.00"', "50"),
        ('"1000"', "1000"),
        ("1e3", "1000"),
        ("123456789012.99", "123456789012.99"),
    ],
)
def test_sums_as_int_float_and_string_come_out_exact(text, amount):
    body = documented("webhook_checkout.json").replace(
        b'"amount":1000,', f'"amount":{text},'.encode()
    )

    assert parse_event(body).amount == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "1e99999999999999999999",
        "1e-40",
        "1000000000000",
        "-1",
        '"1e3"',
        '"1,000"',
        '"NaN"',
        '"0x10"',
        '"١"',
        '""',
        "true",
        "null",
        "[]",
        "{}",
    ],
)
def test_a_sum_that_is_none_is_noted_and_not_guessed(text):
    body = documented("webhook_checkout.json").replace(
        b'"amount":1000,', f'"amount":{text},'.encode()
    )

    event = parse_event(body)

    assert event.amount is None
    assert "amount-invalid" in event.problems


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_refused_though_python_reads_them(text):
    body = documented("webhook_checkout.json").replace(
        b'"amount":1000,', f'"amount":{text},'.encode()
    )

    event = parse_event(body)

    assert event.amount is None
    assert event.problems == ("not-finite", "amount-invalid")


def test_a_name_given_twice_is_noted():
    body = documented("webhook_checkout.json").replace(
        b'"amount":1000,', b'"amount":1,"amount":1000,'
    )

    assert parse_event(body).problems == ("duplicate-keys",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b'{"amount": 0.' + b"9" * 5000 + b"}",
        b"[" * 32_000 + b"]" * 32_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
    ],
    ids=[
        "nothing",
        "cut",
        "text",
        "not UTF-8",
        "byte order mark",
        "lone surrogate",
        "U+0000",
        "long integer",
        "long fraction",
        "too deep for Python",
        "deep",
    ],
)
def test_a_body_that_is_no_json_or_hurts_its_reader_is_unreadable(body):
    with pytest.raises(UnreadableEvent):
        parse_event(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"{}"])
def test_json_that_is_no_event_is_read_and_noted(body):
    event = parse_event(body)

    assert event.kind is EventKind.UNKNOWN
    assert "unknown-event-type" in event.problems


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"event_type": "api.refund"}, "unknown-event-type"),
        ({"event_type": ["checkout.payment"]}, "unknown-event-type"),
        ({"status": "reviewing"}, "unknown-status"),
        ({"status": None}, "unknown-status"),
        ({"tx_ref": None}, "tx-ref-missing"),
        ({"tx_ref": {"a": 1}}, "tx-ref-missing"),
        ({"currency": None}, "currency-missing"),
        ({"mode": "staging"}, "unknown-mode"),
        ({"event_type": "api.payout"}, "charge-id-missing"),
    ],
)
def test_what_an_event_lacks_is_noted(changes, problem):
    assert parse_event(altered(**changes)).problems == (problem,)


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("success", Outcome.PAID),
        ("SUCCESSFUL", Outcome.PAID),
        ("failed", Outcome.FAILED),
        ("cancelled", Outcome.FAILED),
        ("pending", Outcome.PENDING),
        ("processing", Outcome.PENDING),
        ("succeeded", Outcome.UNKNOWN),
    ],
)
def test_status_words_are_read_in_any_case_and_others_mean_nothing(word, outcome):
    assert parse_event(altered(status=word)).outcome is outcome


@pytest.mark.parametrize(
    ("written", "read"),
    [("sandbox", "test"), ("test", "test"), ("Live", "live"), ("live", "live")],
)
def test_sandbox_is_test_and_live_may_be_capitalized(written, read):
    assert parse_event(altered(mode=written)).mode == read


def test_mk_is_the_kwacha():
    assert parse_event(altered(currency="MK")).currency == "MWK"


@given(st.binary(max_size=300) | st.text().map(lambda text: json.dumps(text).encode()))
def test_no_bytes_make_the_reader_raise_anything_else(body):
    with suppress(UnreadableEvent):
        parse_event(body)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "event_type",
                "status",
                "amount",
                "tx_ref",
                "charge_id",
                "mode",
                "currency",
                "meta",
            ]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_no_event_of_any_shape_makes_the_reader_raise_anything_else(event):
    with suppress(UnreadableEvent):
        parse_event(json.dumps(event).encode())
