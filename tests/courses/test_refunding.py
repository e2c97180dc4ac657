from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from courses import services
from courses.exceptions import NotRefundable
from courses.models import EnrollmentRefund
from credits_project.exceptions import (
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from tests.courses.offers import NOW, WINDOW, revenue_of, sell, spend
from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from wallets.services import release_due_holds

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def refund_window(settings):
    settings.REFUND_WINDOW_DAYS = WINDOW.days


def test_a_learner_inside_the_window_gets_the_whole_price_back():
    enrollment = sell()

    refunded = services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
    )

    assert (refunded.status, refunded.refunded_at) == ("refunded", NOW)
    assert refunded.refunded_amount == 100
    assert balance_of(enrollment.learner) == 100
    coach = wallet_of(enrollment.course.coach)
    assert coach.balance == coach.held == 0
    assert revenue_of(enrollment) == 0


def test_a_refund_inside_the_window_is_covered_though_the_coach_spent_all_else():
    coach = make_coach(balance="50.00")
    enrollment = sell(coach=coach)
    spend(coach, "50.00")

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
    )

    assert balance_of(enrollment.learner) == 100


def test_the_refund_is_one_transfer_under_its_number():
    enrollment = sell()

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=enrollment.learner, reason="late", now=NOW
    )

    refund = EnrollmentRefund.objects.get(enrollment=enrollment)
    assert refund.transfer.key == f"enrollment:{enrollment.pk}:refund:1"
    rows = refund.transfer.transactions.order_by("amount")
    assert [(row.transaction_type, str(row.amount)) for row in rows] == [
        ("course_refund", "-80.00"),
        ("course_refund", "-20.00"),
        ("course_refund", "100.00"),
    ]


@pytest.mark.parametrize(("late", "is_open"), [(-1, True), (0, False), (1, False)])
def test_the_window_closes_for_the_learner_at_its_very_end(late, is_open):
    enrollment = sell()
    moment = NOW + WINDOW + timedelta(microseconds=late)

    def refund():
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=moment
        )

    if is_open:
        refund()
    else:
        with pytest.raises(NotRefundable):
            refund()
    assert balance_of(enrollment.learner) == (100 if is_open else 0)


def test_without_a_window_the_learner_cannot_refund_and_staff_can(settings):
    settings.REFUND_WINDOW_DAYS = 0
    enrollment = sell()
    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
        )

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=make_staff("support"), reason="goodwill"
    )

    assert balance_of(enrollment.learner) == 100


def test_staff_refund_after_the_window_and_it_is_noted_who_and_why():
    enrollment = sell()
    release_due_holds(now=NOW + WINDOW)
    staff = make_staff("support")

    services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=staff,
        reason="The course was withdrawn",
        now=NOW + WINDOW * 3,
    )

    assert balance_of(enrollment.learner) == 100
    entry = LogEntry.objects.get(user=staff, object_id=str(enrollment.pk))
    assert "The course was withdrawn" in entry.get_change_message()


def test_the_system_itself_refunds_without_a_user():
    enrollment = sell()

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=None, reason="closing down"
    )

    assert balance_of(enrollment.learner) == 100


def test_staff_have_to_give_a_reason():
    enrollment = sell()

    for reason in ("", "  ", "x" * 501):
        with pytest.raises(InvalidInput):
            services.refund_enrollment(
                enrollment_id=enrollment.pk, actor=make_staff("support"), reason=reason
            )


@pytest.mark.parametrize("role", ["stranger", "coach", "auditor"])
def test_nobody_else_refunds(role):
    enrollment = sell()
    actor = {
        "stranger": make_user(),
        "coach": enrollment.course.coach,
        "auditor": make_staff("auditors"),
    }[role]

    with pytest.raises(PermissionDenied):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=actor, reason="please"
        )


def test_staff_cannot_refund_themselves_after_the_window():
    staff = make_staff("support", balance="100.00")
    enrollment = sell(learner=staff)

    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=staff, reason="mine", now=NOW + WINDOW
        )


def test_a_learner_cannot_choose_the_amount_or_who_pays():
    enrollment = sell()

    for wish in ({"amount": Decimal("1")}, {"shortfall_from_revenue": True}):
        with pytest.raises(PermissionDenied):
            services.refund_enrollment(
                enrollment_id=enrollment.pk,
                actor=enrollment.learner,
                reason="",
                now=NOW,
                **wish,
            )


def test_a_refunded_learner_may_enroll_again():
    enrollment = sell()
    learner = enrollment.learner
    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=learner, reason="", now=NOW
    )

    again = services.enroll_with_credits(
        learner=learner, course_id=enrollment.course_id, now=NOW
    )

    assert again.pk != enrollment.pk
    assert balance_of(learner) == 0


def test_a_refund_of_one_course_leaves_the_others():
    learner = make_user(balance="200.00")
    kept, returned = sell(learner=learner), sell(learner=learner)

    services.refund_enrollment(
        enrollment_id=returned.pk, actor=learner, reason="", now=NOW
    )

    kept.refresh_from_db()
    assert kept.status == "active"


def test_pressing_twice_refunds_once():
    enrollment = sell()
    request: dict[str, Any] = {
        "enrollment_id": enrollment.pk,
        "actor": enrollment.learner,
        "reason": "",
        "now": NOW,
    }
    first = services.refund_enrollment(**request)

    second = services.refund_enrollment(**request)

    assert (first.is_replay, second.is_replay) == (False, True)
    assert balance_of(enrollment.learner) == 100


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN"])
def test_an_amount_that_is_none_is_refused(amount):
    with pytest.raises(InvalidInput):
        services.refund_enrollment(
            enrollment_id=sell().pk,
            actor=make_staff("support"),
            reason="odd",
            amount=Decimal(amount),
        )


def test_a_free_enrollment_has_nothing_to_give_back():
    enrollment = sell(price="0.00")

    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
        )


def test_an_enrollment_that_does_not_exist_is_not_found():
    with pytest.raises(NotFound):
        services.refund_enrollment(
            enrollment_id=uuid.uuid4(), actor=make_staff("support"), reason="which"
        )
