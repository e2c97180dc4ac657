"""One person who asks for several adjustments at once stays below the limit."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.concurrency.threads import in_threads
from tests.factories import balance_of, make_staff, make_user
from wallets import services
from wallets.services import four_eyes

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(100)


def give(learners: list[Any], amount: str) -> list[str]:
    """Have one person give to all of them at once. Return what became of it, sorted."""
    asker = make_staff("finance")
    asked = in_threads(
        lambda learner: services.request_adjustment(
            user_id=learner.pk,
            amount=Decimal(amount),
            reason="A goodwill gesture.",
            actor=asker,
        ),
        learners,
    )
    return sorted(getattr(adjustment, "status", adjustment) for adjustment in asked)


def test_what_one_person_asks_for_at_once_is_counted_together():
    learners = [make_user("learner") for _ in range(6)]

    became = give(learners, "40.00")

    assert became == ["booked"] * 2 + ["requested"] * 4
    assert sum(balance_of(learner) for learner in learners) == 80


def test_without_the_lock_each_would_be_below_the_limit(monkeypatch):
    """The control: both have counted before either is there to be counted."""
    both_have_counted = threading.Barrier(2, timeout=10)
    count = four_eyes._given_alone

    def count_and_wait(actor: Any) -> Decimal:
        alone = count(actor)
        both_have_counted.wait()
        return alone

    monkeypatch.setattr(four_eyes, "_given_alone", count_and_wait)
    monkeypatch.setattr(four_eyes, "_wait_for_earlier_requests", lambda actor: None)

    became = give([make_user("learner"), make_user("learner")], "60.00")

    assert became == ["booked", "booked"]
