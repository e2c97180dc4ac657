from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError

from courses import services
from courses.models import Course
from courses.services import catalog
from credits_project.exceptions import (
    InvalidInput,
    InvalidTransition,
    NotFound,
    PermissionDenied,
)
from tests.courses.offers import make_course
from tests.factories import make_coach, make_staff, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Sewing & Design", "sewing-design"),
        ("Über Äpfel", "uber-apfel"),
        ("数学", "course"),
        ("  -- ", "course"),
    ],
)
def test_the_slug_follows_from_the_title(title, slug):
    assert make_course(title=title).slug == slug


def test_a_slug_that_is_taken_gets_an_ending():
    first, second, third = (make_course(title="Sewing") for _ in range(3))

    assert first.slug == "sewing"
    assert len({first.slug, second.slug, third.slug}) == 3
    assert second.slug.startswith("sewing-")


def test_the_longest_title_has_room_for_its_ending():
    make_course(title="x" * 200)

    assert len(make_course(title="x" * 200).slug) == 209


def test_finding_a_free_slug_is_given_up_at_some_point(monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "same")
    for _ in range(2):
        make_course(title="Sewing")

    with pytest.raises(IntegrityError, match="courses_course_unique_slug"):
        make_course(title="Sewing")


def test_a_mistake_in_the_table_is_not_taken_for_a_slug():
    coach = make_coach()
    course = Course(coach=coach, title="x", price=Decimal("-1"))

    with pytest.raises(IntegrityError, match="courses_course_price_in_range"):
        catalog._insert_under_free_slug(course)


@pytest.mark.parametrize("price", ["-0.01", "0.001", "NaN", "1000000000000"])
def test_a_price_that_is_none_is_refused(price):
    with pytest.raises(InvalidInput):
        make_course(price=price)


@pytest.mark.parametrize("title", ["", "  ", "x" * 201])
def test_a_title_that_is_none_is_refused(title):
    with pytest.raises(InvalidInput):
        services.create_course(coach=make_coach(), title=title, price=Decimal(1))


def test_a_new_course_is_not_archived():
    with pytest.raises(InvalidInput):
        services.create_course(
            coach=make_coach(), title="x", price=Decimal(1), status="archived"
        )


def test_only_coaches_whose_accounts_are_open_offer_courses():
    for user in (make_user(), make_coach(is_active=False), make_staff("finance")):
        with pytest.raises(PermissionDenied):
            services.create_course(coach=user, title="x", price=Decimal(1))


STEPS = [
    ("draft", "published", True),
    ("draft", "archived", True),
    ("published", "archived", True),
    ("archived", "published", True),
    ("published", "draft", False),
    ("archived", "draft", False),
]


@pytest.mark.parametrize(("before", "after", "is_allowed"), STEPS)
def test_a_course_goes_only_the_ways_there_are(before, after, is_allowed):
    course = make_course(status=before)

    def change():
        services.update_course(coach=course.coach, course_id=course.pk, status=after)

    if is_allowed:
        change()
    else:
        with pytest.raises(InvalidTransition):
            change()
    course.refresh_from_db()
    assert course.status == (after if is_allowed else before)


def test_changing_nothing_is_no_change():
    course = make_course()

    services.update_course(coach=course.coach, course_id=course.pk)
    services.update_course(
        coach=course.coach, course_id=course.pk, status=course.status
    )

    before = course.updated_at
    course.refresh_from_db()
    assert course.updated_at == before


def test_the_commission_is_nothing_that_coaches_change():
    course = make_course()

    with pytest.raises(AssertionError, match="commission_rate"):
        services.update_course(
            coach=course.coach, course_id=course.pk, commission_rate=Decimal(0)
        )


def test_archiving_needs_a_reason_and_is_noted_once():
    course, finance = make_course(), make_staff("finance")
    with pytest.raises(InvalidInput):
        services.archive_course(course_id=course.pk, actor=finance, reason=" ")

    for _ in range(2):
        services.archive_course(course_id=course.pk, actor=finance, reason="Old")

    (entry,) = LogEntry.objects.all()
    assert entry.get_change_message() == "archive: Old"


def test_a_course_that_does_not_exist_is_not_archived():
    with pytest.raises(NotFound):
        services.archive_course(
            course_id=make_coach().wallet.pk, actor=None, reason="Old"
        )
