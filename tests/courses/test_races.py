"""Many at once, on a database that commits. Each race has a control that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from courses import services
from courses.models import Course, Enrollment
from courses.services import enrolling, refunding
from tests.courses.offers import make_course
from tests.factories import balance_of, make_coach, make_staff, make_user
from wallets.models import CreditTransfer, CreditWallet


def at_once(calls: list[Callable[[], Any]]) -> Counter[str]:
    """Make all calls at the same moment. Return how often each outcome came."""
    start = Barrier(len(calls), timeout=20)

    def run(call: Callable[[], Any]) -> str:
        try:
            connection.ensure_connection()
            start.wait()
            call()
        except Exception as error:
            return type(error).__name__
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(calls)) as threads:
        return Counter(threads.map(run, calls))


def test_ten_requests_for_one_course_pay_once(committed):
    learner = make_user(balance="1000.00")
    course = make_course()

    outcomes = at_once(
        [lambda: services.enroll_with_credits(learner=learner, course_id=course.pk)]
        * 10
    )

    assert outcomes == {"done": 1, "AlreadyEnrolled": 9}
    assert balance_of(learner) == 900
    assert Enrollment.objects.count() == 1


def test_without_the_lock_the_unique_place_stops_the_second_payment(
    committed, monkeypatch
):
    """Shows that the race is real here: both look before either has written."""
    both_have_looked = Barrier(2, timeout=20)
    terms = enrolling._terms

    def look_and_wait(course, learner, **moment):
        found = terms(course, learner, **moment)
        both_have_looked.wait()
        return found

    monkeypatch.setattr(enrolling, "_lock_learner", lambda learner_id: None)
    monkeypatch.setattr(enrolling, "_terms", look_and_wait)
    learner = make_user(balance="1000.00")
    course = make_course()

    outcomes = at_once(
        [lambda: services.enroll_with_credits(learner=learner, course_id=course.pk)] * 2
    )

    assert outcomes == {"done": 1, "AlreadyEnrolled": 1}
    assert balance_of(learner) == 900


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        ("100.00", {"done": 1, "InsufficientCredits": 1}),
        # The control: with credits for both, both come through.
        ("200.00", {"done": 2}),
    ],
)
def test_credits_for_one_course_buy_one_of_two(committed, balance, expected):
    learner = make_user(balance=balance)
    courses = [make_course(), make_course()]

    outcomes = at_once(
        [
            partial(services.enroll_with_credits, learner=learner, course_id=course.pk)
            for course in courses
        ]
    )

    assert outcomes == expected
    assert balance_of(learner) == Decimal(balance) - 100 * outcomes["done"]


def test_one_key_at_once_enrolls_once(committed):
    learner = make_user(balance="1000.00")
    course = make_course()

    outcomes = at_once(
        [
            lambda: services.enroll_with_credits(
                learner=learner, course_id=course.pk, idempotency_key="once"
            )
        ]
        * 6
    )

    assert set(outcomes) <= {"done", "RequestInProgress"}
    assert Enrollment.objects.count() == 1
    assert balance_of(learner) == 900


def test_many_learners_of_one_coach_all_come_through(committed):
    coach = make_coach()
    course = make_course(coach, rate="0.1")
    learners = [make_user(balance="100.00") for _ in range(8)]

    outcomes = at_once(
        [
            partial(services.enroll_with_credits, learner=learner, course_id=course.pk)
            for learner in learners
        ]
    )

    assert outcomes == {"done": 8}
    assert balance_of(coach) == 720


def test_ten_refunds_at_once_give_back_once(committed, settings):
    settings.REFUND_WINDOW_DAYS = 7
    learner, support = make_user(balance="100.00"), make_staff("support")
    enrollment = services.enroll_with_credits(
        learner=learner, course_id=make_course().pk
    )

    def refund(actor):
        return lambda: services.refund_enrollment(
            enrollment_id=enrollment.pk, actor=actor, reason="Asked for it"
        )

    outcomes = at_once([refund(learner), refund(support)] * 5)

    assert outcomes == {"done": 10}
    assert balance_of(learner) == 100
    keys = CreditTransfer.objects.filter(key__contains=":refund:")
    assert keys.count() == 1


def refunds_in_both_directions() -> list[Callable[[], Any]]:
    """Two coaches learn from each other and want their credits back."""
    one, other = (make_coach(balance="1000.00") for _ in range(2))
    calls: list[Callable[[], Any]] = []
    for learner, coach in ((one, other), (other, one)):
        enrollment = services.enroll_with_credits(
            learner=learner, course_id=make_course(coach, rate="0.1").pk
        )
        calls.append(
            partial(
                services.refund_enrollment,
                enrollment_id=enrollment.pk,
                actor=learner,
                reason="",
            )
        )
    return calls


def test_refunds_in_both_directions_do_not_deadlock(committed, settings):
    settings.REFUND_WINDOW_DAYS = 7
    calls = [call for _ in range(4) for call in refunds_in_both_directions()]

    assert at_once(calls) == {"done": 8}


def test_without_locking_all_wallets_at_once_they_would(
    committed, settings, monkeypatch
):
    """Shows that the race is real: each has one wallet and wants the other."""
    settings.REFUND_WINDOW_DAYS = 7
    both_have_released = Barrier(2, timeout=20)
    payers = refunding._payers

    def wait_and_decide(*args, **options):
        both_have_released.wait()
        return payers(*args, **options)

    def read_without_locking(wallet_ids):
        wallets = CreditWallet.objects.filter(pk__in=list(wallet_ids))
        return dict(wallets.values_list("pk", "balance"))

    calls = refunds_in_both_directions()
    monkeypatch.setattr(refunding, "_payers", wait_and_decide)
    monkeypatch.setattr(refunding, "_lock_wallets", read_without_locking)

    assert at_once(calls) == {"done": 1, "OperationalError": 1}


def test_a_new_price_and_an_enrollment_at_once_agree_on_one_price(committed):
    coach = make_coach()
    course = make_course(coach, price="100.00")
    learners = [make_user(balance="500.00") for _ in range(5)]
    seen = Decimal("100.00")

    outcomes = at_once(
        [
            *(
                partial(
                    services.enroll_with_credits,
                    learner=learner,
                    course_id=course.pk,
                    price=seen,
                )
                for learner in learners
            ),
            lambda: services.update_course(
                coach=coach, course_id=course.pk, price=Decimal("200.00")
            ),
        ]
    )

    assert set(outcomes) <= {"done", "PriceChanged"}
    assert set(Enrollment.objects.values_list("price", flat=True)) <= {seen}
    assert Course.objects.get(pk=course.pk).price == 200


def test_courses_of_one_title_at_once_get_different_slugs(committed):
    coaches = [make_coach() for _ in range(6)]

    outcomes = at_once(
        [partial(make_course, coach, title="Sewing") for coach in coaches]
    )

    assert outcomes == {"done": 6}
    slugs = set(Course.objects.values_list("slug", flat=True))
    assert len(slugs) == 6
