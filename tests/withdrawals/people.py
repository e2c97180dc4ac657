"""Coaches who earned something, and what they do with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from courses.services import create_course, enroll_with_credits
from tests.factories import make_coach, make_staff, make_user
from withdrawals import services
from withdrawals.models import Payout, PayoutMethod, WithdrawalRequest

AIRTEL = "20be6c20-adeb-4b5b-a7ba-0769820df4fb"
TNM = "27494cb5-ba9e-437f-a114-4e7a7686bcca"
NATIONAL_BANK = "82310dd1-ec9b-4fe7-a32c-2f262ef08681"


def earn(coach: Any, credits: str) -> Any:
    """Let the coach earn credits the way coaches do; return the learner."""
    course = create_course(
        coach=coach, title="A course", price=Decimal(credits), status="published"
    )
    learner = make_user("learner", balance=credits)
    enroll_with_credits(learner=learner, course_id=course.pk)
    return learner


def make_earning_coach(credits: str = "100.00", name: str = "coach") -> Any:
    """A coach who earned `credits`, and a rate at which they are paid out."""
    coach = make_coach(name)
    if Decimal(credits):
        earn(coach, credits)
    set_rate("10")
    return coach


def set_rate(rate: str) -> None:
    """One credit pays out `rate` kwacha from now on."""
    services.add_payout_rate(rate=Decimal(rate), effective_from=timezone.now())


def add_method(coach: Any, number: str = "0991234567", **fields: Any) -> PayoutMethod:
    """A payout method of the coach's; asks the gateway for its destinations."""
    values = {
        "kind": "mobile_money",
        "destination": AIRTEL,
        "account_name": "Chikondi Banda",
        "account_number": number,
        **fields,
    }
    return services.add_payout_method(user=coach, **values)


def request(
    coach: Any, credits: str, method: PayoutMethod, **options: Any
) -> WithdrawalRequest:
    """A withdrawal of the coach's."""
    return services.request_withdrawal(
        user=coach, credits=Decimal(credits), payout_method_id=method.pk, **options
    )


def make_approved(credits: str = "50.00", **method: Any) -> Payout:
    """A payout that is ready to be sent."""
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, credits, add_method(coach, **method))
    services.approve_withdrawal(
        withdrawal_id=withdrawal.pk, actor=make_staff("finance")
    )
    return Payout.objects.get(withdrawal=withdrawal)


def fresh(row: Any) -> Any:
    """The row as it is in the database now."""
    return type(row).objects.get(pk=row.pk)


def signed_in(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def problem(answer: Any) -> dict[str, Any]:
    """The whole problem, but for the id of the request."""
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    body.pop("request_id", None)
    return body


def in_threads(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Run `work` for all items at the same moment; return results or errors."""
    todo = list(items)
    start = threading.Barrier(len(todo), timeout=20)

    def run(item: Any) -> Any:
        try:
            start.wait()
            return work(item)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(todo)) as pool:
        return list(pool.map(run, todo))
