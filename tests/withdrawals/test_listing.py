"""The gateway's list is read once for all payouts that it does not have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.withdrawals.people import fresh, make_approved
from tests.withdrawals.sending import send, sweep
from withdrawals import services
from withdrawals.models import Payout
from withdrawals.services.listing import PayoutList

pytestmark = pytest.mark.django_db

NOT_THERE = "Look-up: not known to the gateway; the list does not have it."


def send_into_the_void(gateway: Any) -> Payout:
    """A payout that the gateway never got."""
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)
    return fresh(payout)


def look_up(payout: Payout, payout_list: PayoutList, **later: float) -> str:
    """Ask about it with this list; return what staff are told."""
    now = timezone.now() + timedelta(**later)
    services.look_up_payout(payout_id=payout.pk, now=now, payout_list=payout_list)
    return str(fresh(payout.withdrawal).flag)


def times_read(gateway: Any) -> int:
    """How often the list was read; it fits on a page here."""
    return int(gateway.state()["counts"].get("payout-list", 0))


def test_one_pass_reads_the_list_once_for_all_that_nobody_knows(gateway):
    payouts = [send_into_the_void(gateway) for _ in range(4)]

    sweep(hours=2)

    assert [fresh(payout.withdrawal).flag for payout in payouts] == [NOT_THERE] * 4
    assert times_read(gateway) == 1


def test_the_next_pass_reads_it_again(gateway):
    send_into_the_void(gateway)

    sweep(hours=2)
    sweep(hours=2)

    assert times_read(gateway) == 2


def test_it_is_read_again_for_a_payout_that_was_not_settled_when_it_was_read(
    gateway, settings
):
    settings.PAYOUT_SETTLING_MINUTES = 60
    earlier, later = send_into_the_void(gateway), send_into_the_void(gateway)
    Payout.objects.filter(pk=later.pk).update(
        sent_at=timezone.now() + timedelta(seconds=30)
    )
    payout_list = PayoutList()

    look_up(earlier, payout_list, minutes=60)
    look_up(later, payout_list, minutes=60, seconds=40)

    assert times_read(gateway) == 2


def test_it_is_read_again_after_a_minute(gateway):
    payouts = [send_into_the_void(gateway) for _ in range(3)]
    payout_list = PayoutList()

    for payout, seconds in zip(payouts, (0, 55, 61), strict=True):
        assert look_up(payout, payout_list, hours=2, seconds=seconds) == NOT_THERE

    assert times_read(gateway) == 2


def test_what_is_on_it_is_asked_for_anew(gateway):
    unknown, known = send_into_the_void(gateway), make_approved("50.00")
    send(known)
    payout_list = PayoutList()

    look_up(unknown, payout_list, hours=2)
    gateway.fault("lookup", "not-found", times=2)
    flag = look_up(known, payout_list, hours=2)

    assert flag == "Look-up: not known to the gateway; the list says pending."
    assert times_read(gateway) == 2


def test_a_list_that_was_read_in_part_says_nothing_about_the_next(gateway):
    first, second = send_into_the_void(gateway), send_into_the_void(gateway)
    gateway.fault("payout-list", "500-before", times=1)
    payout_list = PayoutList()

    assert "could not be read whole" in look_up(first, payout_list, hours=2)
    assert look_up(second, payout_list, hours=2) == NOT_THERE
