from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credits_project.exceptions import InvalidInput
from tests.factories import make_user, wallet_of
from wallets import services
from wallets.exceptions import HoldKeyReused, InsufficientCredits
from wallets.models import CreditHold

pytestmark = pytest.mark.django_db


def hold(user, amount: str, key: str = "h:1", **options):
    return services.place_hold(
        wallet_id=wallet_of(user).pk,
        amount=Decimal(amount),
        key=key,
        reason="for a test",
        **options,
    )


def test_a_hold_keeps_credits_in_the_balance_and_out_of_what_is_available():
    holder = make_user("holder", balance="10.00")

    hold(holder, "4.00")

    wallet = wallet_of(holder)
    assert (wallet.balance, wallet.held, wallet.available) == (10, 4, 6)


def test_more_than_is_available_cannot_be_held():
    holder = make_user("holder", balance="10.00")
    hold(holder, "4.00", key="h:1")

    with pytest.raises(InsufficientCredits) as refusal:
        hold(holder, "6.01", key="h:2")

    assert refusal.value.extra == {"available": "6.00", "required": "6.01"}
    assert wallet_of(holder).held == 4


def test_the_same_hold_again_changes_nothing():
    holder = make_user("holder", balance="10.00")

    assert hold(holder, "4.00").pk == hold(holder, "4.00").pk

    assert wallet_of(holder).held == 4


def test_the_same_hold_again_after_its_release_changes_nothing():
    holder = make_user("holder", balance="10.00")
    hold(holder, "4.00")
    services.release_hold(key="h:1")

    hold(holder, "4.00")

    assert wallet_of(holder).held == 0


def test_a_key_that_names_another_hold_is_refused():
    holder = make_user("holder", balance="10.00")
    hold(holder, "4.00")

    with pytest.raises(HoldKeyReused):
        hold(holder, "4.01")


@pytest.mark.parametrize("amount", ["0.00", "-1.00", "0.001", "NaN", "1000000000000"])
def test_an_amount_that_cannot_be_held_is_refused(amount: str):
    holder = make_user("holder", balance="10.00")

    with pytest.raises(InvalidInput):
        hold(holder, amount)


def test_a_hold_is_released_once():
    holder = make_user("holder", balance="10.00")
    hold(holder, "4.00")

    assert services.release_hold(key="h:1") is True
    assert services.release_hold(key="h:1") is False

    assert wallet_of(holder).held == 0


def test_releasing_a_hold_that_is_none_is_an_error():
    with pytest.raises(CreditHold.DoesNotExist):
        services.release_hold(key="never placed")


def test_due_holds_are_released_together_and_others_stay():
    now = timezone.now()
    early, late = make_user("early", balance="10.00"), make_user("late", balance="9.00")
    hold(early, "1.00", key="h:1", releases_at=now - timedelta(seconds=1))
    hold(early, "2.00", key="h:2", releases_at=now)
    hold(early, "3.00", key="h:3", releases_at=now + timedelta(seconds=1))
    hold(late, "4.00", key="h:4")

    released = services.release_due_holds(now=now, batch=1)

    assert released == 2
    assert (wallet_of(early).held, wallet_of(late).held) == (3, 4)
    assert services.release_due_holds(now=now) == 0
