"""Lists that give much take two people."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from courses import services
from courses.models import BulkRow, BulkRun
from credits_project.exceptions import NotFound, PermissionDenied
from tests.courses.lists import carry_out, give_bonus
from tests.courses.offers import NOW
from tests.factories import balance_of, make_staff, make_user
from wallets.adjustments import CreditAdjustment
from wallets.services import (
    approve_adjustment,
    grant_credits,
    reject_adjustment,
    request_adjustment,
)

pytestmark = pytest.mark.django_db


def adjust(learner: Any, amount: str, *, actor: Any) -> CreditAdjustment:
    return request_adjustment(
        user_id=learner.pk,
        amount=Decimal(amount),
        reason="A goodwill gesture.",
        actor=actor,
    )


def test_a_list_that_gives_much_waits_until_a_second_person_agrees(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(10)
    first, second = make_staff("finance"), make_staff("finance")
    people = [make_user() for _ in range(3)]
    run = give_bonus(people, actor=first)

    with pytest.raises(PermissionDenied, match="A second person has to agree"):
        carry_out(run, actor=first)
    with pytest.raises(PermissionDenied, match="neither asked nor receives"):
        services.agree_to_list(run_id=run.pk, actor=first)
    with pytest.raises(PermissionDenied):
        services.agree_to_list(run_id=run.pk, actor=make_staff("support"))
    assert [balance_of(person) for person in people] == [0, 0, 0]

    services.agree_to_list(run_id=run.pk, actor=second)
    carry_out(run, actor=second)

    assert [balance_of(person) for person in people] == [5, 5, 5]
    with pytest.raises(NotFound):
        services.agree_to_list(run_id=run.pk, actor=second)


def test_who_is_on_a_list_does_not_agree_to_it(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(1)
    first, second = make_staff("finance"), make_staff("finance")
    run = give_bonus([second], actor=first)

    with pytest.raises(PermissionDenied, match="neither asked nor receives"):
        services.agree_to_list(run_id=run.pk, actor=second)


def test_many_small_lists_of_one_person_are_a_large_one(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(10)
    finance = make_staff("finance")

    runs = [give_bonus([make_user()], name=name, actor=finance) for name in "abc"]

    assert [run.needs_second for run in runs] == [False, False, True]


def test_lists_and_adjustments_of_one_person_are_counted_together(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(10)
    lister, adjuster = make_staff("finance"), make_staff("finance")
    learner = make_user()

    give_bonus([make_user()], actor=lister)
    above = adjust(learner, "5.01", actor=lister)
    adjust(learner, "5.01", actor=adjuster)
    run = give_bonus([make_user()], actor=adjuster)

    assert (above.needs_second, run.needs_second) == (True, True)


def test_what_was_turned_down_and_what_two_agreed_to_counts_for_nobody(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(10)
    first, second = make_staff("finance"), make_staff("finance")
    learner = make_user()
    large = give_bonus([make_user() for _ in range(3)], actor=first)
    services.agree_to_list(run_id=large.pk, actor=second)
    asked = [adjust(learner, "50.00", actor=first) for _ in range(2)]
    approve_adjustment(adjustment_id=asked[0].pk, actor=second)
    reject_adjustment(adjustment_id=asked[1].pk, actor=second, reason="Too much.")

    assert not adjust(learner, "10.00", actor=first).needs_second


def test_the_database_lets_nobody_carry_out_alone_what_takes_two(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(1)
    finance, person = make_staff("finance"), make_user()
    run = give_bonus([person], actor=finance)
    transfer = grant_credits(user_id=person.pk, amount=Decimal(5), reason="alone")

    for rows, change, rule in (
        (
            BulkRow.objects.filter(run=run),
            {"status": "done", "transfer": transfer, "decided_at": NOW},
            "waits for a second person",
        ),
        (
            BulkRun.objects.filter(pk=run.pk),
            {"agreed_by": finance},
            "courses_bulkrun_four_eyes",
        ),
        (
            BulkRun.objects.filter(pk=run.pk),
            {"needs_second": False},
            "finished, once",
        ),
    ):
        with pytest.raises(IntegrityError, match=rule), transaction.atomic():
            rows.update(**change)
