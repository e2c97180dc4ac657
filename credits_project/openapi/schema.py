"""Operations, parameters and fields as they are read and shown."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from credits_project.fields import MAX_NUMBER_LENGTH, TEXT, InputSerializer
from credits_project.idempotency import HEADER
from credits_project.pagination import MAX_PAGE_SIZE, PAGE_SIZE, cursor_pattern

KEY_PARAMETER = OpenApiParameter(
    HEADER,
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[\\x21-\\x7e]+$",
    },
    OpenApiParameter.HEADER,
    description=(
        "1 to 255 visible ASCII characters that name this request for ever: a repeat"
        " with the same key is not carried out again."
    ),
)
# A group of operations for each word that an address begins with.
_TAGS = {
    "me": "account",
    "wallet": "wallet",
    "transfers": "transfers",
    "rpc": "transfers",
    "credit-packages": "purchases",
    "purchases": "purchases",
    "webhooks": "purchases",
    "courses": "courses",
    "enrollments": "enrollments",
    "earnings": "courses",
    "payout-destinations": "withdrawals",
    "payout-methods": "withdrawals",
    "withdrawals": "withdrawals",
    "openapi.json": "documentation",
    "docs": "documentation",
}


def tag_of(path: str) -> str:
    """Return the group of the operations at `path`, which has the API's base."""
    word = path.removeprefix("/api/v1/").partition("/")[0]
    return _TAGS.get(word, word)


class Schema(AutoSchema):
    """Describes an operation of ours; views need not repeat what holds for all."""

    def get_tags(self) -> list[str]:
        """Return the one group that the operation is in."""
        return [tag_of(self.path)]

    def get_override_parameters(self) -> list[Any]:
        """Return the filters of a list, and the key of a request that moves money."""
        parameters = list(super().get_override_parameters())
        named = {getattr(parameter, "name", parameter) for parameter in parameters}
        filters = getattr(self.view, "filters", None)
        if self.method == "GET" and filters is not None and filters().fields:
            parameters += [filters] if filters not in named else []
        if self.method == "POST" and getattr(self.view, "moves_money", False):
            parameters += [KEY_PARAMETER] if HEADER not in named else []
        return parameters

    def _get_pagination_parameters(self) -> list[dict[str, Any]]:
        # drf-spectacular knows the names only.
        parameters: list[dict[str, Any]] = super()._get_pagination_parameters()  # type: ignore[no-untyped-call]
        for parameter in parameters:
            if parameter["name"] == "limit":
                parameter["schema"] = {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_PAGE_SIZE,
                    "default": PAGE_SIZE,
                }
            else:
                parameter["schema"] = {"type": "string", "pattern": self._cursor()}
        return parameters

    def _cursor(self) -> str:
        view: Any = self.view
        ordering = view.ordering
        ordering = (ordering,) if isinstance(ordering, str) else tuple(ordering)
        pattern = cursor_pattern(view.get_queryset().model, ordering)
        # Names of groups are Python's.
        return re.sub(r"\?P<\w+>", "", pattern)

    def _map_serializer_field(
        self, field: Any, direction: str, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, bypass_extensions
        )
        is_text = type(field) is serializers.CharField and "enum" not in schema
        if direction == "request" and is_text:
            schema.pop("minLength", None)
            schema["pattern"] = TEXT if field.allow_blank else TEXT_THAT_SAYS_SOMETHING
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(serializer, InputSerializer):
            schema["additionalProperties"] = False
            schema |= getattr(serializer, "json_schema", {})
        return schema


# At least one character that is no blank, as `str.strip` has them, and none is NUL.
_BLANKS = (
    "\\x09-\\x0d\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f"
    "\\u205f\\u3000"
)
TEXT_THAT_SAYS_SOMETHING = f"^[^\\x00]*[^\\x00{_BLANKS}][^\\x00]*$"


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes bearer tokens."""

    target_class = "credits_project.authentication.AccessTokenAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": (
                "`meta.access_token` in the answer of POST /_allauth/app/v1/auth/login"
                " or /_allauth/app/v1/auth/signup, good for 15 minutes. POST"
                " /_allauth/app/v1/tokens/refresh gives a new one."
            ),
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes browser sessions."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"
    priority = 1

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": (
                "The session of a browser that signed in at /accounts/login/. What is"
                " not a GET needs the cross-site token as well, in `X-CSRFToken`."
            ),
        }


class DecimalFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes amounts: strings in answers; strings or numbers in requests."""

    target_class = "credits_project.fields.StrictDecimalField"
    match_subclasses = True

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: str
    ) -> dict[str, Any]:
        """Return the schema of the field."""
        places = self.target.decimal_places
        digits = self.target.max_digits - places
        if direction == "response":
            return {
                "type": "string",
                "pattern": f"^-?[0-9]{{1,{digits}}}\\.[0-9]{{{places}}}$",
            }
        minimum = self.target.min_value
        text = {
            "type": "string",
            "maxLength": MAX_NUMBER_LENGTH,
            "pattern": _number_pattern(minimum, digits=digits, places=places),
        }
        limit = 10**digits
        number: dict[str, Any] = {
            "type": "number",
            "multipleOf": float(f"1e-{places}"),
            "minimum": 1 - limit if minimum is None else float(minimum),
            "maximum": limit - 1,
        }
        return {"anyOf": [text, number]}


def _number_pattern(minimum: Any, *, digits: int, places: int) -> str:
    """Return what a number from `minimum` on looks like as text."""
    some = f"[0-9]{{1,{digits}}}(\\.[0-9]{{1,{places}}})?"
    if minimum is None or minimum < 0:
        return f"^-?0*{some}$"
    if minimum == 0:
        return f"^0*{some}$"
    assert float(minimum) == float(f"1e-{places}"), "no other minimum is in use"
    whole = f"[1-9][0-9]{{0,{digits - 1}}}(\\.[0-9]{{1,{places}}})?"
    parts = "|".join(
        f"0{{{zeros}}}[1-9][0-9]{{0,{places - zeros - 1}}}" for zeros in range(places)
    )
    return f"^0*({whole}|0\\.({parts}))$"


class MetadataFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes free facts."""

    target_class = "credits_project.fields.MetadataField"

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: str
    ) -> dict[str, Any]:
        """Return the schema of the field."""
        if direction == "response":
            return {"type": "object", "additionalProperties": True}
        return {"$ref": "#/components/schemas/JsonObject"}


def _json(depth: int) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [
        {"type": "string", "pattern": TEXT},
        {"type": ["number", "boolean", "null"]},
        {"$ref": "#/components/schemas/JsonObject"},
    ]
    if depth:
        kinds.append({"type": "array", "items": _json(depth - 1)})
    return {"anyOf": kinds}


# What JSON can say, less what PostgreSQL cannot keep. Lists are written out to a depth:
# makers of clients stumble over a type that is nothing but itself.
JSON_OBJECT: dict[str, Any] = {
    "type": "object",
    "description": "Any JSON object, without NUL in its texts.",
    "propertyNames": {"pattern": TEXT},
    "additionalProperties": _json(4),
}
