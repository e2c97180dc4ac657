"""Commissions in the staff console: set, refused and cancelled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from courses import services
from courses.models import CommissionRate
from tests.courses.commissions import add
from tests.courses.offers import make_course
from tests.factories import make_staff

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
COMMISSIONS = "/admin/courses/commissionrate/"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_finance_adds_a_commission_at_the_console_which_is_noted():
    course, finance = make_course(), make_staff("finance")
    client = signed_in(finance)

    answer = client.post(
        f"{COMMISSIONS}add/", {"course": str(course.pk), "rate": "0.25"}
    )

    assert answer.status_code == 302
    row = CommissionRate.objects.get(course=course)
    assert (row.rate, row.created_by) == (Decimal("0.25"), finance)
    assert services.commission_of(course, at=timezone.now()).row == row
    assert LogEntry.objects.filter(
        user=finance, change_message__contains="set commission"
    ).exists()
    assert "0.25 (the course&#x27;s own)" in (
        client.get(f"/admin/courses/course/{course.pk}/change/").content.decode()
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"rate": "1.1"},
        {"rate": "-0.1"},
        {"rate": "0.00001"},
        {"rate": "NaN"},
        {"rate": "0.1", "effective_from_0": "2020-01-01", "effective_from_1": "00:00"},
        {"rate": "0.1", "course": "course", "coach": "coach"},
    ],
)
def test_a_commission_that_cannot_be_comes_back_with_what_is_wrong(fields):
    course = make_course()
    named = {"course": str(course.pk), "coach": str(course.coach_id)}
    client = signed_in(make_staff("finance"))

    answer = client.post(
        f"{COMMISSIONS}add/", {k: named.get(k, v) for k, v in fields.items()}
    )

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert not CommissionRate.objects.exists()


def test_finance_cancels_at_the_console_what_has_not_begun():
    row = add("0.1", effective_from=timezone.now() + DAY)
    begun = add("0.1")
    client = signed_in(make_staff("finance"))

    answer = client.post(
        COMMISSIONS,
        {
            "action": "cancel",
            "_selected_action": [str(row.pk), str(begun.pk)],
            "confirmed": "yes",
            "reason": "Typed wrong",
        },
        follow=True,
    )

    row.refresh_from_db()
    begun.refresh_from_db()
    assert row.cancelled_at is not None
    assert begun.cancelled_at is None
    said = [str(message) for message in answer.context["messages"]]
    assert "It has begun" in said[0]
    assert said[1] == "1 commission(s) cancelled."
