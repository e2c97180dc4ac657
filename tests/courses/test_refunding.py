from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from hypothesis import given
from hypothesis import strategies as st

from courses import services
from courses.exceptions import NotRefundable
from courses.models import EnrollmentRefund
from courses.services.refunding import refund_parts
from credits_project.exceptions import (
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from credits_project.money import split_fee
from tests.courses.offers import make_course
from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.models import CreditHold, CreditWallet
from wallets.services import freeze_wallet, release_due_holds, transfer_credits
from wallets.system import system_wallet_id

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(days=14)


@pytest.fixture(autouse=True)
def refund_window(settings):
    settings.REFUND_WINDOW_DAYS = WINDOW.days


def enroll(price="100.00", rate="0.2", learner=None, coach=None):
    """A learner with exactly the price, enrolled at NOW."""
    return services.enroll_with_credits(
        learner=learner or make_user("learner", balance=price),
        course_id=make_course(coach, price=price, rate=rate).pk,
        now=NOW,
    )


def spend(user, amount):
    transfer_credits(
        from_user_id=user.pk, to_user_id=make_user().pk, amount=Decimal(amount)
    )


def revenue_of(enrollment):
    wallet_id = system_wallet_id("revenue", cause=enrollment.pk)
    return CreditWallet.objects.get(pk=wallet_id).balance


def test_a_learner_inside_the_window_gets_the_whole_price_back():
    enrollment = enroll()

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
    enrollment = enroll(coach=coach)
    spend(coach, "50.00")

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
    )

    assert balance_of(enrollment.learner) == 100


def test_the_refund_is_one_transfer_under_its_number():
    enrollment = enroll()

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
    enrollment = enroll()
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
    enrollment = enroll()
    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
        )

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=make_staff("support"), reason="goodwill"
    )

    assert balance_of(enrollment.learner) == 100


def test_staff_refund_after_the_window_and_it_is_noted_who_and_why():
    enrollment = enroll()
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
    enrollment = enroll()

    services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=None, reason="closing down"
    )

    assert balance_of(enrollment.learner) == 100


def test_staff_have_to_give_a_reason():
    enrollment = enroll()

    for reason in ("", "  ", "x" * 501):
        with pytest.raises(InvalidInput):
            services.refund_enrollment(
                enrollment_id=enrollment.pk, actor=make_staff("support"), reason=reason
            )


@pytest.mark.parametrize("role", ["stranger", "coach", "auditor"])
def test_nobody_else_refunds(role):
    enrollment = enroll()
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
    enrollment = enroll(learner=staff)

    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=staff, reason="mine", now=NOW + WINDOW
        )


def test_a_learner_cannot_choose_the_amount_or_who_pays():
    enrollment = enroll()

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
    enrollment = enroll()
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
    kept, returned = enroll(learner=learner), enroll(learner=learner)

    services.refund_enrollment(
        enrollment_id=returned.pk, actor=learner, reason="", now=NOW
    )

    kept.refresh_from_db()
    assert kept.status == "active"


def test_pressing_twice_refunds_once():
    enrollment = enroll()
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


def test_a_partial_refund_repeated_under_its_key_is_given_once():
    enrollment = enroll()
    request: dict[str, Any] = {
        "enrollment_id": enrollment.pk,
        "actor": make_staff("support"),
        "reason": "half was missing",
        "amount": Decimal("50"),
        "idempotency_key": "form-1",
    }
    services.refund_enrollment(**request)

    again = services.refund_enrollment(**request)

    assert again.is_replay
    assert again.refunded_amount == 50
    assert balance_of(enrollment.learner) == 50
    with pytest.raises(IdempotencyKeyReused):
        services.refund_enrollment(**{**request, "amount": Decimal("49")})


def test_what_stays_earned_stays_held_until_it_matures():
    enrollment = enroll()
    coach = enrollment.course.coach

    services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=make_staff("support"),
        reason="half was missing",
        amount=Decimal("50"),
        now=NOW,
    )

    wallet = wallet_of(coach)
    assert wallet.balance == wallet.held == 40
    hold = CreditHold.objects.open().get(wallet=wallet)
    assert hold.key == f"enrollment:{enrollment.pk}:rest:1"
    assert hold.releases_at == NOW + WINDOW


def test_after_a_part_from_staff_the_learner_gets_back_the_rest():
    enrollment = enroll()
    staff = make_staff("support")
    for amount in ("33.33", "0.01"):
        services.refund_enrollment(
            enrollment_id=enrollment.pk,
            actor=staff,
            reason="a part",
            amount=Decimal(amount),
            now=NOW,
        )

    refunded = services.refund_enrollment(
        enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
    )

    assert (refunded.status, refunded.refunds) == ("refunded", 3)
    assert balance_of(enrollment.learner) == 100
    assert balance_of(enrollment.course.coach) == revenue_of(enrollment) == 0


def test_a_part_refunded_after_maturity_holds_nothing_back():
    enrollment = enroll()

    services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=make_staff("support"),
        reason="a part",
        amount=Decimal("50"),
        # The sweep is late: the hold is still open.
        now=NOW + WINDOW,
    )

    assert wallet_of(enrollment.course.coach).held == 0


@pytest.mark.parametrize("amount", ["100.01", "500.00"])
def test_more_than_was_paid_is_never_given_back(amount):
    enrollment = enroll()

    with pytest.raises(NotRefundable) as refusal:
        services.refund_enrollment(
            enrollment_id=enrollment.pk,
            actor=make_staff("support"),
            reason="too much",
            amount=Decimal(amount),
        )

    assert refusal.value.extra == {"refundable": "100.00"}


def test_nothing_more_is_given_back_once_all_is():
    enrollment = enroll()
    staff = make_staff("support")
    services.refund_enrollment(enrollment_id=enrollment.pk, actor=staff, reason="all")

    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=staff, reason="more", amount=Decimal(1)
        )


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN"])
def test_an_amount_that_is_none_is_refused(amount):
    with pytest.raises(InvalidInput):
        services.refund_enrollment(
            enrollment_id=enroll().pk,
            actor=make_staff("support"),
            reason="odd",
            amount=Decimal(amount),
        )


def test_a_free_enrollment_has_nothing_to_give_back():
    enrollment = enroll(price="0.00")

    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=enrollment.learner, reason="", now=NOW
        )


def test_an_enrollment_that_does_not_exist_is_not_found():
    with pytest.raises(NotFound):
        services.refund_enrollment(
            enrollment_id=uuid.uuid4(), actor=make_staff("support"), reason="which"
        )


def test_what_the_coach_no_longer_has_is_refused_with_what_is_there():
    enrollment = enroll()
    release_due_holds(now=NOW + WINDOW)
    spend(enrollment.course.coach, "70.00")

    with pytest.raises(InsufficientCredits) as refusal:
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=make_staff("support"), reason="late"
        )

    assert refusal.value.extra == {"available": "10.00", "required": "80.00"}
    assert balance_of(enrollment.learner) == 0


def test_the_platform_pays_what_the_coach_no_longer_has_if_staff_say_so():
    # Fees of other sales, spread over the parts of the revenue.
    for _ in range(5):
        enroll(rate="1")
    enrollment = enroll()
    coach = enrollment.course.coach
    release_due_holds(now=NOW + WINDOW)
    spend(coach, "70.00")

    services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=make_staff("support"),
        reason="late",
        shortfall_from_revenue=True,
    )

    assert balance_of(enrollment.learner) == 100
    assert balance_of(coach) == 0
    refund = EnrollmentRefund.objects.get(enrollment=enrollment)
    assert refund.earnings == 80
    assert refund.shortfall == 70
    revenue = CreditWallet.objects.family("revenue")
    assert sum(wallet.balance for wallet in revenue) == 520 - 90


def test_the_platform_cannot_pay_more_than_all_of_its_revenue():
    enrollment = enroll()
    release_due_holds(now=NOW + WINDOW)
    spend(enrollment.course.coach, "70.00")

    with pytest.raises(InsufficientCredits) as refusal:
        services.refund_enrollment(
            enrollment_id=enrollment.pk,
            actor=make_staff("support"),
            reason="late",
            shortfall_from_revenue=True,
        )

    assert refusal.value.extra == {"available": "20.00", "required": "90.00"}


def test_a_fee_that_paid_for_another_refund_comes_from_the_rest_of_the_revenue():
    poor, other = enroll(), enroll(rate="1")
    release_due_holds(now=NOW + WINDOW)
    spend(poor.course.coach, "80.00")
    services.refund_enrollment(
        enrollment_id=poor.pk,
        actor=make_staff("support"),
        reason="late",
        shortfall_from_revenue=True,
    )
    # What is left is elsewhere than the other's fee.
    enroll(rate="1")

    services.refund_enrollment(
        enrollment_id=other.pk, actor=other.learner, reason="", now=NOW
    )

    assert balance_of(other.learner) == 100


@pytest.mark.parametrize("by", ["learner", "support"])
def test_a_frozen_coach_pays_no_refund_and_the_learner_is_sent_to_support(by):
    enrollment = enroll()
    staff = make_staff("support")
    wallet_id = wallet_of(enrollment.course.coach).pk
    freeze_wallet(wallet_id=wallet_id, actor=staff, reason="checks")

    with pytest.raises(WalletFrozen if by == "support" else NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk,
            actor=staff if by == "support" else enrollment.learner,
            reason="late",
            now=NOW,
        )

    assert wallet_of(enrollment.course.coach).held == 80


cents = st.integers(min_value=1, max_value=10**14 - 1)


@given(
    price=cents,
    rate=st.decimals(min_value=0, max_value=1, places=4),
    shares=st.lists(st.floats(min_value=0.001, max_value=1), max_size=8),
)
def test_however_a_price_is_given_back_its_parts_add_up(price, rate, shares):
    price = Decimal(price).scaleb(-2)
    fee, earnings = split_fee(price, fee_rate=rate)
    given_back, of_fee, of_earnings = Decimal(0), Decimal(0), Decimal(0)
    for share in [*shares, 1]:
        left = price - given_back
        amount = (left * Decimal(share)).quantize(Decimal("0.01"))
        if not amount:
            continue
        parts = refund_parts(amount=amount, refunded=given_back, price=price, fee=fee)

        assert min(parts) >= 0
        assert sum(parts) == amount
        given_back += amount
        of_fee += parts[0]
        of_earnings += parts[1]

    assert (given_back, of_fee, of_earnings) == (price, fee, earnings)
