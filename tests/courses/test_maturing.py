"""Earnings mature: many at once, in time, and each exactly once.

`MATURING_HOLDS` says how many are due at once.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

from courses import services
from tests.courses.offers import NOW, WINDOW, sell
from tests.factories import make_coach, make_user, wallet_of
from wallets.exceptions import InsufficientCredits
from wallets.models import CreditHold, CreditWallet
from wallets.services import (
    Leg,
    Posting,
    open_missing_wallets,
    post_many,
    release_due_holds,
    transfer_credits,
)
from wallets.system import system_wallet_id
from withdrawals.selectors import withdrawable

HOLDS = int(os.environ.get("MATURING_HOLDS", "100000"))
# Of one coach; a busy one sells as much in a window.
HOLDS_OF_ONE = 50
WITHIN_SECONDS = 60

# As `place_hold` writes them, in one statement; the triggers work as ever.
_PLACE = """
INSERT INTO credit_holds
    (id, wallet_id, key, amount, reason, releases_at, created_at)
SELECT gen_random_uuid(), wallet.id, format('of a test:%%s:%%s', wallet.id, number),
    1.00, 'Earnings within the refund window',
    statement_timestamp() - number * interval '1 second', statement_timestamp()
FROM credit_wallets AS wallet, generate_series(1, %s) AS number
WHERE wallet.id = ANY (%s)
"""


def place_due(count: int) -> list[Any]:
    """Have that many holds that are due, of many coaches; return their wallets."""
    of_one = min(HOLDS_OF_ONE, count)
    User.objects.bulk_create(
        [User(username=f"maturing-{number}") for number in range(count // of_one)]
    )
    open_missing_wallets()
    wallets = CreditWallet.objects.filter(user__username__startswith="maturing-")
    wallet_ids = list(wallets.order_by("pk").values_list("pk", flat=True))
    source = system_wallet_id("adjustments")
    amount = Decimal(of_one)
    for start in range(0, len(wallet_ids), 1000):
        post_many(
            [
                Posting(
                    legs=tuple(
                        Leg(
                            wallet_id=pk,
                            amount=credits,
                            transaction_type="adjustment",
                        )
                        for pk, credits in ((wallet_id, amount), (source, -amount))
                    ),
                    key=f"of a test:{wallet_id}",
                )
                for wallet_id in wallet_ids[start : start + 1000]
            ]
        )
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(_PLACE, [of_one, wallet_ids])
    return wallet_ids


def test_very_many_that_are_due_at_once_are_released_in_time_by_two_workers(committed):
    wallet_ids = place_due(HOLDS)
    count = len(wallet_ids) * min(HOLDS_OF_ONE, HOLDS)
    wallets = CreditWallet.objects.filter(pk__in=wallet_ids)
    assert wallets.aggregate(held=Sum("held"))["held"] == count
    start = Barrier(2, timeout=60)

    def work(_: int) -> int:
        try:
            connection.ensure_connection()
            start.wait()
            return release_due_holds(now=timezone.now())
        finally:
            connection.close()

    began = time.monotonic()
    with ThreadPoolExecutor(2) as workers:
        released = list(workers.map(work, range(2)))
    took = time.monotonic() - began
    print(f"{count} holds of {len(wallet_ids)} wallets in {took:.1f} s: {released}")  # noqa: T201 - for `-s`

    assert sum(released) == count
    assert not CreditHold.objects.open().exists()
    assert wallets.aggregate(held=Sum("held"))["held"] == 0
    assert took < WITHIN_SECONDS


def test_who_releases_without_looking_again_is_stopped_by_the_database(committed):
    """Shows that the race is real here: both have seen the holds open."""
    place_due(10)
    both_have_looked = Barrier(2, timeout=20)

    def release(_: int) -> str:
        try:
            due = list(CreditHold.objects.open().values_list("pk", flat=True))
            both_have_looked.wait()
            CreditHold.objects.filter(pk__in=due).update(released_at=Now())
        except Exception as error:
            return type(error).__name__
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(2) as workers:
        outcomes = Counter(workers.map(release, range(2)))

    assert outcomes == {"done": 1, "IntegrityError": 1}
    assert CreditWallet.objects.aggregate(held=Sum("held"))["held"] == 0


@pytest.mark.django_db
def test_earnings_in_the_window_can_be_neither_spent_nor_withdrawn(settings):
    settings.REFUND_WINDOW_DAYS = WINDOW.days
    coach = sell().course.coach

    with pytest.raises(InsufficientCredits):
        transfer_credits(
            from_user_id=coach.pk, to_user_id=make_user().pk, amount=Decimal("0.01")
        )
    assert withdrawable(user_id=coach.pk) == 0

    release_due_holds(now=NOW + WINDOW)
    assert withdrawable(user_id=coach.pk) == wallet_of(coach).available == 80


@pytest.mark.django_db
@pytest.mark.parametrize("others", [0, 3])
def test_a_refund_inside_the_window_is_covered_whatever_the_coach_spends(
    settings, others
):
    settings.REFUND_WINDOW_DAYS = WINDOW.days
    coach = make_coach(balance="50.00")
    places = [sell(coach=coach) for _ in range(others + 1)]
    available = wallet_of(coach).available
    transfer_credits(from_user_id=coach.pk, to_user_id=make_user().pk, amount=available)

    for place in places:
        services.refund_enrollment(
            enrollment_id=place.pk,
            actor=place.learner,
            reason="No time",
            now=place.matures_at - timedelta(seconds=1),
        )

    assert (wallet_of(coach).balance, wallet_of(coach).held) == (0, 0)
