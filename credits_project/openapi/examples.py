"""An example of every body and parameter, made from its schema and a table of words.

Made rather than written: a field that is added has an example at once, and none can
become wrong. A test compares each with its schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# What the members of that name are like, where their schema alone would say little.
_WORDS: dict[str, Any] = {
    "Idempotency-Key": "order-1",
    "account_name": "Grace Phiri",
    "account_number": "0991234567",
    "amount": "40.00",
    "checkout_url": "https://checkout.example.com/7887951180",
    "code": "max_decimal_places",
    "credits": "40.00",
    "currency": "MWK",
    "cursor": "0",
    "description": "What every shop needs to know about its money.",
    "detail": "4.00 credits are required and 3.00 are available.",
    "email": "learner@example.com",
    "failure_reason": "",
    "from_user_id": 7,
    "key": "rpc:7:3f1c",
    "limit": 50,
    "month": "2026-11",
    "metadata": {"course": "01a20604-bb6d-7492-9008-d102243b555b"},
    "name": "Grace Phiri",
    "next": "https://credits.example.com/api/v1/courses?cursor=0.40",
    "note": "For the books",
    "previous": None,
    "rate": "90.0000",
    "reason": "It is not what I was looking for.",
    "request_id": "535e59d2023a42f799701a7e9c0e4176",
    "sequence": 2,
    "slug": "bookkeeping-for-small-shops",
    "summary": "Keep books in an hour a week.",
    "title": "Bookkeeping for small shops",
    "to": "learner@example.com",
    "to_user_id": 8,
    "tx_ref": "credits-e624c5b681f1c62e1a07c74c568a33d3",
}
_FORMATS = {
    "date": "2026-11-01",
    "date-time": "2026-11-23T08:30:00Z",
    "email": "learner@example.com",
    "uri": "https://credits.example.com/",
    "uuid": "01a20605-2ab0-7b92-ab16-77129e65faef",
}
_TYPES: dict[str, Any] = {
    "boolean": True,
    "integer": 1,
    "null": None,
    "number": 1,
    "object": {},
    "string": "text",
}


def add(document: dict[str, Any]) -> None:
    """Give each JSON body, kind of problem and parameter of the document an example."""
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Problem"):
            schema["examples"] = [_example(schemas, schema)]
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                name = parameter["name"]
                parameter["example"] = _example(schemas, parameter["schema"], name)
            for part in (operation.get("requestBody", {}), *_shown_by(operation)):
                if body := part.get("content", {}).get("application/json"):
                    body["example"] = _example(schemas, body["schema"])


def _shown_by(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for status, response in operation["responses"].items():
        if status.startswith("2") and operation["operationId"] != "openapi":
            yield response


def _example(schemas: dict[str, Any], schema: dict[str, Any], name: str = "") -> Any:
    schema = _resolved(schemas, schema)
    for keyword in ("const", "example", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("examples", "enum"):
        if keyword in schema:
            return schema[keyword][0]
    if name in _WORDS and "$ref" not in schema.get("items", {}):
        return _WORDS[name]
    if "properties" in schema:
        return {
            member: _example(schemas, inner, member)
            for member, inner in schema["properties"].items()
        }
    if "items" in schema:
        return [_example(schemas, schema["items"], name)]
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return _example(schemas, schema[keyword][0], name)
    if "pattern" in schema and "." in schema["pattern"]:
        return "4.00"
    types = schema.get("type", "string")
    kind = types if isinstance(types, str) else types[0]
    return _FORMATS.get(schema.get("format", ""), _TYPES[kind])


def _resolved(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema itself where there is a reference to it."""
    for one in (schema, *schema.get("allOf", [])):
        if "$ref" in one:
            return {**schemas[one["$ref"].rpartition("/")[2]], **_beside(schema)}
    return schema


def _beside(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: schema[name] for name in ("default",) if name in schema}
