from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from rest_framework.test import APIClient

from tests.factories import balance_of, make_staff, make_user, wallet_of
from wallets import services
from wallets.models import CreditTransfer

pytestmark = pytest.mark.django_db


def signed_in(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def problem(answer: Any) -> dict[str, Any]:
    """The whole problem, but for the id of the request."""
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    body.pop("request_id", None)
    return body


def problem_of_field(field: str, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "/problems/invalid-request",
        "title": "The request does not have the expected form.",
        "status": 400,
        "errors": [{"pointer": f"#/{field}", "code": code, "detail": detail}],
    }


def history(user: Any, *amounts: str) -> None:
    for amount in amounts:
        services.grant_credits(
            user_id=user.pk,
            amount=Decimal(amount),
            reason="=HYPERLINK()",
            transaction_type="adjustment",
        )


def test_transactions_are_listed_newest_first_with_every_field():
    user = make_user("user")
    history(user, "10.00", "-2.50")

    body = signed_in(user).get("/api/v1/wallet/transactions").json()

    row = wallet_of(user).transactions.get(sequence=2)
    assert body["next"] is None
    assert body["previous"] is None
    assert [r["sequence"] for r in body["results"]] == [2, 1]
    assert body["results"][0] == {
        "sequence": 2,
        "transfer": str(row.transfer_id),
        "transaction_type": "adjustment",
        "amount": "-2.50",
        "balance_before": "10.00",
        "balance_after": "7.50",
        "description": "=HYPERLINK()",
        "metadata": {},
        "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_nobody_sees_the_transactions_of_others():
    user, other = make_user("user"), make_user("other")
    history(other, "10.00")

    body = signed_in(user).get("/api/v1/wallet/transactions").json()

    assert body["results"] == []


def test_pages_of_transactions_follow_one_another_without_gap_or_repeat():
    user = make_user("user")
    history(user, *["1.00"] * 5)
    client = signed_in(user)

    seen, address = [], "/api/v1/wallet/transactions?limit=2"
    while address:
        page = client.get(address).json()
        seen += [row["sequence"] for row in page["results"]]
        address = page["next"]
        history(user, "1.00")

    assert seen == [5, 4, 3, 2, 1]


def test_transactions_are_filtered_by_type_and_time():
    user = make_user("user", balance="5.00")
    history(user, "1.00")
    client = signed_in(user)
    today = timezone.now().date()

    def numbers(query: str) -> list[int]:
        body = client.get(f"/api/v1/wallet/transactions?{query}").json()
        return [row["sequence"] for row in body["results"]]

    assert numbers("transaction_type=bonus") == [1]
    assert numbers(f"from={today}&to={today}") == [2, 1]
    assert numbers(f"to={today - timedelta(days=1)}") == []
    assert numbers(f"from={today + timedelta(days=1)}") == []


@pytest.mark.parametrize(
    "query", ["user=1", "transaction_type=gift", "from=yesterday", "to=2026-02-30"]
)
def test_a_filter_that_is_not_known_or_not_valid_is_refused(query: str):
    user = make_user("user")

    answer = signed_in(user).get(f"/api/v1/wallet/transactions?{query}")

    assert answer.status_code == 400
    name = query.partition("=")[0]
    assert [error["pointer"] for error in problem(answer)["errors"]] == [f"?{name}"]


def test_the_balance_at_a_past_moment_is_what_it_was_then():
    user = make_user("user")
    before = timezone.now()
    history(user, "10.00", "-2.50")
    client = signed_in(user)

    def at(moment: datetime) -> str:
        answer = client.get("/api/v1/wallet/balance", {"at": moment.isoformat()})
        return answer.json()["balance"]

    first, second = wallet_of(user).transactions.order_by("sequence")
    # Both were booked in the test's transaction, a statement apart.
    assert at(before) == "0.00"
    assert at(first.created_at) == "10.00"
    assert at(second.created_at) == "7.50"
    assert at(timezone.now() + timedelta(days=1)) == "7.50"


def test_the_balance_needs_a_moment():
    answer = signed_in(make_user("user")).get("/api/v1/wallet/balance")

    assert answer.status_code == 400
    assert problem(answer)["errors"] == [
        {"pointer": "?at", "code": "required", "detail": "This field is required."}
    ]


def test_a_statement_has_opening_balance_rows_and_closing_balance():
    user = make_user("user")
    history(user, "10.00", "-2.50")

    answer = signed_in(user).get("/api/v1/wallet/statement?format=csv")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="statement-')
    text = answer.getvalue().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [
        (row["type"], row["amount"], row["balance_before"], row["balance_after"])
        for row in rows
    ] == [
        ("opening_balance", "", "", "0.00"),
        ("adjustment", "10.00", "0.00", "10.00"),
        ("adjustment", "-2.50", "10.00", "7.50"),
        ("closing_balance", "", "", "7.50"),
    ]


def test_text_that_a_spreadsheet_would_run_is_defused():
    user = make_user("user")
    history(user, "10.00")

    text = signed_in(user).get("/api/v1/wallet/statement").getvalue().decode()

    assert "'=HYPERLINK()" in text


def test_the_closing_of_one_period_is_the_opening_of_the_next():
    user = make_user("user")
    history(user, "10.00", "-2.50")
    client = signed_in(user)
    today = timezone.now().astimezone(UTC).date()
    tomorrow = today + timedelta(days=1)

    def ends(query: str) -> tuple[str, str]:
        answer = client.get(f"/api/v1/wallet/statement?{query}")
        rows = list(csv.reader(answer.getvalue().decode().splitlines()))
        return rows[1][-1], rows[-1][-1]

    assert ends(f"from={today}&to={today}") == ("0.00", "7.50")
    assert ends(f"from={tomorrow}&to={tomorrow}") == ("7.50", "7.50")


def test_a_statement_comes_as_pdf():
    user = make_user("user")
    history(user, "10.00")

    answer = signed_in(user).get("/api/v1/wallet/statement?format=pdf")

    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")


def test_a_statement_that_ends_before_it_begins_is_refused():
    answer = signed_in(make_user("user")).get(
        "/api/v1/wallet/statement?from=2026-02-02&to=2026-01-01"
    )

    assert answer.status_code == 404
    assert problem(answer)["errors"] == [
        {
            "pointer": "?to",
            "code": "invalid",
            "detail": "The period must not end before it begins.",
        }
    ]


def test_transfers_between_users_are_not_there_until_switched_on():
    sender, receiver = make_user("sender", balance="10.00"), make_user("receiver")

    answer = signed_in(sender).post(
        "/api/v1/transfers", {"to": receiver.email, "amount": "1.00"}, format="json"
    )

    assert answer.status_code == 404
    assert problem(answer)["type"] == "/problems/not-found"
    assert balance_of(sender) == 10


@pytest.fixture
def transfers_on(settings: Any) -> None:
    settings.USER_TRANSFERS_ENABLED = True


@pytest.mark.usefixtures("transfers_on")
def test_a_user_sends_credits_and_sees_their_own_side():
    sender, receiver = make_user("sender", balance="10.00"), make_user("receiver")

    answer = signed_in(sender).post(
        "/api/v1/transfers",
        {"to": receiver.email.upper(), "amount": "1.50", "note": "thanks"},
        format="json",
    )

    transfer = CreditTransfer.objects.latest("id")
    assert answer.status_code == 201
    body = answer.json()
    assert body.keys() == {"id", "amount", "description", "transactions", "created_at"}
    assert (body["id"], body["amount"]) == (str(transfer.pk), "1.50")
    (row,) = body["transactions"]
    assert (row["amount"], row["balance_after"]) == ("-1.50", "8.50")
    assert balance_of(receiver) == Decimal("1.50")


@pytest.mark.usefixtures("transfers_on")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"to": "nobody@example.com", "amount": "0.00"},
            (
                "amount",
                "min_value",
                "Ensure this value is greater than or equal to 0.01.",
            ),
        ),
        (
            {"to": "nobody@example.com", "amount": "1.001"},
            (
                "amount",
                "max_decimal_places",
                "Ensure that there are no more than 2 decimal places.",
            ),
        ),
        (
            {"to": "nobody@example.com", "amount": "1e3"},
            ("amount", "invalid", "A number like 100 or 100.50 is required."),
        ),
        (
            {"to": "nobody@example.com", "amount": "1.00", "balance": "9"},
            ("balance", "unknown", "This field is not known."),
        ),
    ],
)
def test_a_bad_transfer_is_refused_by_the_name_of_its_field(
    body: dict[str, str], expected: tuple[str, str, str]
):
    sender = make_user("sender", balance="10.00")

    answer = signed_in(sender).post("/api/v1/transfers", body, format="json")

    assert answer.status_code == 400
    found = problem(answer)
    found.pop("detail", None)
    assert found == problem_of_field(*expected)
    assert balance_of(sender) == 10


@pytest.mark.usefixtures("transfers_on")
def test_an_address_that_nobody_has_is_not_found():
    sender = make_user("sender", balance="10.00")

    answer = signed_in(sender).post(
        "/api/v1/transfers",
        {"to": "nobody@example.com", "amount": "1.00"},
        format="json",
    )

    detail = "No user has this address."
    assert answer.status_code == 404
    assert problem(answer) == {
        "type": "/problems/not-found",
        "title": "There is nothing at this address for you.",
        "status": 404,
        "detail": f"to: {detail}",
        "errors": [{"pointer": "#/to", "code": "does_not_exist", "detail": detail}],
    }
    assert balance_of(sender) == 10


@pytest.mark.usefixtures("transfers_on")
def test_too_few_credits_are_a_conflict_with_the_facts():
    sender, receiver = make_user("sender", balance="3.00"), make_user("receiver")

    answer = signed_in(sender).post(
        "/api/v1/transfers", {"to": receiver.email, "amount": "4.00"}, format="json"
    )

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/insufficient-credits",
        "title": "The wallet does not hold enough credits.",
        "status": 409,
        "detail": "4.00 credits are required and 3.00 are available.",
        "available": "3.00",
        "required": "4.00",
    }


@pytest.mark.usefixtures("transfers_on")
def test_a_frozen_wallet_is_a_conflict():
    sender, receiver = make_user("sender", balance="3.00"), make_user("receiver")
    services.freeze_wallet(
        wallet_id=wallet_of(sender).pk, actor=receiver, reason="a test"
    )

    answer = signed_in(sender).post(
        "/api/v1/transfers", {"to": receiver.email, "amount": "1.00"}, format="json"
    )

    assert answer.status_code == 409
    assert problem(answer) == {
        "type": "/problems/wallet-frozen",
        "title": "The wallet is frozen.",
        "status": 409,
        "detail": "The wallet is frozen: it can receive credits and pays none."
        " Please contact support.",
    }


@pytest.mark.usefixtures("transfers_on")
def test_a_repeat_under_its_idempotency_key_answers_the_same_transfer():
    sender, receiver = make_user("sender", balance="3.00"), make_user("receiver")
    client = signed_in(sender)

    def send(amount: str) -> Any:
        return client.post(
            "/api/v1/transfers",
            {"to": receiver.email, "amount": amount},
            format="json",
            headers={"Idempotency-Key": "lunch"},
        )

    first, again, other = send("3.00"), send("3.00"), send("2.00")

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert problem(other)["type"] == "/problems/idempotency-key-reused"
    assert balance_of(receiver) == 3


@pytest.mark.usefixtures("transfers_on")
def test_a_key_is_the_users_own():
    first, second = make_user("first", balance="3.00"), make_user("second", balance="3")
    receiver = make_user("receiver")

    for user in (first, second):
        answer = signed_in(user).post(
            "/api/v1/transfers",
            {"to": receiver.email, "amount": "1.00"},
            format="json",
            headers={"Idempotency-Key": "lunch"},
        )
        assert answer.status_code == 201
        assert "Idempotent-Replayed" not in answer

    assert balance_of(receiver) == 2


def rpc(user: Any, payer: Any, payee: Any, **more: Any) -> Any:
    return signed_in(user).post(
        "/api/v1/rpc/transfer_credits",
        {"from_user_id": payer.pk, "to_user_id": payee.pk, "amount": "4.00", **more},
        format="json",
    )


def test_the_remote_call_moves_credits_and_shows_both_sides():
    service, payer, payee = (
        make_user("service"),
        make_user("payer", balance="10.00"),
        make_user("payee"),
    )
    service.user_permissions.add(Permission.objects.get(codename="transfer_credits"))

    answer = rpc(
        service, payer, payee, transaction_type="course_payment", metadata={"n": 1.50}
    )

    assert answer.status_code == 201
    body = answer.json()
    assert [
        (row["amount"], row["balance_before"], row["balance_after"])
        for row in body["transactions"]
    ] == [("-4.00", "10.00", "6.00"), ("4.00", "0.00", "4.00")]
    assert body["key"].startswith("rpc:")
    assert CreditTransfer.objects.get(pk=body["id"]).actor == service


@pytest.mark.parametrize("group", ["support", "auditors"])
def test_the_remote_call_is_for_those_who_hold_the_permission(group: str):
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    answer = rpc(make_staff(group), payer, payee)

    assert answer.status_code == 403
    assert problem(answer)["type"] == "/problems/permission-denied"
    assert balance_of(payer) == 10


def test_finance_may_use_the_remote_call():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    assert rpc(make_staff("finance"), payer, payee).status_code == 201


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/api/v1/wallet/balance"),
        ("get", "/api/v1/wallet/transactions"),
        ("get", "/api/v1/wallet/statement"),
        ("post", "/api/v1/transfers"),
        ("post", "/api/v1/rpc/transfer_credits"),
    ],
)
def test_whoever_is_not_signed_in_is_turned_away(method: str, address: str):
    answer = getattr(APIClient(), method)(address)

    assert answer.status_code == 401
    assert problem(answer)["type"] == "/problems/not-authenticated"
