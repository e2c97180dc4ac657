from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from courses import services
from courses.exceptions import (
    AlreadyEnrolled,
    CourseNotAvailable,
    OwnCourse,
    PriceChanged,
)
from courses.models import Enrollment
from credits_project.exceptions import (
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from tests.courses.offers import make_course
from tests.factories import balance_of, make_coach, make_user, wallet_of
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.models import CreditHold, CreditTransfer
from wallets.services import freeze_wallet, release_due_holds
from wallets.system import system_wallet_code

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def legs_of(enrollment):
    """What the enrollment's transfer moved, by holder."""
    assert enrollment.transfer is not None
    rows = enrollment.transfer.transactions.select_related("wallet")
    return {
        row.wallet.code or row.wallet.user_id: (row.transaction_type, str(row.amount))
        for row in rows
    }


def test_enrolling_moves_the_price_from_learner_to_coach_in_one_transfer():
    learner, coach = make_user(balance="150.00"), make_coach()
    course = make_course(coach, price="100.00", title="Sewing")

    enrollment = services.enroll_with_credits(learner=learner, course_id=course.pk)

    assert enrollment.status == "active"
    assert legs_of(enrollment) == {
        learner.pk: ("course_payment", "-100.00"),
        coach.pk: ("course_payment", "100.00"),
    }
    assert enrollment.transfer is not None
    assert enrollment.transfer.key == f"enrollment:{enrollment.pk}"
    assert enrollment.transfer.description == "Course: Sewing"
    assert enrollment.transfer.metadata == {
        "enrollment": str(enrollment.pk),
        "course": str(course.pk),
        "title": "Sewing",
    }
    assert (balance_of(learner), balance_of(coach)) == (Decimal("50.00"), Decimal(100))


@pytest.mark.parametrize(
    ("platform_rate", "course_rate", "fee", "earnings"),
    [
        ("0", None, "0.00", "9.99"),
        ("0.10", None, "1.00", "8.99"),
        ("0.10", "0.25", "2.50", "7.49"),
        ("0.10", "0", "0.00", "9.99"),
        ("0", "1", "9.99", "0.00"),
    ],
)
def test_the_courses_own_commission_goes_before_the_platforms(
    settings, platform_rate, course_rate, fee, earnings
):
    settings.COMMISSION_RATE = Decimal(platform_rate)
    learner, coach = make_user(balance="9.99"), make_coach()
    course = make_course(coach, price="9.99", rate=course_rate)

    enrollment = services.enroll_with_credits(learner=learner, course_id=course.pk)

    revenue = system_wallet_code("revenue", cause=enrollment.pk)
    expected = {
        learner.pk: ("course_payment", "-9.99"),
        coach.pk: ("course_payment", earnings),
        revenue: ("platform_fee", fee),
    }
    assert legs_of(enrollment) == {
        holder: leg for holder, leg in expected.items() if leg[1] != "0.00"
    }
    assert (str(enrollment.fee), str(enrollment.earnings)) == (fee, earnings)


def test_a_free_course_moves_nothing():
    learner = make_user()
    course = make_course(price="0.00")
    transfers = CreditTransfer.objects.count()

    enrollment = services.enroll_with_credits(learner=learner, course_id=course.pk)

    assert enrollment.transfer is None
    assert CreditTransfer.objects.count() == transfers


def test_a_course_for_all_that_the_learner_has_is_paid_to_the_last_cent():
    learner = make_user(balance="100.00")
    course = make_course(price="100.00")

    services.enroll_with_credits(
        learner=learner, course_id=course.pk, price=Decimal("100")
    )

    assert balance_of(learner) == 0


def test_a_cent_too_little_is_refused_and_leaves_nothing():
    learner = make_user(balance="99.99")
    course = make_course(price="100.00")

    with pytest.raises(InsufficientCredits) as refusal:
        services.enroll_with_credits(learner=learner, course_id=course.pk)

    assert refusal.value.extra == {"available": "99.99", "required": "100.00"}
    assert not Enrollment.objects.filter(learner=learner).exists()
    assert balance_of(learner) == Decimal("99.99")


def test_a_frozen_learner_pays_nothing_but_takes_a_free_course():
    learner = make_user(balance="100.00")
    freeze_wallet(wallet_id=wallet_of(learner).pk, actor=make_user(), reason="checks")

    with pytest.raises(WalletFrozen):
        services.enroll_with_credits(learner=learner, course_id=make_course().pk)

    free = make_course(price="0.00")
    assert services.enroll_with_credits(learner=learner, course_id=free.pk)


def test_coaches_cannot_enroll_in_their_own_course_in_whatever_state():
    coach = make_coach(balance="100.00")

    for status in ("draft", "published", "archived"):
        course = make_course(coach, status=status)
        with pytest.raises(OwnCourse):
            services.enroll_with_credits(learner=coach, course_id=course.pk)


def test_a_coach_can_learn_from_another():
    coach = make_coach(balance="100.00")

    assert services.enroll_with_credits(learner=coach, course_id=make_course().pk)


@pytest.mark.parametrize(
    ("status", "refusal"), [("draft", NotFound), ("archived", CourseNotAvailable)]
)
def test_a_course_that_is_not_published_takes_nobody(status, refusal):
    learner = make_user(balance="100.00")
    course = make_course(status=status)

    with pytest.raises(refusal):
        services.enroll_with_credits(learner=learner, course_id=course.pk)


def test_a_course_that_does_not_exist_is_not_found():
    with pytest.raises(NotFound):
        services.enroll_with_credits(learner=make_user(), course_id=uuid.uuid4())


def test_a_course_whose_coachs_account_was_closed_takes_nobody():
    coach = make_coach()
    course = make_course(coach)
    coach.is_active = False
    coach.save(update_fields=["is_active"])

    with pytest.raises(CourseNotAvailable):
        services.enroll_with_credits(
            learner=make_user(balance="100.00"), course_id=course.pk
        )


def test_a_learner_whose_account_was_closed_enrolls_nowhere():
    learner = make_user(balance="100.00", is_active=False)

    with pytest.raises(PermissionDenied):
        services.enroll_with_credits(learner=learner, course_id=make_course().pk)


@pytest.mark.parametrize("seen", ["99.99", "100.01", "0.00"])
def test_another_price_than_the_client_saw_is_refused_with_the_price_now(seen):
    learner = make_user(balance="500.00")
    course = make_course(price="100.00")

    with pytest.raises(PriceChanged) as refusal:
        services.enroll_with_credits(
            learner=learner, course_id=course.pk, price=Decimal(seen)
        )

    assert refusal.value.extra == {"price": "100.00"}
    assert balance_of(learner) == 500


@pytest.mark.parametrize("price", ["1.001", "NaN", "Infinity"])
def test_a_price_that_is_no_amount_of_credits_is_refused(price):
    with pytest.raises(InvalidInput):
        services.enroll_with_credits(
            learner=make_user(), course_id=make_course().pk, price=Decimal(price)
        )


def test_enrolling_twice_pays_once():
    learner = make_user(balance="500.00")
    course = make_course(price="100.00")
    services.enroll_with_credits(learner=learner, course_id=course.pk)

    with pytest.raises(AlreadyEnrolled):
        services.enroll_with_credits(learner=learner, course_id=course.pk)

    assert balance_of(learner) == 400


def test_a_learner_with_nothing_left_is_told_of_the_enrollment_not_of_the_credits():
    learner = make_user(balance="100.00")
    course = make_course(price="100.00")
    services.enroll_with_credits(learner=learner, course_id=course.pk)

    with pytest.raises(AlreadyEnrolled):
        services.enroll_with_credits(learner=learner, course_id=course.pk)


def test_a_repeat_under_the_same_key_returns_the_first_enrollment():
    learner = make_user(balance="100.00")
    course = make_course(price="100.00")
    request: dict[str, Any] = {
        "learner": learner,
        "course_id": course.pk,
        "idempotency_key": "k-1",
    }
    first = services.enroll_with_credits(**request)

    again = services.enroll_with_credits(**request)

    assert (again.pk, first.is_replay, again.is_replay) == (first.pk, False, True)
    assert balance_of(learner) == 0


def test_the_same_key_for_another_course_is_refused():
    learner = make_user(balance="500.00")
    services.enroll_with_credits(
        learner=learner, course_id=make_course().pk, idempotency_key="k-1"
    )

    with pytest.raises(IdempotencyKeyReused):
        services.enroll_with_credits(
            learner=learner, course_id=make_course().pk, idempotency_key="k-1"
        )


def test_a_refused_request_leaves_its_key_free():
    learner = make_user(balance="100.00")
    course = make_course(price="100.00")
    with pytest.raises(PriceChanged):
        services.enroll_with_credits(
            learner=learner,
            course_id=course.pk,
            price=Decimal("90"),
            idempotency_key="k-1",
        )

    assert not services.enroll_with_credits(
        learner=learner,
        course_id=course.pk,
        price=Decimal("100"),
        idempotency_key="k-1",
    ).is_replay


def test_within_the_refund_window_the_earnings_are_held(settings):
    settings.REFUND_WINDOW_DAYS = 14
    learner, coach = make_user(balance="100.00"), make_coach()
    course = make_course(coach, price="100.00", rate="0.2")

    enrollment = services.enroll_with_credits(
        learner=learner, course_id=course.pk, now=NOW
    )

    wallet = wallet_of(coach)
    assert (wallet.balance, wallet.held) == (Decimal("80.00"), Decimal("80.00"))
    assert enrollment.matures_at == NOW + timedelta(days=14)
    hold = CreditHold.objects.get(wallet=wallet)
    assert hold.key == f"enrollment:{enrollment.pk}"
    assert hold.releases_at == enrollment.matures_at


def test_the_sweep_releases_earnings_when_the_window_closes_and_not_before(settings):
    settings.REFUND_WINDOW_DAYS = 14
    coach = make_coach()
    services.enroll_with_credits(
        learner=make_user(balance="100.00"), course_id=make_course(coach).pk, now=NOW
    )
    closes = NOW + timedelta(days=14)

    assert release_due_holds(now=closes - timedelta(seconds=1)) == 0
    assert release_due_holds(now=closes) == 1
    assert wallet_of(coach).available == 100


def test_without_a_refund_window_earnings_are_the_coachs_at_once():
    coach = make_coach()

    enrollment = services.enroll_with_credits(
        learner=make_user(balance="100.00"), course_id=make_course(coach).pk
    )

    assert wallet_of(coach).available == 100
    assert enrollment.refundable_until is None


def test_nothing_is_held_where_the_coach_earns_nothing(settings):
    settings.REFUND_WINDOW_DAYS = 14
    coach = make_coach()

    services.enroll_with_credits(
        learner=make_user(balance="100.00"),
        course_id=make_course(coach, rate="1").pk,
    )

    assert not CreditHold.objects.filter(wallet=wallet_of(coach)).exists()


def test_the_quote_is_what_enrolling_then_does(settings):
    settings.COMMISSION_RATE = Decimal("0.15")
    learner = make_user(balance="100.00")
    course = make_course(price="33.33")

    quote = services.quote(learner=learner, course_id=course.pk)

    enrollment = services.enroll_with_credits(learner=learner, course_id=course.pk)
    assert (quote.price, quote.fee, quote.earnings) == (
        enrollment.price,
        enrollment.fee,
        enrollment.earnings,
    )
    assert (quote.available, quote.enough) == (Decimal("100.00"), True)


def test_the_quote_tells_of_too_few_credits_and_refuses_all_else():
    learner = make_user(balance="99.99")
    course = make_course(price="100.00")

    assert not services.quote(learner=learner, course_id=course.pk).enough
    with pytest.raises(OwnCourse):
        services.quote(learner=course.coach, course_id=course.pk)
    with pytest.raises(NotFound):
        services.quote(learner=learner, course_id=uuid.uuid4())
    freeze_wallet(wallet_id=wallet_of(learner).pk, actor=learner, reason="checks")
    with pytest.raises(WalletFrozen):
        services.quote(learner=learner, course_id=course.pk)
