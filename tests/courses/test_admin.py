from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from courses import services
from courses.models import Course, Enrollment
from tests.courses.offers import make_course
from tests.factories import balance_of, make_staff, make_user
from wallets.services import transfer_credits

pytestmark = pytest.mark.django_db
COURSES = "/admin/courses/course/"
COMMISSIONS = "/admin/courses/commissionrate/"
ENROLLMENTS = "/admin/courses/enrollment/"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def enroll(price: str = "100.00", **options: Any) -> Enrollment:
    return services.enroll_with_credits(
        learner=make_user("learner", balance=price),
        course_id=make_course(price=price, **options).pk,
    )


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def ask(client: Client, address: str, action: str, *rows: Any) -> Any:
    """The page that an action shows first."""
    pks = [str(row.pk) for row in rows]
    return client.post(address, {"action": action, "_selected_action": pks})


def confirm(client: Client, page: Any, address: str, **fields: str) -> Any:
    """What follows when the page's form is sent."""
    text = page.content.decode()
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text)
    data: dict[str, Any] = {"_selected_action": []}
    for name, value in hidden:
        if name == "_selected_action":
            data[name].append(value)
        else:
            data[name] = value
    return client.post(address, {**data, **fields}, follow=True)


def test_support_refunds_with_a_reason_on_a_page_of_its_own():
    enrollment = enroll()
    support = make_staff("support")
    client = signed_in(support)

    page = ask(client, ENROLLMENTS, "refund", enrollment)
    answer = confirm(client, page, ENROLLMENTS, reason="Asked for it")

    assert said(answer) == ["1 enrollment(s) refunded."]
    assert balance_of(enrollment.learner) == 100
    entry = LogEntry.objects.get(user=support)
    assert "Asked for it" in entry.get_change_message()


def test_a_page_sent_twice_refunds_a_part_once():
    enrollment = enroll()
    client = signed_in(make_staff("support"))
    page = ask(client, ENROLLMENTS, "refund", enrollment)

    for _ in range(2):
        confirm(client, page, ENROLLMENTS, reason="A part", amount="30.00")

    assert balance_of(enrollment.learner) == 30


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"reason": "A part", "amount": "-1"},
        {"reason": "A part", "amount": "0.001"},
        {"reason": "A part", "amount": "NaN"},
        {"reason": "A part", "form_key": "guessed"},
    ],
)
def test_a_page_that_is_not_filled_in_right_comes_back_and_refunds_nothing(fields):
    enrollment = enroll()
    client = signed_in(make_staff("support"))
    page = ask(client, ENROLLMENTS, "refund", enrollment)

    again = confirm(client, page, ENROLLMENTS, **fields)

    assert "Refund enrollments" in again.content.decode()
    assert balance_of(enrollment.learner) == 0


def test_a_part_is_refunded_of_one_enrollment_at_a_time():
    first, second = enroll(), enroll()
    client = signed_in(make_staff("support"))

    page = ask(client, ENROLLMENTS, "refund", first, second)
    confirm(client, page, ENROLLMENTS, reason="Both", amount="1.00")

    assert 'name="amount"' not in page.content.decode()
    assert (balance_of(first.learner), balance_of(second.learner)) == (
        Decimal(100),
        Decimal(100),
    )


def test_what_the_coach_no_longer_has_is_told_and_paid_by_the_platform_if_chosen():
    enroll(rate="1")
    enrollment = enroll()
    transfer_credits(
        from_user_id=enrollment.course.coach_id,
        to_user_id=make_user().pk,
        amount=Decimal("60.00"),
    )
    client = signed_in(make_staff("finance"))

    page = ask(client, ENROLLMENTS, "refund", enrollment)
    refused = confirm(client, page, ENROLLMENTS, reason="Late")
    page = ask(client, ENROLLMENTS, "refund", enrollment)
    chosen = confirm(
        client, page, ENROLLMENTS, reason="Late", shortfall_from_revenue="on"
    )

    assert said(refused) == [
        f"Enrollment {enrollment.pk}: 100.00 credits are required and 40.00 are"
        " available."
    ]
    assert said(chosen) == ["1 enrollment(s) refunded."]
    assert balance_of(enrollment.learner) == 100


def test_auditors_see_enrollments_and_are_not_offered_refunds():
    enrollment = enroll()
    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=None, reason="Asked for it"
    )
    client = signed_in(make_staff("auditors"))

    listed = client.get(ENROLLMENTS)
    shown = client.get(f"{ENROLLMENTS}{enrollment.pk}/change/")

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert 'value="refund"' not in listed.content.decode()
    assert "Asked for it" in shown.content.decode()
    assert ask(client, ENROLLMENTS, "refund", enrollment).status_code in (302, 200)
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("address", ["add/", "{}/delete/"])
def test_nobody_adds_or_deletes_enrollments_or_courses(address):
    enrollment = enroll()
    client = signed_in(make_user(is_staff=True, is_superuser=True))

    for base, pk in ((ENROLLMENTS, enrollment.pk), (COURSES, enrollment.course_id)):
        assert client.get(f"{base}{address.format(pk)}").status_code == 403


def test_finance_archives_courses_with_a_reason():
    course = make_course()
    client = signed_in(make_staff("finance"))

    page = ask(client, COURSES, "archive", course)
    answer = confirm(client, page, COURSES, reason="Complaints")

    assert said(answer) == ["1 course(s) archived."]
    assert Course.objects.get(pk=course.pk).status == "archived"


def test_support_looks_at_courses_and_changes_none():
    course = make_course()
    client = signed_in(make_staff("support"))

    shown = client.get(f"{COURSES}{course.pk}/change/")
    added = client.get(f"{COMMISSIONS}add/")

    assert (shown.status_code, added.status_code) == (200, 403)
    assert 'name="price"' not in shown.content.decode()


TITLE = "<script>alert(1)</script>"


@pytest.mark.parametrize("address", [COURSES, ENROLLMENTS, f"{ENROLLMENTS}?q=script"])
def test_titles_are_shown_as_text(address):
    enrollment = enroll(title=TITLE)
    client = signed_in(make_staff("support"))

    for page in (
        client.get(address),
        client.get(f"{COURSES}{enrollment.course_id}/change/"),
        ask(client, ENROLLMENTS, "refund", enrollment),
    ):
        text = page.content.decode()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert TITLE not in text


def test_the_pages_hold_no_inline_scripts_or_styles():
    enrollment = enroll()
    client = signed_in(make_staff("support"))

    text = ask(client, ENROLLMENTS, "refund", enrollment).content.decode()

    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", text)


@pytest.mark.parametrize("address", [COURSES, ENROLLMENTS])
@pytest.mark.parametrize("query", ["learner", "01970000-0000-7000-8000-000000000000"])
def test_searching_finds_by_person_and_by_id(address, query):
    enroll()

    answer = signed_in(make_staff("support")).get(f"{address}?q={query}")

    assert answer.status_code == 200
