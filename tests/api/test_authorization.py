"""Who may do what: `authorization.txt`, with a row for every operation that there is.

Each cell is the status that a good request of that person gets. The purchase and the
enrollment are the learner's, the course, the payout method and the withdrawal are the
coach's: what is somebody else's is 404, as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from courses import services as courses
from payments import services as payments
from tests.api import urls
from tests.factories import make_coach, make_staff, make_user
from tests.journeys import people
from tests.simulator_process import start_simulator
from tests.withdrawals.people import AIRTEL, add_method, earn, request, set_rate

TABLE = Path(__file__).with_name("authorization.txt").read_text()

_COLUMNS = (
    "anonymous",
    "learner",
    "other_learner",
    "coach",
    "other_coach",
    "support",
    "finance",
    "auditor",
    "superuser",
)


@dataclass(frozen=True, kw_only=True)
class World:
    """The people by their column, and what a request needs to name."""

    people: dict[str, Any]
    ids: dict[str, str]
    bodies: dict[str, Any]
    queries: dict[str, Any]


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    with start_simulator() as simulator:
        settings.PAYCHANGU_BASE_URL = simulator.base_url
        settings.PAYCHANGU_SECRET_KEY = simulator.secret_key
        settings.PAYOUT_COOLING_OFF_HOURS = 0
        settings.REFUND_WINDOW_DAYS = 0
        everybody = _people()
        paid = _paid(everybody["coach"], everybody["other_coach"])
        # What is bought from here on is held, and can be given back.
        settings.REFUND_WINDOW_DAYS = 14
        settings.USER_TRANSFERS_ENABLED = True
        yield _world(everybody, paid)


def _people() -> dict[str, Any]:
    rich = {"balance": "500.00"}
    return {
        "anonymous": None,
        "learner": make_user("learner", **rich),
        "other_learner": make_user("other", **rich),
        "coach": make_coach("coach", **rich),
        "other_coach": make_coach("other", **rich),
        "support": make_staff("support", **rich),
        "finance": make_staff("finance", **rich),
        "auditor": make_staff("auditors", **rich),
        "superuser": make_user("admin", is_staff=True, is_superuser=True, **rich),
    }


def _paid(coach: Any, other_coach: Any) -> dict[str, str]:
    """Let both earn, and the first withdraw some of it."""
    set_rate("10")
    for each in (coach, other_coach):
        earn(each, "100.00")
    method = add_method(coach)
    withdrawal = request(coach, "20.00", method)
    return {
        "payout_method_id": str(method.pk),
        "withdrawal_id": str(withdrawal.pk),
    }


def _world(everybody: dict[str, Any], paid: dict[str, str]) -> World:
    learner, receiver = everybody["learner"], make_user("receiver")
    package = people.new_package()
    purchase = payments.start_purchase(user=learner, package_id=package.pk)
    course = courses.create_course(
        coach=everybody["coach"],
        title="Keeping books",
        price=Decimal(40),
        status="published",
    )
    enrollment = courses.enroll_with_credits(learner=learner, course_id=course.pk)
    ids = {
        "course_id": str(course.pk),
        "enrollment_id": str(enrollment.pk),
        "purchase_id": str(purchase.pk),
        **paid,
    }
    new_method = {
        "kind": "mobile_money",
        "destination": AIRTEL,
        "account_name": "Chikondi Banda",
        "account_number": "0997654321",
    }
    return World(
        people=everybody,
        ids=ids,
        bodies={
            "POST /api/v1/courses": {"title": "Another", "price": "1.00"},
            "PATCH /api/v1/courses/{course_id}": {"price": "2.00"},
            "POST /api/v1/courses/{course_id}/enroll": {"price": "40.00"},
            "POST /api/v1/payout-methods": new_method,
            "POST /api/v1/purchases": {"package": str(package.pk)},
            "POST /api/v1/rpc/transfer_credits": {
                "from_user_id": learner.pk,
                "to_user_id": receiver.pk,
                "amount": "1.00",
            },
            "POST /api/v1/transfers": {"to": receiver.email, "amount": "1.00"},
            "POST /api/v1/withdrawals": {
                "credits": "10.00",
                "payout_method": paid["payout_method_id"],
            },
        },
        queries={
            "GET /api/v1/earnings/statement": {"month": "2026-10"},
            "GET /api/v1/wallet/balance": {"at": "2026-01-01T00:00:00Z"},
            "GET /api/v1/withdrawals/quote": {"credits": "10"},
        },
    )


def _status(world: World, operation: urls.Operation, person: str) -> int:
    """Return what the person gets, and leave the world as it was."""
    client = APIClient()
    if (user := world.people[person]) is not None:
        client.force_authenticate(user)
    path = operation.path.format_map(world.ids)
    data = world.bodies.get(operation.name, world.queries.get(operation.name))
    savepoint = transaction.savepoint()
    try:
        send = getattr(client, operation.method)
        if operation.method == "get":
            answer = send(path, data)
        else:
            answer = send(path, data or {}, format="json")
        # A file is made while it is read.
        b"".join(answer) if answer.streaming else answer.content
        return int(answer.status_code)
    finally:
        transaction.savepoint_rollback(savepoint)


def _rows() -> dict[str, list[int]]:
    rows = {}
    for line in TABLE.strip().splitlines()[1:]:
        method, path, *cells = line.split()
        rows[f"{method} {path}"] = [int(cell) for cell in cells]
    return rows


def test_every_operation_has_a_row_and_every_row_an_operation():
    assert TABLE.strip().splitlines()[0].split()[2:] == list(_COLUMNS)
    assert {len(cells) for cells in _rows().values()} == {len(_COLUMNS)}
    assert sorted(_rows()) == sorted(one.name for one in urls.operations())


def test_everybody_may_do_what_the_table_says_and_nothing_else(world: World):
    expected = _rows()
    wrong = {}
    for operation in urls.operations():
        found = [_status(world, operation, person) for person in _COLUMNS]
        if found != expected.get(operation.name):
            wrong[operation.name] = found

    assert wrong == {}
