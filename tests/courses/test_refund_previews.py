"""What staff are shown before they decide who pays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from courses import services
from courses.models import Enrollment, EnrollmentRefund
from courses.refund_previews import preview_refunds
from tests.courses.lists import carry_out, give_places
from tests.courses.offers import NOW, WINDOW, make_course, sell, spend
from tests.factories import make_coach, make_staff, make_user
from wallets.services import release_due_holds

pytestmark = pytest.mark.django_db
ENROLLMENTS = "/admin/courses/enrollment/"


@pytest.fixture(autouse=True)
def refund_window(settings):
    settings.REFUND_WINDOW_DAYS = WINDOW.days


def mature() -> None:
    release_due_holds(now=NOW + WINDOW)


def previewed(*enrollments: Enrollment, amount: str | None = None) -> list[Any]:
    rows = Enrollment.objects.select_related("course")
    found = [rows.get(pk=enrollment.pk) for enrollment in enrollments]
    return [
        (str(p.fee), str(p.earnings), str(p.coach_has), str(p.shortfall))
        for p in preview_refunds(
            found, amount=None if amount is None else Decimal(amount)
        )
    ]


def refund(enrollment: Enrollment, **options: Any) -> EnrollmentRefund:
    services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=make_staff("support"),
        reason="Late",
        shortfall_from_revenue=True,
        **options,
    )
    return EnrollmentRefund.objects.filter(enrollment=enrollment).latest("number")


def test_within_the_window_nothing_is_ever_missing():
    enrollment = sell()

    assert previewed(enrollment) == [("20.00", "80.00", "80.00", "0.00")]


@pytest.mark.parametrize("amount", [None, "50.00", "33.33"])
def test_what_is_shown_is_what_refunding_then_does(amount):
    for _ in range(3):
        sell(rate="1")
    enrollment = sell()
    mature()
    spend(enrollment.course.coach, "70.00")

    (shown,) = previewed(enrollment, amount=amount)
    done = refund(enrollment, amount=None if amount is None else Decimal(amount))

    assert shown[:2] == (str(done.fee), str(done.earnings))
    assert shown[3] == str(done.shortfall)


def test_refunds_of_one_coach_are_counted_on_top_of_each_other():
    coach = make_coach()
    first, second, third = (sell(coach=coach) for _ in range(3))
    mature()
    spend(coach, "100.00")

    assert previewed(first, second, third) == [
        ("20.00", "80.00", "140.00", "0.00"),
        ("20.00", "80.00", "60.00", "20.00"),
        ("20.00", "80.00", "0.00", "80.00"),
    ]


def test_what_stays_on_hold_after_a_part_pays_for_nothing_else():
    coach = make_coach()
    first, second = sell(coach=coach), sell(coach=coach)

    assert previewed(first, second, amount="50.00") == [
        ("10.00", "40.00", "80.00", "0.00"),
        ("10.00", "40.00", "80.00", "0.00"),
    ]


def test_it_takes_two_queries_for_one_and_for_many(django_assert_num_queries):
    enrollments = [sell() for _ in range(4)]

    with django_assert_num_queries(2):
        preview_refunds(enrollments)


def page_of(*enrollments: Enrollment) -> str:
    client = Client()
    client.force_login(make_staff("support"))
    page = client.post(
        ENROLLMENTS,
        {
            "action": "refund",
            "_selected_action": [str(enrollment.pk) for enrollment in enrollments],
        },
    )
    return page.content.decode()


def test_the_page_says_what_is_missing_before_anything_is_decided():
    enrollment = sell()
    mature()
    spend(enrollment.course.coach, "70.00")

    text = page_of(enrollment)

    assert "the platform gives 20.00 and the coach 80.00; the coach has 10.00" in text
    assert "70.00 credits are missing" in text
    assert "The coach no longer has 70.00 credits of this" in text
    assert not EnrollmentRefund.objects.exists()


def test_the_page_does_not_warn_where_nothing_is_missing():
    text = page_of(sell())

    assert "the coach has 80.00" in text
    assert "missing" not in text
    assert "no longer has" not in text.partition("<fieldset")[0]


def test_the_page_says_that_a_sponsor_gets_it_back():
    sponsor, learner = make_user(balance="100.00"), make_user()
    carry_out(give_places([learner], make_course(), sponsor))

    text = page_of(Enrollment.objects.get(learner=learner))

    assert f"to the sponsor {sponsor.email}" in text
