"""Small helpers for tests of the API's edges."""

from __future__ import annotations

from typing import Any

from django.test import Client
from rest_framework.test import APIClient

from tests.factories import PASSWORD, make_staff, make_user

RPC = "/api/v1/rpc/transfer_credits"


def signed_in(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def finance() -> APIClient:
    return signed_in(make_staff("finance"))


def send_raw(
    body: bytes | str, *, content_type: str = "application/json", **headers: Any
) -> Any:
    """Send bytes as they are to an address that reads JSON."""
    client: Any = finance()
    return client.generic("POST", RPC, body, content_type=content_type, **headers)


def problem(answer: Any) -> dict[str, Any]:
    """The whole problem, but for the id of the request."""
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body.pop("request_id") == answer["X-Request-ID"]
    return body


def invalid(
    pointer: str, code: str, detail: str, *, said: str | None = None
) -> dict[str, Any]:
    """The problem of one wrong thing in a request; `said` is its own detail."""
    return {
        "type": "/problems/invalid-request",
        "title": "The request does not have the expected form.",
        "status": 400,
        **({} if said is None else {"detail": said}),
        "errors": [{"pointer": pointer, "code": code, "detail": detail}],
    }


def malformed(code: str, detail: str, pointer: str = "#") -> dict[str, Any]:
    """The problem of a body that cannot be read."""
    return invalid(pointer, code, detail, said=detail)


def auth(path: str, body: dict[str, Any], **headers: Any) -> Any:
    """POST to allauth's headless API."""
    return Client().post(
        f"/_allauth/app/v1{path}", body, content_type="application/json", **headers
    )


def tokens_of(user: Any) -> dict[str, str]:
    """Sign in by password and return allauth's `meta`, tokens and all."""
    answer = auth("/auth/login", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    meta: dict[str, str] = answer.json()["meta"]
    return meta


def with_token(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def user_with_password(name: str = "user", **fields: Any) -> Any:
    return make_user(name, password=PASSWORD, **fields)
