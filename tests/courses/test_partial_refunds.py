from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courses import services
from courses.exceptions import NotRefundable
from courses.services.refunding import refund_parts
from credits_project.exceptions import (
    IdempotencyKeyReused,
)
from credits_project.money import split_fee
from tests.courses.offers import NOW, WINDOW, revenue_of, sell
from tests.factories import balance_of, make_staff, wallet_of
from wallets.models import CreditHold

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def refund_window(settings):
    settings.REFUND_WINDOW_DAYS = WINDOW.days


def test_a_partial_refund_repeated_under_its_key_is_given_once():
    enrollment = sell()
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
    enrollment = sell()
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
    enrollment = sell()
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
    enrollment = sell()

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
    enrollment = sell()

    with pytest.raises(NotRefundable) as refusal:
        services.refund_enrollment(
            enrollment_id=enrollment.pk,
            actor=make_staff("support"),
            reason="too much",
            amount=Decimal(amount),
        )

    assert refusal.value.extra == {"refundable": "100.00"}


def test_nothing_more_is_given_back_once_all_is():
    enrollment = sell()
    staff = make_staff("support")
    services.refund_enrollment(enrollment_id=enrollment.pk, actor=staff, reason="all")

    with pytest.raises(NotRefundable):
        services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=staff, reason="more", amount=Decimal(1)
        )


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


def test_half_a_cent_of_commission_goes_to_the_even_neighbor_in_refunds_too():
    """A sixth of 0.03 is half a cent, and a sixth has digits without end."""
    terms = {"price": Decimal("6.00"), "fee": Decimal("1.00")}

    parts = refund_parts(amount=Decimal("0.03"), refunded=Decimal("0.00"), **terms)

    assert parts == (Decimal("0.00"), Decimal("0.03"))
