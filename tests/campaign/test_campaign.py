"""The campaign: withdrawals by the hundred while everything fails.

Coaches ask through the API, staff decide, two workers send. The gateway fails at each
step in every way it knows; workers, web server and the gateway itself are killed. The
judge believes the gateway's own book of payouts, and not our tables.

WITHDRAWALS is how many, CAMPAIGN_SEED what all is drawn from; when each thing happens
is the machine's affair, so a seed repeats the troubles and not the moments.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.campaign.house import House, running_house
from tests.campaign.judge import Mistake, Withdrawal, book_of, judge, still_open
from tests.campaign.people import (
    AUTO_APPROVE_BELOW,
    TWO_APPROVERS_ABOVE,
    Crowd,
    Marketplace,
    freeze_for_a_moment,
)
from tests.campaign.storm import Storm
from tests.factories import PASSWORD, make_staff
from tests.simulator_process import until
from tests.system import Console
from withdrawals import encryption
from withdrawals.models import WithdrawalRequest

# `make campaign` has more, with the rest of the machine for itself.
WITHDRAWALS = int(os.environ.get("WITHDRAWALS") or 120)
SEED = int(os.environ.get("CAMPAIGN_SEED") or secrets.randbelow(2**32))
# Nothing may be stuck for longer than this after the faults have ended (I24).
SETTLED_WITHIN_SECONDS = 60.0
# The storm goes on until so few are neither ended nor flagged, or this share of all.
_OPEN_AT_LAST, _SHARE_AT_LAST = 100, 0.25
_POLICY = {
    "WITHDRAWAL_AUTO_APPROVE_BELOW": str(AUTO_APPROVE_BELOW),
    "WITHDRAWAL_TWO_APPROVERS_ABOVE": str(TWO_APPROVERS_ABOVE),
}

# One after the other: each of them wants the whole machine.
pytestmark = [
    pytest.mark.usefixtures("committed"),
    pytest.mark.xdist_group("campaign"),
]


@pytest.fixture
def staff_decide(committed):
    """What the gateway does not know waits for staff, as it does by default."""
    with running_house(committed, **_POLICY) as house:
        yield house


@pytest.fixture
def witnesses_suffice(committed):
    """Two agreeing witnesses give the credits back."""
    with running_house(committed, **_POLICY, PAYOUT_AUTO_RESOLVE="on") as house:
        yield house


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def all_withdrawals() -> list[Withdrawal]:
    """Return what our tables say, with the accounts that were agreed."""
    return [
        Withdrawal(
            charge_id=f"withdrawal-{row.pk}",
            status=row.status,
            flag=row.flag,
            # Those that were closed settled themselves.
            has_case=any(case.settled_at is None for case in row.cases.all()),
            net=int(row.net),
            number=encryption.unseal(
                row.account_number_encrypted, context=row.number_context
            ),
        )
        for row in WithdrawalRequest.objects.order_by("pk").prefetch_related("cases")
    ]


def statuses() -> dict[str, int]:
    return dict(Counter(WithdrawalRequest.objects.values_list("status", flat=True)))


def weather(house: House) -> None:
    """Have everything go wrong while all is asked for, decided, and mostly ended."""
    say(f"\nWITHDRAWALS={WITHDRAWALS} CAMPAIGN_SEED={SEED}")
    begun = time.monotonic()
    marketplace = Marketplace(house.system.site, withdrawals=WITHDRAWALS, seed=SEED)
    storm = Storm(house, seed=SEED, freeze=freeze_for_a_moment)
    storm.begin()
    patience = 120 + WITHDRAWALS
    with Crowd(marketplace, seed=SEED) as crowd:
        until(lambda: not crowd.is_at_work(), seconds=patience)
    unflagged = WithdrawalRequest.objects.open().filter(flag="")
    few = min(_OPEN_AT_LAST, int(_SHARE_AT_LAST * WITHDRAWALS))
    until(lambda: unflagged.count() <= few, seconds=patience)
    storm.end()
    say(f"{time.monotonic() - begun:.0f} s of {dict(storm.met)}")
    say(f"then {statuses()}")
    # Asked for over and over, each is there once.
    assert WithdrawalRequest.objects.count() == WITHDRAWALS


def settle() -> list[Mistake]:
    """Wait until nothing is stuck, as long as it may take; return what still is."""
    begun = time.monotonic()
    stuck = still_open(all_withdrawals())
    while stuck and time.monotonic() < begun + SETTLED_WITHIN_SECONDS:
        time.sleep(0.5)
        stuck = still_open(all_withdrawals())
    say(f"{time.monotonic() - begun:.0f} s later {statuses()}")
    return stuck


def flags() -> dict[str, int]:
    flags = WithdrawalRequest.objects.exclude(flag="").values_list("flag", flat=True)
    return dict(Counter(re.sub(r"\d+", "#", flag) for flag in flags))


def staff_look(house: House) -> None:
    """Confirm what is still on its way: that asks the gateway about each once more."""
    is_open = WithdrawalRequest.objects.open()
    ids = [str(pk) for pk in is_open.values_list("pk", flat=True)]
    if ids:
        finance = make_staff("finance", password=PASSWORD)
        console = Console(house.system.site, finance.email, PASSWORD)
        console.act("withdrawals/withdrawalrequest/", "confirm_not_sent", *ids)


def found_by_reconciling(house: House) -> str:
    """Return what the daily reconciliation finds."""
    try:
        return house.system.manage("reconcile_gateway")
    except subprocess.CalledProcessError as differences:
        return str(differences.stderr)


def mistakes_in_the_end(house: House) -> list[Mistake]:
    """Compare the gateway's book with our tables."""
    state = house.gateway.state()
    book = book_of(state)
    say(f"the book: {dict(Counter(payout.history for payout in book))}")
    say(f"requests: {state['counts']}")
    reported = found_by_reconciling(house)
    return judge(all_withdrawals(), book, reported=reported)


def errors_of(house: House) -> list[str]:
    """Return what the processes wrote as errors, the first lines of it."""
    lines = house.system.printed().splitlines()
    return [line[:600] for line in lines if line.startswith("{")][:20]


def test_each_withdrawal_is_paid_once_or_given_back_or_before_staff(staff_decide):
    weather(staff_decide)
    stuck = settle()
    say(f"flags: {flags()}")
    staff_look(staff_decide)

    mistakes = mistakes_in_the_end(staff_decide)

    assert stuck == [], errors_of(staff_decide)
    assert mistakes == []
    assert not WithdrawalRequest.objects.open().exists()


def test_none_is_left_before_staff_where_two_witnesses_suffice(witnesses_suffice):
    weather(witnesses_suffice)
    stuck = settle()
    say(f"flags: {flags()}")

    mistakes = mistakes_in_the_end(witnesses_suffice)

    assert stuck == [], errors_of(witnesses_suffice)
    assert mistakes == []
    # A gateway that contradicts itself is for people, however many witnesses there are.
    flagged = WithdrawalRequest.objects.exclude(flag="")
    assert not flagged.filter(cases__isnull=True).exists(), flags()
