from __future__ import annotations

import pytest

from courses import services
from courses.exceptions import NotRefundable
from courses.models import EnrollmentRefund
from tests.courses.offers import NOW, WINDOW, sell, spend
from tests.factories import balance_of, make_staff, wallet_of
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.models import CreditWallet
from wallets.services import freeze_wallet, release_due_holds

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def refund_window(settings):
    settings.REFUND_WINDOW_DAYS = WINDOW.days


def test_what_the_coach_no_longer_has_is_refused_with_what_is_there():
    enrollment = sell()
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
        sell(rate="1")
    enrollment = sell()
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
    enrollment = sell()
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
    poor, other = sell(), sell(rate="1")
    release_due_holds(now=NOW + WINDOW)
    spend(poor.course.coach, "80.00")
    services.refund_enrollment(
        enrollment_id=poor.pk,
        actor=make_staff("support"),
        reason="late",
        shortfall_from_revenue=True,
    )
    # What is left is elsewhere than the other's fee.
    sell(rate="1")

    services.refund_enrollment(
        enrollment_id=other.pk, actor=other.learner, reason="", now=NOW
    )

    assert balance_of(other.learner) == 100


@pytest.mark.parametrize("by", ["learner", "support"])
def test_a_frozen_coach_pays_no_refund_and_the_learner_is_sent_to_support(by):
    enrollment = sell()
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
