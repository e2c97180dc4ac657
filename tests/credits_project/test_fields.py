from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework import serializers

from credits_project.fields import (
    CreditsField,
    InputSerializer,
    MetadataField,
    StrictDecimalField,
)
from credits_project.money import CENT
from credits_project.parsers import NumberLiteral
from credits_project.problems import errors_of


class LineInput(InputSerializer):
    price = CreditsField(min_value=CENT)


class OrderInput(InputSerializer):
    amount = CreditsField(min_value=CENT)
    note = serializers.CharField(required=False)
    lines = LineInput(many=True, required=False)
    facts = MetadataField(required=False)
    number = serializers.IntegerField(read_only=True)


def errors(**data: Any) -> list[tuple[str, str]]:
    form = OrderInput(data=data)
    form.is_valid()
    return [(error["pointer"], error["code"]) for error in errors_of(form.errors)]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("10", "10.00"),
        ("10.5", "10.50"),
        ("10.50", "10.50"),
        ("007", "7.00"),
        ("999999999999.99", "999999999999.99"),
        (10, "10.00"),
        (999999999999, "999999999999.00"),
        (NumberLiteral("10.5"), "10.50"),
        (NumberLiteral("0.01"), "0.01"),
    ],
)
def test_an_amount_is_read_exactly(sent, read):
    form = OrderInput(data={"amount": sent})

    assert form.is_valid(), form.errors
    assert str(form.validated_data["amount"]) == read


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("10.005", "max_decimal_places"),
        ("10.000", "max_decimal_places"),
        (NumberLiteral("10.005"), "max_decimal_places"),
        ("1e3", "invalid"),
        (NumberLiteral("1e3"), "invalid"),
        (NumberLiteral("1E-1"), "invalid"),
        ("NaN", "invalid"),
        ("Infinity", "invalid"),
        ("-Infinity", "invalid"),
        ("", "invalid"),
        (" 10", "invalid"),
        ("10 ", "invalid"),
        ("10\n", "invalid"),
        ("+10", "invalid"),
        ("10.", "invalid"),
        (".5", "invalid"),
        ("1,000", "invalid"),
        ("1_000", "invalid"),
        ("٣", "invalid"),
        ("０", "invalid"),
        ("ten", "invalid"),
        (True, "invalid"),
        (False, "invalid"),
        ([], "invalid"),
        (["10"], "invalid"),
        ({}, "invalid"),
        ({"a": 1}, "invalid"),
        (10.5, "invalid"),
        (None, "null"),
        ("0", "min_value"),
        (0, "min_value"),
        ("0.00", "min_value"),
        ("-0.00", "min_value"),
        ("-5", "min_value"),
        (-5, "min_value"),
        ("1000000000000", "max_value"),
        (10**12, "max_value"),
        (10**90, "max_value"),
        ("9" * 5000, "max_value"),
        ("-1000000000000", "min_value"),
    ],
)
def test_what_is_no_amount_is_refused_with_a_code(sent, code):
    assert errors(amount=sent) == [("#/amount", code)]


def test_minus_zero_is_zero():
    assert str(CreditsField().run_validation("-0.00")) == "0.00"


def test_an_amount_is_shown_with_two_decimals_and_no_exponent():
    field = CreditsField()

    shown = [
        field.to_representation(Decimal(amount)) for amount in ("1E+3", "5", "0E-7")
    ]

    assert shown == ["1000.00", "5.00", "0.00"]


def test_a_rate_has_the_decimals_that_it_was_given():
    field = StrictDecimalField(max_digits=14, decimal_places=4)

    assert str(field.run_validation("1.2345")) == "1.2345"
    with pytest.raises(serializers.ValidationError) as refusal:
        field.run_validation("1.23456")
    assert refusal.value.get_codes() == ["max_decimal_places"]


def test_unknown_and_read_only_fields_are_refused_beside_other_errors():
    assert errors(amount="0", number=7, balance="9") == [
        ("#/amount", "min_value"),
        ("#/number", "unknown"),
        ("#/balance", "unknown"),
    ]


def test_errors_point_into_nested_data():
    lines = [{"price": "1"}, {"price": "1.005", "a/b~c": 1}]

    assert errors(amount="1", lines=lines) == [
        ("#/lines/1/price", "max_decimal_places"),
        ("#/lines/1/a~1b~0c", "unknown"),
    ]


def test_metadata_keeps_numbers_as_they_were_written():
    form = OrderInput(
        data={"amount": 1, "facts": {"a": NumberLiteral("1.50"), "b": [2, True, None]}}
    )

    assert form.is_valid(), form.errors
    assert form.validated_data["facts"] == {"a": "1.50", "b": [2, True, None]}
    assert type(form.validated_data["facts"]["a"]) is str


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([], "not_a_dict"),
        ("{}", "not_a_dict"),
        ({"a": "x" * 5000}, "too_long"),
        (None, "null"),
    ],
)
def test_metadata_is_one_object_of_limited_size(sent, code):
    assert errors(amount=1, facts=sent) == [("#/facts", code)]
