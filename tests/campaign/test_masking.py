"""What is kept of an event names no account in full, and is the same otherwise."""

from __future__ import annotations

import json

import pytest

from payments.gateway import without_numbers


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"account_number":"1007534422"}', '{"account_number":"*******422"}'),
        (
            '{"account_number" : "+265991234567"}',
            '{"account_number" : "**********567"}',
        ),
        ('{"bank_account_number":991234567}', '{"bank_account_number":"******567"}'),
        (
            '[{"a":{"account_number":"10075 34422"}}]',
            '[{"a":{"account_number":"********422"}}]',
        ),
    ],
)
def test_the_account_that_was_paid_is_masked(body, kept):
    assert without_numbers(body.encode()).decode() == kept
    assert json.loads(kept)


@pytest.mark.parametrize(
    "body",
    [
        '{"amount": 1007534422, "reference": "54438943842"}',
        '{"account_number": 1234.5}',
        '{"account_number": 12345e6}',
        '{"account_number": null, "account_name": "1007534422"}',
        "account_number 1007534422",
    ],
)
def test_everything_else_stays_as_it_came(body):
    assert without_numbers(body.encode()).decode() == body
