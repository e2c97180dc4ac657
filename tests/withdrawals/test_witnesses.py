"""A payout that the look-up does not know: when its witnesses are asked again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import balance_of
from tests.withdrawals.people import fresh, make_approved
from withdrawals import services
from withdrawals.models import Payout

pytestmark = pytest.mark.django_db

AT_ONCE = timedelta(minutes=1)


def send_into_the_void(gateway) -> Payout:
    """A payout that the gateway never got, and nobody knows it."""
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    return fresh(payout)


def look_up(payout: Payout, *, hours: float) -> timedelta:
    """Look it up hours later; return how long it rests then."""
    then = timezone.now() + timedelta(hours=hours)
    services.look_up_payout(payout_id=payout.pk, now=then)
    next_check_at = fresh(payout).next_check_at
    return timedelta() if next_check_at is None else next_check_at - then


@pytest.mark.parametrize("witness", ["payout-list", "mobile-lookup"])
def test_where_a_witness_was_out_of_order_both_are_asked_again_soon(gateway, witness):
    payout = send_into_the_void(gateway)
    gateway.fault(witness, "500-before", times=1)

    assert look_up(payout, hours=2) < AT_ONCE


def test_where_the_witnesses_contradict_each_other_they_are_asked_again_soon(gateway):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    gateway.fault("lookup", "not-found", times=2)

    assert look_up(payout, hours=2) < AT_ONCE
    assert "the list says pending" in fresh(payout.withdrawal).flag


def test_where_they_agree_staff_decide_and_they_are_asked_rarely(gateway):
    payout = send_into_the_void(gateway)

    assert look_up(payout, hours=2) > AT_ONCE
    assert "the list does not have it" in fresh(payout.withdrawal).flag


def test_an_outage_of_the_list_leaves_no_flag_where_witnesses_suffice(
    gateway, settings
):
    settings.PAYOUT_AUTO_RESOLVE = True
    payout = send_into_the_void(gateway)
    gateway.fault("payout-list", "500-before", times=1)

    rest = look_up(payout, hours=2)
    look_up(payout, hours=2 + rest.total_seconds() / 3600)

    assert fresh(payout.withdrawal).status == "failed"
    assert fresh(payout.withdrawal).flag == ""
    assert balance_of(payout.withdrawal.user) == 100
