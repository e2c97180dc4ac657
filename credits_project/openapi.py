"""The OpenAPI document: what drf-spectacular cannot see by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from credits_project.idempotency import HEADER
from credits_project.problems import CONTENT_TYPE

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A refusal (RFC 9457). Further members are facts of its type.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "The address of a page that explains it.",
            "examples": ["/problems/insufficient-credits"],
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "examples": ["#/amount"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}
_METHODS = ("get", "post", "put", "patch", "delete")
_MEANINGS = {
    "400": "The request does not have the expected form.",
    "401": "Nobody is signed in.",
    "403": "The caller may not do this.",
    "404": "There is nothing here for the caller.",
    "405": "The address does not take this method.",
    "406": "The answer does not exist in the form asked for.",
    "409": "The state of the world does not allow it.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "The Idempotency-Key was used for another request.",
    "429": "Too many requests; `Retry-After` says when to go on.",
    "503": "Not available now.",
}


class Schema(AutoSchema):
    """Describes an operation of ours; views need not repeat what holds for all."""

    def get_override_parameters(self) -> list[Any]:
        """Return the filters of a list, and the key of a request that moves money."""
        parameters = list(super().get_override_parameters())
        filters = getattr(self.view, "filters", None)
        if self.method == "GET" and filters is not None and filters().fields:
            parameters.append(filters)
        if self.method == "POST" and getattr(self.view, "moves_money", False):
            parameters.append(
                OpenApiParameter(
                    HEADER,
                    OpenApiTypes.STR,
                    OpenApiParameter.HEADER,
                    description=(
                        "1 to 255 visible ASCII characters that name this request for"
                        " ever: a repeat with the same key is not carried out again."
                    ),
                )
            )
        return parameters


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
                "`meta.access_token` in the answer of POST /_allauth/app/v1/auth/login."
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
                "pattern": rf"^-?\d{{1,{digits}}}\.\d{{{places}}}$",
            }
        text = {
            "type": "string",
            "pattern": rf"^-?\d{{1,{digits}}}(\.\d{{1,{places}}})?$",
        }
        number: dict[str, Any] = {"type": "integer"}
        for name, bound in (("min_value", "minimum"), ("max_value", "maximum")):
            if (value := getattr(self.target, name, None)) is not None:
                number[bound] = float(value) if value % 1 else int(value)
        return {"anyOf": [text, number]}


class MetadataFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes free facts."""

    target_class = "credits_project.fields.MetadataField"

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: str
    ) -> dict[str, Any]:
        """Return the schema of the field."""
        return {"type": "object", "additionalProperties": True}


def add_problems(
    result: dict[str, Any], generator: SchemaGenerator, **_: Any
) -> dict[str, Any]:
    """Give every operation the refusals that it can answer with."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    for path, item in result["paths"].items():
        for method in _METHODS:
            if operation := item.get(method):
                responses = operation.setdefault("responses", {})
                for status in _refusals_of(path, method, operation):
                    responses.setdefault(status, {"description": _MEANINGS[status]})
                for status, response in responses.items():
                    if status[0] in "45":
                        response["content"] = {CONTENT_TYPE: {"schema": _PROBLEM}}
    return result


def _refusals_of(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    parameters = operation.get("parameters", [])
    statuses = ["406", "429", "503"]
    if {} not in operation.get("security", [{}]):
        statuses += ["401", "403"]
    if "requestBody" in operation:
        statuses += ["400", "413", "415"]
    if any(parameter["in"] != "path" for parameter in parameters):
        statuses.append("400")
    if "{" in path:
        statuses.append("404")
    if method != "get":
        statuses += ["404", "409"]
    if any(parameter["name"] == HEADER for parameter in parameters):
        statuses.append("422")
    return sorted(set(statuses))
