"""Requests to the API about methods and withdrawals, and what refusals look like."""

from __future__ import annotations

from typing import Any

from tests.withdrawals.people import AIRTEL, signed_in
from withdrawals.models import PayoutMethod

METHOD = {
    "kind": "mobile_money",
    "destination": AIRTEL,
    "account_name": "Chikondi Banda",
    "account_number": "0991234567",
}


def post(user: Any, path: str, body: Any, **headers: str) -> Any:
    return signed_in(user).post(f"/api/v1{path}", body, format="json", headers=headers)


def get(user: Any, path: str) -> Any:
    return signed_in(user).get(f"/api/v1{path}")


def ask(coach: Any, credits: Any, method: PayoutMethod, **headers: str) -> Any:
    body = {"credits": credits, "payout_method": str(method.pk)}
    return post(coach, "/withdrawals", body, **headers)


def problem_of_field(field: str, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "/problems/invalid-request",
        "title": "The request does not have the expected form.",
        "status": 400,
        "errors": [{"pointer": f"#/{field}", "code": code, "detail": detail}],
    }


def without_detail(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "detail"}
