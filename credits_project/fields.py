"""Serializer fields and bases that take exactly what the contract says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from credits_project.parsers import MAX_DEPTH, NumberLiteral

_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)
# Of a number as text, with its leading zeros.
MAX_NUMBER_LENGTH = 200
# The pattern of every text: PostgreSQL keeps no NUL.
TEXT = "^[^\\x00]*$"


class StrictDecimalField(serializers.DecimalField):
    """A number with at most `decimal_places` decimals, never rounded.

    Takes a string, a JSON integer, or a JSON number as it was written; neither exponent
    nor sign but "-", no blanks. Shows a string with exactly `decimal_places` decimals.
    """

    default_error_messages: ClassVar = {
        "invalid": "A number like 100 or 100.50 is required.",
        "max_decimal_places": (
            "Ensure that there are no more than {max_decimal_places} decimal places."
        ),
    }

    def __init__(
        self, *, max_digits: int = 14, decimal_places: int = 2, **options: Any
    ) -> None:
        super().__init__(
            max_digits=max_digits, decimal_places=decimal_places, **options
        )

    def to_internal_value(self, data: Any) -> Decimal:
        """Return the number with exactly `decimal_places` decimals."""
        text = self._text(data)
        match = _DECIMAL.fullmatch(text)
        if match is None:
            self.fail("invalid")
        sign, whole, fraction = match.groups(default="")
        places = self.decimal_places or 0
        if len(fraction) > places:
            self.fail("max_decimal_places", max_decimal_places=places)
        limit = Decimal(10) ** ((self.max_digits or 14) - places)
        # Leading zeros do no harm; what is left after them is as long as the number.
        whole_digits = len(whole.lstrip("0"))
        too_long = len(text) > MAX_NUMBER_LENGTH
        if too_long or whole_digits > (self.max_digits or 14) - places:
            raise ValidationError(
                f"The number must be below {limit}.",
                code="min_value" if sign else "max_value",
            )
        # Adding zero makes 0.00 of -0.00.
        number = Decimal(f"{sign}{whole}.{fraction or 0}") + 0
        return number.quantize(Decimal(1).scaleb(-places))

    def to_representation(self, value: Any) -> str:
        """Return the number as text with exactly `decimal_places` decimals."""
        number = value if isinstance(value, Decimal) else Decimal(str(value))
        places = self.decimal_places or 0
        return f"{number.quantize(Decimal(1).scaleb(-places)):f}"

    def _text(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, int | str | Decimal):
            self.fail("invalid")
        # What is longer is refused for it, whatever else is in it.
        return str(data)[: MAX_NUMBER_LENGTH + 1]


class CreditsField(StrictDecimalField):
    """An amount of credits: at most two decimals, below 10^12 either way."""


class MetadataField(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """A JSON object that is kept as it came, of at most `max_length` characters.

    Numbers with a fraction are kept as text: what was sent is what is shown, digit for
    digit.
    """

    default_error_messages: ClassVar = {
        "not_a_dict": "A JSON object is required.",
        "too_long": "The object has at most {max_length} characters.",
    }

    def __init__(self, *, max_length: int = 4000, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the object, with every `NumberLiteral` a plain string."""
        if not isinstance(data, dict):
            self.fail("not_a_dict")
        plain: dict[str, Any] = _plain(data, MAX_DEPTH)
        if len(repr(plain)) > self.max_length:
            self.fail("too_long", max_length=self.max_length)
        return plain

    def to_representation(self, value: Any) -> dict[str, Any]:
        """Return the object as it is kept."""
        return dict(value)


# What a field of the kind is in JSON. DRF would take 7 for "7", and "7" for 7.
_JSON_TYPES: tuple[tuple[type, type, str], ...] = (
    (serializers.BooleanField, bool, "Must be a valid boolean."),
    (serializers.IntegerField, int, "A valid integer is required."),
    (serializers.CharField, str, "Not a valid string."),
    (serializers.UUIDField, str, "Must be a valid UUID."),
    (serializers.ChoiceField, str, "Not a valid string."),
    (serializers.DateTimeField, str, "Not a valid string."),
)


class InputSerializer(serializers.Serializer[Any]):
    """The form of a request's body. What is of another type is refused, and so is a
    field that it does not name.

    NUL and lone surrogates never get here: the parser refuses them anywhere.
    """

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values; all that is wrong is reported at once."""
        unknown = {**self._of_other_types(data), **self._unknown(data)}
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            if unknown and isinstance(error.detail, dict):
                raise ValidationError({**error.detail, **unknown}) from error
            raise
        if unknown:
            raise ValidationError(unknown)
        return values

    def _of_other_types(self, data: Any) -> dict[str, list[ErrorDetail]]:
        if not isinstance(data, Mapping):
            return {}
        return {
            name: [ErrorDetail(detail, code="invalid")]
            for name, field in self.fields.items()
            for kind, json_type, detail in _JSON_TYPES
            if isinstance(field, kind)
            and (value := data.get(name)) is not None
            and type(value) is not json_type
            # 7.0 is a whole number as well; the field sees to what is none.
            and not (json_type is int and isinstance(value, NumberLiteral))
        }

    def _unknown(self, data: Any) -> dict[str, list[ErrorDetail]]:
        if not isinstance(data, Mapping):
            return {}
        known = {name for name, field in self.fields.items() if not field.read_only}
        return {
            str(name): [ErrorDetail("This field is not known.", code="unknown")]
            for name in data
            if name not in known
        }


def _plain(value: Any, depth: int) -> Any:
    assert depth >= 0, "the parser bounds the depth"
    if isinstance(value, NumberLiteral):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(member, depth - 1) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member, depth - 1) for member in value]
    return value
