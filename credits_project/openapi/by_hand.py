"""Operations that drf-spectacular cannot see: the gateway's door, and this document."""

from __future__ import annotations

from typing import Any

_STORED = {
    "description": "It is stored.",
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/EventReceived"}}
    },
}
# Plain Django, as the signature is over the raw bytes.
_WEBHOOK: dict[str, Any] = {
    "operationId": "paychangu_webhook",
    "summary": "Take in an event of the gateway.",
    "description": (
        "For PayChangu alone. The event is stored and answered at once; a worker then"
        " asks the gateway whether it is true. At most 64 KB."
    ),
    "tags": ["purchases"],
    "security": [{"gatewaySignature": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Event"}}
        },
    },
    "responses": {"200": _STORED},
}
_ANYBODY: list[dict[str, list[str]]] = [{"accessToken": []}, {"session": []}, {}]
_DOCUMENT = {
    "operationId": "openapi",
    "summary": "Return this document.",
    "tags": ["documentation"],
    "security": _ANYBODY,
    "responses": {
        "200": {
            "description": "OpenAPI 3.1.",
            "content": {
                media_type: {"schema": {"type": "object", "required": ["openapi"]}}
                for media_type in (
                    "application/vnd.oai.openapi+json",
                    "application/json",
                )
            },
        }
    },
}
_PAGES = {
    "operationId": "docs",
    "summary": "Show this document as pages.",
    "tags": ["documentation"],
    "security": _ANYBODY,
    "parameters": [
        {
            "name": "script",
            "in": "query",
            "description": "With it, whatever it says, the script of the pages.",
            "schema": {"type": "string"},
        }
    ],
    "responses": {
        "200": {
            "description": "Swagger UI, or its script.",
            "content": {
                media_type: {"schema": {"type": "string"}}
                for media_type in ("text/html", "application/javascript")
            },
        }
    },
}
_SCHEMAS: dict[str, Any] = {
    "Event": {
        "type": "object",
        "description": "An event as the gateway documents it; others are stored too.",
        "properties": {
            "event_type": {"type": "string", "examples": ["checkout.payment"]},
            "tx_ref": {"type": "string", "examples": ["credits-1f0c"]},
            "status": {"type": "string", "examples": ["success"]},
        },
        "additionalProperties": True,
    },
    "EventReceived": {
        "type": "object",
        "required": ["received"],
        "properties": {"received": {"const": True, "type": "boolean"}},
    },
}
_SCHEME = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": "HMAC-SHA256 of the body's bytes with the webhook secret, in hex.",
}


def add(document: dict[str, Any]) -> None:
    """Add the operations to the document."""
    document["paths"]["/api/v1/webhooks/paychangu"] = {"post": _WEBHOOK}
    document["paths"]["/api/v1/openapi.json"] = {"get": _DOCUMENT}
    document["paths"]["/api/v1/docs"] = {"get": _PAGES}
    document["components"]["schemas"].update(_SCHEMAS)
    document["components"]["securitySchemes"]["gatewaySignature"] = _SCHEME
