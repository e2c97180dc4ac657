"""Fifty at once, round after round: exactly as many succeed as may.

RACE_ROUNDS is how often. Each of the fifty has a connection of its own, which it keeps
over the rounds, as the workers of a web server do.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from credits_project import idempotency
from tests.factories import balance_of, make_staff
from tests.withdrawals.people import (
    add_method,
    earn,
    fresh,
    in_threads,
    make_earning_coach,
    request,
)
from wallets import proof
from wallets.services import grant_credits
from withdrawals import services
from withdrawals.models import Payout, WithdrawalRequest
from withdrawals.services import decisions

# One of them at a time, as each takes fifty of PostgreSQL's connections.
pytestmark = [
    pytest.mark.usefixtures("committed"),
    pytest.mark.xdist_group("fifty-connections"),
]

ROUNDS = int(os.environ.get("RACE_ROUNDS") or 8)
FIFTY = 50
_TRIES = 20


class Fifty:
    """Threads that do things at the same moment, each on a connection of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(FIFTY)
        # Looked up by each thread, whose own it then is.
        self.at_once([lambda: connection.ensure_connection()] * FIFTY)

    def at_once(self, deeds: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do all deeds at once; return what each returned or raised."""
        start = threading.Barrier(len(deeds), timeout=60)

        def run(deed: Callable[[], Any]) -> Any:
            start.wait()
            for _ in range(_TRIES):
                try:
                    return deed()
                except OperationalError:
                    # It waited too long for a lock on a busy machine. The API answers
                    # 503 then, and a client asks again.
                    continue
                except Exception as error:
                    return error
            raise AssertionError("the machine is too busy")

        return list(self._pool.map(run, deeds))

    def end(self) -> None:
        self.at_once([lambda: connection.close()] * FIFTY)
        self._pool.shutdown()


@pytest.fixture
def fifty(committed: str) -> Iterator[Fifty]:
    threads = Fifty()
    yield threads
    threads.end()


def kinds(outcomes: Sequence[Any]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


@pytest.mark.parametrize("each_key", [1, 2, FIFTY])
def test_requests_take_what_was_earned_and_no_more(gateway, fifty, each_key):
    """Fifty distinct ones, twenty-five that come twice, one that comes fifty times."""
    chance = random.Random(each_key)  # noqa: S311 - repeatable
    coach = make_earning_coach("0.00")
    grant_credits(user_id=coach.pk, amount=Decimal(5000), reason="bonus")
    method = add_method(coach)
    keys = FIFTY // each_key
    for number in range(ROUNDS):
        allowed = chance.randint(1, FIFTY)
        earn(coach, str(10 * allowed))
        before = balance_of(coach)

        def ask(key: str) -> WithdrawalRequest:
            return request(coach, "10.00", method, idempotency_key=key)

        names = [f"{number}-{name % keys}" for name in range(FIFTY)]
        outcomes = fifty.at_once([lambda name=name: ask(name) for name in names])

        taken = min(allowed, keys)
        made = {one.pk for one in outcomes if isinstance(one, WithdrawalRequest)}
        assert len(made) == taken, kinds(outcomes)
        assert balance_of(coach) == before - 10 * taken
        refused = {"NotWithdrawable", "RequestInProgress", "WithdrawalRequest"}
        assert set(kinds(outcomes)) <= refused
        # Spent, so that the next round begins with nothing earned.
        if allowed > taken:
            request(coach, str(10 * (allowed - taken)), method)
    assert proof.breaks() == []


def test_without_its_lock_the_same_key_is_stopped_by_the_constraint_alone(
    gateway, monkeypatch
):
    """The control of identical requests: both look before either has written."""
    coach = make_earning_coach("100.00")
    method = add_method(coach)
    both_have_looked = threading.Barrier(2, timeout=20)
    earlier = idempotency.earlier

    def look_and_wait(*arguments: Any, **options: Any) -> Any:
        found = earlier(*arguments, **options)
        both_have_looked.wait()
        return found

    monkeypatch.setattr(idempotency, "claim", lambda **_: None)
    monkeypatch.setattr(idempotency, "earlier", look_and_wait)

    outcomes = in_threads(
        lambda _: request(coach, "10.00", method, idempotency_key="once"), range(2)
    )

    (error,) = (one for one in outcomes if not isinstance(one, WithdrawalRequest))
    assert isinstance(error, IntegrityError)
    assert "unique_idempotency_key" in str(error)


@pytest.mark.parametrize("needed", [1, 2])
def test_of_fifty_approvals_as_many_succeed_as_it_needs(
    gateway, fifty, settings, needed
):
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(5 if needed == 2 else 0)
    coach = make_earning_coach(str(10 * ROUNDS))
    method = add_method(coach)
    staff = [make_staff("finance") for _ in range(FIFTY)]
    for number in range(ROUNDS):
        withdrawal = request(coach, "10.00", method)

        def approve(actor: Any, pk: Any = withdrawal.pk) -> WithdrawalRequest:
            return services.approve_withdrawal(withdrawal_id=pk, actor=actor)

        outcomes = fifty.at_once([lambda one=one: approve(one) for one in staff])

        wanted = {"WithdrawalRequest": needed, "InvalidTransition": FIFTY - needed}
        assert kinds(outcomes) == wanted
        assert fresh(withdrawal).status == "approved"
        assert Payout.objects.count() == number + 1
    assert proof.breaks() == []


def test_of_fifty_cancels_one_succeeds(gateway, fifty):
    coach = make_earning_coach("10.00")
    method = add_method(coach)
    for _ in range(ROUNDS):
        withdrawal = request(coach, "10.00", method)

        def cancel(pk: Any = withdrawal.pk) -> WithdrawalRequest:
            return services.cancel_withdrawal(withdrawal_id=pk, actor=coach)

        outcomes = fifty.at_once([cancel] * FIFTY)

        assert kinds(outcomes) == {
            "WithdrawalRequest": 1,
            "InvalidTransition": FIFTY - 1,
        }
        assert balance_of(coach) == 10
    assert proof.breaks() == []


def test_without_the_lock_more_than_one_cancel_succeeds(gateway, monkeypatch):
    """The control: both read it as requested. The ledger gives back once, though."""
    coach = make_earning_coach("10.00")
    withdrawal = request(coach, "10.00", add_method(coach))
    both_have_read = threading.Barrier(2, timeout=20)

    def read_without_locking(withdrawal_id: Any) -> WithdrawalRequest:
        row = WithdrawalRequest.objects.get(pk=withdrawal_id)
        both_have_read.wait()
        return row

    monkeypatch.setattr(decisions, "locked", read_without_locking)

    outcomes = in_threads(
        lambda _: services.cancel_withdrawal(withdrawal_id=withdrawal.pk, actor=coach),
        range(2),
    )

    assert kinds(outcomes) != {"WithdrawalRequest": 1, "InvalidTransition": 1}
    assert balance_of(coach) == 10


def test_of_fifty_decisions_of_all_kinds_one_story_comes_out(gateway, fifty):
    """Approvals, rejections and cancels by coach and staff, of one withdrawal."""
    coach = make_earning_coach(str(10 * ROUNDS))
    method = add_method(coach)
    staff = [make_staff("finance") for _ in range(10)]
    ends: Counter[str] = Counter()
    for number in range(ROUNDS):
        before = balance_of(coach)
        withdrawal = request(coach, "10.00", method)
        deeds = _deeds(withdrawal, coach, staff)
        random.Random(number).shuffle(deeds)  # noqa: S311 - repeatable

        outcomes = fifty.at_once([deed for _, deed in deeds])

        done = Counter(
            name
            for (name, _), outcome in zip(deeds, outcomes, strict=True)
            if isinstance(outcome, WithdrawalRequest)
        )
        assert set(kinds(outcomes)) <= {"WithdrawalRequest", "InvalidTransition"}
        end = fresh(withdrawal).status
        ends[end] += 1
        stories = {
            "approved": [{"approve": 1}],
            "rejected": [{"reject": 1}],
            "cancelled": [{"cancel": 1}, {"approve": 1, "cancel": 1}],
        }
        assert dict(done) in stories[end]
        assert balance_of(coach) == before - (10 if end == "approved" else 0)
        payouts = Payout.objects.filter(withdrawal=withdrawal)
        expected = {"approved": ["ready"], "cancelled": ["dropped"] * done["approve"]}
        assert [one.status for one in payouts] == expected.get(end, [])
    assert proof.breaks() == []


def _deeds(
    withdrawal: WithdrawalRequest, coach: Any, staff: list[Any]
) -> list[tuple[str, Callable[[], Any]]]:
    pk = withdrawal.pk

    deeds: list[tuple[str, Callable[[], Any]]] = []
    for actor in staff:
        decide = {"withdrawal_id": pk, "actor": actor}
        approve = partial(services.approve_withdrawal, **decide)
        reject = partial(services.reject_withdrawal, **decide, reason="odd")
        cancel = partial(services.cancel_withdrawal, **decide)
        own = partial(services.cancel_withdrawal, withdrawal_id=pk, actor=coach)
        deeds += [
            ("approve", approve),
            ("approve", approve),
            ("reject", reject),
            ("cancel", cancel),
            ("cancel", own),
        ]
    return deeds
