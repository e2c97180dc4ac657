from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from courses.services import create_course, enroll_with_credits, refund_enrollment
from credits_project.exceptions import (
    IdempotencyKeyReused,
    NotFound,
    PermissionDenied,
)
from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from tests.withdrawals.people import (
    add_method,
    earn,
    fresh,
    make_earning_coach,
    request,
    set_rate,
)
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.selectors import family_balances
from wallets.services import freeze_wallet, grant_credits, transfer_credits
from withdrawals import policy, selectors, services
from withdrawals.exceptions import (
    NotWithdrawable,
    PayoutMethodNotUsable,
    PayoutRateMissing,
    WithdrawalLimit,
)
from withdrawals.models import Payout, WithdrawalRequest

pytestmark = pytest.mark.django_db


def test_a_request_takes_the_credits_at_once(gateway):
    coach = make_earning_coach("100.00")

    withdrawal = request(coach, "60.00", add_method(coach))

    assert withdrawal.status == "requested"
    assert balance_of(coach) == Decimal("40.00")
    assert family_balances()["withdrawals"] == Decimal("60.00")
    assert withdrawal.transfer.key == f"withdrawal:{withdrawal.pk}:request"
    assert selectors.withdrawable(user_id=coach.pk) == Decimal("40.00")
    assert selectors.in_withdrawal(user_id=coach.pk) == Decimal("60.00")
    assert not Payout.objects.exists()


def test_the_row_keeps_the_method_as_it_was(gateway):
    coach = make_earning_coach()
    method = add_method(coach)

    withdrawal = request(coach, "10.00", method)
    services.remove_payout_method(user=coach, payout_method_id=method.pk)

    kept = fresh(withdrawal)
    assert (kept.kind, kept.destination_name, kept.account_name) == (
        "mobile_money",
        "Airtel Money",
        "Chikondi Banda",
    )
    assert kept.masked_number == "••••567"


def test_bought_and_given_credits_cannot_be_withdrawn(gateway):
    coach = make_earning_coach("30.00")
    grant_credits(user_id=coach.pk, amount=Decimal("70.00"), reason="bonus")
    method = add_method(coach)

    with pytest.raises(NotWithdrawable) as refusal:
        request(coach, "30.01", method)

    assert refusal.value.extra == {"withdrawable": "30.00", "required": "30.01"}
    assert balance_of(coach) == Decimal("100.00")
    assert not WithdrawalRequest.objects.exists()
    assert request(coach, "30.00", method).credits == Decimal("30.00")


def test_a_transfer_that_calls_itself_a_course_payment_is_not_earned(gateway):
    coach, friend = make_earning_coach("1.00"), make_user("friend", balance="50.00")
    transfer_credits(
        from_user_id=friend.pk,
        to_user_id=coach.pk,
        amount=Decimal("50.00"),
        transaction_type="course_payment",
    )

    assert selectors.withdrawable(user_id=coach.pk) == Decimal("1.00")


def test_what_was_spent_cannot_be_withdrawn(gateway):
    coach = make_earning_coach("50.00")
    course = create_course(
        coach=make_coach("other"),
        title="Another",
        price=Decimal("20.00"),
        status="published",
    )
    enroll_with_credits(learner=coach, course_id=course.pk)

    with pytest.raises(InsufficientCredits) as refusal:
        request(coach, "30.01", add_method(coach))

    assert refusal.value.extra == {"available": "30.00", "required": "30.01"}


def test_refunded_earnings_cannot_be_withdrawn(gateway):
    coach = make_coach()
    set_rate("10")
    course = create_course(
        coach=coach, title="A course", price=Decimal("50.00"), status="published"
    )
    learner = make_user("learner", balance="50.00")
    enrollment = enroll_with_credits(learner=learner, course_id=course.pk)
    refund_enrollment(
        enrollment_id=enrollment.pk, actor=make_staff("support"), reason="ill"
    )
    grant_credits(user_id=coach.pk, amount=Decimal("50.00"), reason="bonus")

    assert selectors.earned(user_id=coach.pk) == Decimal("0.00")
    with pytest.raises(NotWithdrawable):
        request(coach, "1.00", add_method(coach))


def test_a_learners_own_refund_is_not_an_earning(gateway):
    coach = make_coach()
    other = make_coach("other")
    grant_credits(user_id=coach.pk, amount=Decimal("50.00"), reason="bonus")
    course = create_course(
        coach=other, title="A course", price=Decimal("50.00"), status="published"
    )
    enrollment = enroll_with_credits(learner=coach, course_id=course.pk)
    refund_enrollment(
        enrollment_id=enrollment.pk, actor=make_staff("support"), reason="ill"
    )

    assert balance_of(coach) == Decimal("50.00")
    assert selectors.withdrawable(user_id=coach.pk) == Decimal("0.00")


def test_earnings_that_are_held_cannot_be_withdrawn_yet(gateway, settings):
    settings.REFUND_WINDOW_DAYS = 14
    coach = make_earning_coach("50.00")

    assert selectors.withdrawable(user_id=coach.pk) == Decimal("0.00")
    with pytest.raises(InsufficientCredits):
        request(coach, "1.00", add_method(coach))


def test_a_frozen_wallet_pays_nothing(gateway):
    coach = make_earning_coach()
    method = add_method(coach)
    freeze_wallet(
        wallet_id=wallet_of(coach).pk, actor=make_staff("support"), reason="odd"
    )

    with pytest.raises(WalletFrozen):
        request(coach, "1.00", method)


def test_only_coaches_withdraw(gateway):
    learner = make_user("learner")
    method = add_method(learner)
    set_rate("10")

    with pytest.raises(PermissionDenied):
        request(learner, "1.00", method)
    with pytest.raises(PermissionDenied):
        services.quote(user=learner, credits=Decimal(1))


def test_a_method_that_cools_off_is_not_usable_yet(gateway, settings):
    settings.PAYOUT_COOLING_OFF_HOURS = 72
    coach = make_earning_coach()
    method = add_method(coach)

    with pytest.raises(PayoutMethodNotUsable) as refusal:
        request(coach, "1.00", method)

    moment = method.usable_from.isoformat().replace("+00:00", "Z")
    assert refusal.value.extra == {"usable_from": moment}


def test_neither_anothers_method_nor_a_removed_one_is_found(gateway):
    coach = make_earning_coach()
    anothers = add_method(make_coach("other"))
    removed = add_method(coach)
    services.remove_payout_method(user=coach, payout_method_id=removed.pk)

    for method in (anothers, removed):
        with pytest.raises(NotFound):
            request(coach, "1.00", method)


@pytest.mark.parametrize(
    ("setting", "value", "credits", "limit", "allowed"),
    [
        ("WITHDRAWAL_MINIMUM", "10", "9.99", "minimum", "10.00"),
        ("WITHDRAWAL_MAXIMUM", "50", "50.01", "maximum", "50.00"),
        ("WITHDRAWAL_DAILY_CAP", "40", "40.01", "daily", "40.00"),
        ("WITHDRAWAL_WEEKLY_CAP", "40", "40.01", "weekly", "40.00"),
    ],
)
def test_limits_are_kept(gateway, settings, setting, value, credits, limit, allowed):
    setattr(settings, setting, Decimal(value))
    coach = make_earning_coach()

    with pytest.raises(WithdrawalLimit) as refusal:
        request(coach, credits, add_method(coach))

    assert refusal.value.extra == {"limit": limit, "allowed": allowed}
    assert balance_of(coach) == Decimal("100.00")


def test_a_cap_counts_what_is_open_or_paid_and_not_what_came_back(gateway, settings):
    settings.WITHDRAWAL_DAILY_CAP = Decimal(50)
    coach = make_earning_coach()
    method = add_method(coach)
    cancelled = request(coach, "50.00", method)
    services.cancel_withdrawal(withdrawal_id=cancelled.pk, actor=coach)
    request(coach, "30.00", method)

    with pytest.raises(WithdrawalLimit) as refusal:
        request(coach, "20.01", method)
    assert refusal.value.extra == {"limit": "daily", "allowed": "20.00"}

    request(coach, "20.00", method)


def test_a_cap_is_rolling(gateway, settings):
    settings.WITHDRAWAL_DAILY_CAP = Decimal(50)
    settings.WITHDRAWAL_WEEKLY_CAP = Decimal(60)
    coach = make_earning_coach()
    request(coach, "50.00", add_method(coach))
    now = timezone.now()

    after_a_day = policy.limits_of(user_id=coach.pk, now=now + timedelta(days=1))
    after_a_week = policy.limits_of(user_id=coach.pk, now=now + timedelta(days=7))

    assert after_a_day.daily_left == Decimal("50.00")
    assert after_a_day.weekly_left == Decimal("10.00")
    assert after_a_week.weekly_left == Decimal("60.00")


def test_the_quote_is_what_the_request_books(gateway, settings):
    settings.WITHDRAWAL_FEE_RATE = Decimal("0.015")
    settings.WITHDRAWAL_FEE_FLAT = Decimal("50")
    coach = make_earning_coach()
    set_rate("12.3456")

    quoted = services.quote(user=coach, credits=Decimal("33.33")).terms
    withdrawal = request(coach, "33.33", add_method(coach))

    assert quoted == policy.Terms(
        credits=Decimal("33.33"),
        rate=Decimal("12.3456"),
        gross=Decimal("411.47"),
        fee=Decimal("56.47"),
        net=Decimal("355.00"),
        currency="MWK",
    )
    booked = fresh(withdrawal)
    assert (booked.rate, booked.gross, booked.fee, booked.net) == (
        quoted.rate,
        quoted.gross,
        quoted.fee,
        quoted.net,
    )


# On a busy machine making up numbers takes its time, too.
@examples(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    credits=st.decimals("0.01", "9999999.99", places=2),
    rate=st.decimals("0.0001", "99999", places=4),
    fee_rate=st.decimals("0", "1", places=4),
    flat=st.decimals("0", "1000", places=2),
)
def test_gross_is_always_fee_and_whole_kwacha(
    credits: Decimal, rate: Decimal, fee_rate: Decimal, flat: Decimal
):
    from unittest import mock

    from django.test import override_settings

    with (
        override_settings(WITHDRAWAL_FEE_RATE=fee_rate, WITHDRAWAL_FEE_FLAT=flat),
        mock.patch.object(policy, "_rate", return_value=rate),
    ):
        try:
            terms = policy.terms_of(credits, now=timezone.now())
        except WithdrawalLimit:
            assert credits * rate * (1 - fee_rate) - flat < 2
            return

    assert terms.gross == terms.fee + terms.net
    assert terms.net == terms.net.to_integral_value() >= 1
    assert 0 <= terms.gross <= credits * rate
    assert terms.fee >= fee_rate * terms.gross + flat - Decimal("0.01")


def test_a_fee_that_leaves_no_kwacha_names_the_least_amount(gateway, settings):
    settings.WITHDRAWAL_FEE_FLAT = Decimal("99")
    coach = make_earning_coach()

    with pytest.raises(WithdrawalLimit) as refusal:
        request(coach, "9.99", add_method(coach))

    assert refusal.value.extra == {"limit": "minimum", "allowed": "10.00"}
    assert services.quote(user=coach, credits=Decimal(10)).terms.net == 1


def test_a_fee_of_everything_allows_nothing(settings):
    settings.WITHDRAWAL_FEE_RATE = Decimal(1)
    coach = make_earning_coach()

    with pytest.raises(WithdrawalLimit) as refusal:
        services.quote(user=coach, credits=Decimal(10))

    assert refusal.value.extra == {"limit": "minimum", "allowed": "0.00"}


def test_an_amount_beyond_all_money_is_refused(settings):
    coach = make_earning_coach()
    set_rate("999999")

    with pytest.raises(WithdrawalLimit) as refusal:
        services.quote(user=coach, credits=Decimal("999999999999.99"))

    assert refusal.value.extra == {"limit": "maximum", "allowed": "1000001.00"}


def test_a_rate_is_in_effect_from_its_moment_on(gateway):
    coach = make_earning_coach()
    later = timezone.now() + timedelta(days=1)
    services.add_payout_rate(rate=Decimal(20), effective_from=later)

    today = services.quote(user=coach, credits=Decimal(1))
    tomorrow = services.quote(user=coach, credits=Decimal(1), now=later)

    assert (today.terms.rate, tomorrow.terms.rate) == (10, 20)


def test_without_a_rate_nothing_can_be_withdrawn(gateway):
    coach = make_coach()
    earn(coach, "10.00")

    with pytest.raises(PayoutRateMissing):
        request(coach, "1.00", add_method(coach))


def test_the_same_key_takes_the_credits_once(gateway):
    coach = make_earning_coach()
    method = add_method(coach)

    first = request(coach, "100.00", method, idempotency_key="once")
    again = request(coach, "100.00", method, idempotency_key="once")

    assert again == first
    assert balance_of(coach) == Decimal("0.00")


def test_the_same_key_for_another_amount_is_refused(gateway):
    coach = make_earning_coach()
    method = add_method(coach)
    request(coach, "10.00", method, idempotency_key="once")

    with pytest.raises(IdempotencyKeyReused):
        request(coach, "10.01", method, idempotency_key="once")


def test_a_refused_request_leaves_its_key_free(gateway):
    coach = make_earning_coach("10.00")
    method = add_method(coach)
    with pytest.raises(InsufficientCredits):
        request(coach, "10.01", method, idempotency_key="mine")

    withdrawal = request(coach, "10.00", method, idempotency_key="mine")

    assert withdrawal.idempotency_key == "mine"


def test_a_small_one_is_approved_by_policy(gateway, settings):
    settings.WITHDRAWAL_AUTO_APPROVE_BELOW = Decimal(20)
    coach = make_earning_coach()
    method = add_method(coach)

    small, not_small = request(coach, "19.99", method), request(coach, "20.00", method)

    assert (small.status, not_small.status) == ("approved", "requested")
    assert small.decided_by is None
    assert Payout.objects.get().withdrawal == small
