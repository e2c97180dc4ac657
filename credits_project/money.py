"""Credits: their field, their bounds and the one function that rounds."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from django.db import models

from credits_project.exceptions import InvalidInput

ZERO = Decimal("0.00")
CENT = Decimal("0.01")

# Amounts and balances lie strictly between -MAX_CREDITS and MAX_CREDITS. The upper
# bound is also what keeps NaN out of the tables: PostgreSQL sorts it above all numbers.
MAX_CREDITS = Decimal(10) ** 12

if TYPE_CHECKING:
    _DecimalField = models.DecimalField[Decimal, Decimal]
else:
    _DecimalField = models.DecimalField


class CreditField(_DecimalField):
    """An amount with two decimals, `numeric(14,2)`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_digits", 14)
        options.setdefault("decimal_places", 2)
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        options.pop("max_digits", None)
        options.pop("decimal_places", None)
        return name, path, list(args), options


def checked_amount(value: Decimal, *, field: str = "amount") -> Decimal:
    """Return `value` with exactly two decimals, refusing what would need rounding.

    Raises:
        InvalidInput: not a number, a third decimal, or out of range.
    """
    assert isinstance(value, Decimal), f"{field} must be Decimal, not {type(value)}"
    if not value.is_finite():
        raise InvalidInput(field, "A number of credits is required.")
    if abs(value) >= MAX_CREDITS:
        raise InvalidInput(
            field, "The amount must be below 1000000000000.00.", reason="max_value"
        )
    cents = value.quantize(CENT)
    if cents != value:
        raise InvalidInput(
            field,
            "Ensure that there are no more than 2 decimal places.",
            reason="max_decimal_places",
        )
    return cents


def positive_amount(value: Decimal, *, field: str = "amount") -> Decimal:
    """Return `value` with exactly two decimals; it must be above zero.

    Raises:
        InvalidInput: not above zero, a third decimal, or out of range.
    """
    amount = checked_amount(value, field=field)
    if amount <= 0:
        raise InvalidInput(field, "The amount must be above zero.", reason="min_value")
    return amount


def split_fee(price: Decimal, *, fee_rate: Decimal) -> tuple[Decimal, Decimal]:
    """Split `price` credits into (fee, remainder); the two always add up to `price`.

    `fee_rate` is a fraction, 0.15 for 15 %. Half cents go to the even neighbour,
    which over many sales favours neither side.
    """
    fee = (price * fee_rate).quantize(CENT, rounding=ROUND_HALF_EVEN)
    return fee, price - fee
