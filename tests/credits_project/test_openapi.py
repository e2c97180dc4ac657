from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document() -> dict[str, Any]:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_the_document_is_openapi_3_1_with_both_ways_to_sign_in(document):
    assert document["openapi"].startswith("3.1")
    schemes = document["components"]["securitySchemes"]
    assert schemes["accessToken"]["scheme"] == "bearer"
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}


def test_addresses_have_no_slash_at_their_end_and_unique_names(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert all(path.startswith("/api/v1/") for path in document["paths"])
    assert not [path for path in document["paths"] if path.endswith("/")]
    assert len(names) == len(set(names))


def test_every_operation_tells_its_refusals_as_problems(document):
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status[0] in "45":
                assert list(response["content"]) == ["application/problem+json"], (
                    path,
                    method,
                )
        assert "429" in operation["responses"], path


def test_requests_that_move_money_take_a_key(document):
    operation = document["paths"]["/api/v1/rpc/transfer_credits"]["post"]

    assert {"in": "header", "name": "Idempotency-Key"}.items() <= next(
        parameter
        for parameter in operation["parameters"]
        if parameter["name"] == "Idempotency-Key"
    ).items()
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429"} <= set(
        operation["responses"]
    )


def test_lists_are_described_as_pages_with_their_filters(document):
    operation = document["paths"]["/api/v1/wallet/transactions"]["get"]

    names = {parameter["name"] for parameter in operation["parameters"]}
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]
    page = document["components"]["schemas"][reference["$ref"].split("/")[-1]]
    assert {"limit", "cursor", "transaction_type", "from", "to"} <= names
    assert set(page["properties"]) == {"next", "previous", "results"}


def test_amounts_are_described_as_they_are_read_and_shown(document):
    schemas = document["components"]["schemas"]
    sent = schemas["RpcTransferInputRequest"]["properties"]["amount"]
    shown = schemas["WalletOutput"]["properties"]["balance"]

    for good in ("10", "10.5", "10.50", 10):
        jsonschema.validate(good, sent)
    for bad in ("1e3", "10.005", "NaN", True, None, 0):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, sent)
    jsonschema.validate("10.50", shown)
