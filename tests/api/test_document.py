"""The OpenAPI document says all that the code can do, and nothing else."""

from __future__ import annotations

from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.test import Client

from credits_project.openapi.document import METHODS
from credits_project.openapi.refusals import OPERATIONS
from tests.api import following, urls
from withdrawals.exceptions import Limit

pytestmark = pytest.mark.django_db

# What the code that is followed could refuse, and not on this way.
_CANNOT_BE = {
    # Purchases are paid out of system wallets, under keys of their own.
    "GET /api/v1/purchases/{purchase_id}": {
        "idempotency-key-reused",
        "insufficient-credits",
        "invalid-request",
        "wallet-frozen",
    },
    # What is given back comes out of a system wallet.
    "POST /api/v1/withdrawals/{withdrawal_id}/cancel": {
        "insufficient-credits",
        "wallet-frozen",
    },
}
# What is known of it otherwise: the webhook is no view, `send_credits` is asked for by
# e-mail, and DRF refuses what it does itself.
_GENERAL = {
    "invalid-request",
    "not-acceptable",
    "not-authenticated",
    "not-found",
    "payload-too-large",
    "permission-denied",
    "server-error",
    "throttled",
    "unavailable",
    "unsupported-media-type",
}


@pytest.fixture(scope="module")
def _documents() -> dict[str, Any]:
    return {}


@pytest.fixture
def document(_documents: dict[str, Any]) -> dict[str, Any]:
    if not _documents:
        answer = Client().get("/api/v1/openapi.json")
        assert answer.status_code == 200
        _documents.update(answer.json())
    return _documents


def documented(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def slugs_of(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    schemas = document["components"]["schemas"]
    found = set()
    for response in operation["responses"].values():
        body = response.get("content", {}).get("application/problem+json")
        if body is None:
            continue
        for one in body["schema"].get("oneOf", [body["schema"]]):
            problem = schemas[one["$ref"].rpartition("/")[2]]
            found.add(problem["properties"]["type"]["const"].rpartition("/")[2])
    return found


def test_every_operation_of_the_url_configuration_is_documented_and_no_other(document):
    configured = {operation.name for operation in urls.operations()}

    assert len(configured) > 30
    assert set(documented(document)) == configured


def test_the_document_has_no_place_for_an_operation_that_is_gone(document):
    names = {operation["operationId"] for operation in documented(document).values()}

    assert set(OPERATIONS) <= names


def test_every_operation_documents_the_refusals_that_its_code_can_end_in(document):
    wrong = {}
    for operation in urls.operations():
        view = getattr(operation.view, "view_class", None) or getattr(
            operation.view, "cls", None
        )
        if view is None:
            continue
        followed = {
            refusal.code for refusal in following.of_view(view, operation.method)
        } - _CANNOT_BE.get(operation.name, set())
        said = slugs_of(document, documented(document)[operation.name])
        missing = followed - said
        too_many = said - followed - _GENERAL
        if missing or too_many:
            wrong[operation.name] = {"missing": missing, "too many": too_many}

    assert wrong == {}


def test_every_operation_says_what_it_does_and_what_may_be_sent(document):
    for name, operation in documented(document).items():
        assert operation.get("summary") or operation.get("description"), name
        assert operation["security"], name
        assert {"406", "429", "500", "503"} <= set(operation["responses"]), name
        for parameter in operation.get("parameters", []):
            assert parameter["schema"], name


def test_every_answer_has_a_body_of_a_known_form_and_names_the_request(document):
    for name, operation in documented(document).items():
        assert any(status[0] == "2" for status in operation["responses"]), name
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            assert "X-Request-ID" in response["headers"], (name, status)
            assert status == "204" or response["content"], (name, status)


def bodies(document: dict[str, Any]) -> list[tuple[str, dict[str, Any], Any]]:
    """Return what each JSON body is, its schema, and its example."""
    found = []
    for name, operation in documented(document).items():
        if name != "GET /api/v1/openapi.json":
            for part in (
                operation.get("requestBody", {}),
                *operation["responses"].values(),
            ):
                if body := part.get("content", {}).get("application/json"):
                    found.append((name, body["schema"], body["example"]))
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Problem"):
            found += [(name, schema, example) for example in schema["examples"]]
    return found


def test_every_json_body_has_an_example_of_its_form(document):
    for name, schema, example in bodies(document):
        whole = {**schema, "components": document["components"]}
        validator = jsonschema.Draft202012Validator(whole)
        assert list(validator.iter_errors(example)) == [], name

    assert len(bodies(document)) > 60


def test_every_parameter_has_an_example_of_its_form(document):
    checked = 0
    for name, operation in documented(document).items():
        for parameter in operation.get("parameters", []):
            whole = {**parameter["schema"], "components": document["components"]}
            errors = list(
                jsonschema.Draft202012Validator(whole).iter_errors(parameter["example"])
            )
            assert errors == [], (name, parameter["name"])
            checked += 1

    assert checked > 40


def test_the_limits_of_withdrawals_are_those_that_there_are(document):
    problem = document["components"]["schemas"]["WithdrawalLimitProblem"]

    assert problem["properties"]["limit"]["enum"] == list(get_args(Limit))


def test_signing_in_is_referred_to_at_its_own_document(document):
    url = document["externalDocs"]["url"]

    allauth = Client().get(url)

    assert allauth.status_code == 200
    spec = allauth.json()
    assert spec["openapi"].startswith("3.")
    token = document["components"]["securitySchemes"]["accessToken"]["description"]
    for path in ("/auth/login", "/auth/signup", "/tokens/refresh"):
        assert f"/_allauth/app/v1{path}" in token
        assert any(known.endswith(path) for known in spec["paths"])


def test_the_document_is_valid_openapi(document):
    from drf_spectacular.validation import validate_schema

    validate_schema(document)
