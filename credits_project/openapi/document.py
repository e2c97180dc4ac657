"""The whole document: operations, problems, examples, and what is no view of DRF's."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from credits_project.idempotency import HEADER, REPLAY_HEADER
from credits_project.openapi import by_hand, examples, links, problems, refusals
from credits_project.openapi.schema import JSON_OBJECT

METHODS = ("get", "post", "put", "patch", "delete")
_TAGS = {
    "account": "Who the caller is.",
    "wallet": "What the caller has, had, and how it came to be.",
    "transfers": "Credits from one user to another.",
    "purchases": "Credits for money.",
    "courses": "The catalogue, and enrolling.",
    "enrollments": "Places in courses, and taking the price back.",
    "withdrawals": "Money for earned credits.",
    "documentation": "What you are reading.",
}
_REQUEST_ID_HEADER = {
    "description": "The request's name, in logs too: the caller's own if it is sane.",
    "required": True,
    "schema": {"type": "string"},
}
_REPLAYED_HEADER = {
    "description": "Only where an earlier request with the same key made it.",
    "schema": {"const": "true", "type": "string"},
}
_ALLAUTH = {
    "description": (
        "Signing up, in and out, e-mail, passwords, second factors and sessions:"
        " django-allauth's own document."
    ),
    "url": "/_allauth/openapi.json",
}


def complete(
    result: dict[str, Any], generator: SchemaGenerator, **_: Any
) -> dict[str, Any]:
    """Return the document with all that holds for every operation alike."""
    by_hand.add(result)
    components = result["components"]
    components.setdefault("schemas", {}).update(problems.schemas())
    components["schemas"]["JsonObject"] = JSON_OBJECT
    components["headers"] = {
        "RequestId": _REQUEST_ID_HEADER,
        "IdempotentReplayed": _REPLAYED_HEADER,
    }
    result["servers"] = [{"url": "/", "description": "The site that serves this."}]
    result["externalDocs"] = _ALLAUTH
    result["tags"] = [{"name": n, "description": text} for n, text in _TAGS.items()]
    for path, item in sorted(result["paths"].items()):
        for method in METHODS:
            if operation := item.get(method):
                _complete_operation(path, method, operation)
    links.add(result)
    examples.add(result)
    return result


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    declared = refusals.OPERATIONS.get(operation["operationId"], ())
    responses = operation["responses"]
    for status, slugs in problems.refusals_of(
        path, method, operation, declared
    ).items():
        responses[status] = problems.response_of(status, slugs)
    takes_key = any(p["name"] == HEADER for p in operation.get("parameters", []))
    for status, response in responses.items():
        response["description"] = (
            response["description"] or HTTPStatus(int(status)).phrase
        )
        headers = response.setdefault("headers", {})
        headers["X-Request-ID"] = {"$ref": "#/components/headers/RequestId"}
        if takes_key and status.startswith("2"):
            reference = "#/components/headers/IdempotentReplayed"
            headers[REPLAY_HEADER] = {"$ref": reference}
    operation["responses"] = dict(sorted(responses.items()))
