"""Credits by hand: what counts towards the limit, and what is kept of each decision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.utils import timezone

from credits_project.exceptions import DomainError, PermissionDenied
from credits_project.money import ZERO
from tests.factories import balance_of, make_staff, make_user
from tests.wallets.test_adjusting import ask
from wallets import services
from wallets.adjustments import CreditAdjustment
from wallets.services import four_eyes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(100)


def approve(adjustment: CreditAdjustment, actor: Any, **note: str) -> CreditAdjustment:
    return services.approve_adjustment(adjustment_id=adjustment.pk, actor=actor, **note)


def reject(
    adjustment: CreditAdjustment, actor: Any, reason: str = "No cause."
) -> CreditAdjustment:
    return services.reject_adjustment(
        adjustment_id=adjustment.pk, actor=actor, reason=reason
    )


def test_without_a_limit_one_person_suffices(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(0)
    learner = make_user("learner")

    adjustment = ask(learner, "5000.00")

    assert adjustment.status == "booked"
    assert balance_of(learner) == 5000


def test_what_another_person_agreed_to_does_not_count_towards_the_limit():
    asker, learner = make_staff("finance"), make_user("learner")
    approve(ask(learner, "500.00", asker), make_staff("finance"))

    assert ask(learner, "100.00", asker).status == "booked"


def test_what_waits_for_another_person_does_not_count_towards_the_limit():
    asker, learner = make_staff("finance"), make_user("learner")
    ask(learner, "500.00", asker)

    assert ask(learner, "100.00", asker).status == "booked"


def test_what_was_taken_counts_as_what_was_given():
    asker, learner = make_staff("finance"), make_user("learner", balance="60.00")
    ask(learner, "-60.00", asker)

    assert ask(learner, "40.01", asker).status == "requested"


def test_what_was_booked_more_than_a_day_ago_does_not_count(as_owner):
    asker, learner = make_staff("finance"), make_user("learner")
    booked = ask(learner, "100.00", asker)
    assert ask(learner, "0.01", asker).status == "requested"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE credit_adjustments DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE credit_adjustments SET requested_at = requested_at - interval"
            " '24 hours' WHERE id = %s",
            [booked.pk],
        )
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE credit_adjustments ENABLE TRIGGER USER")
        for when in ("delete", "truncate"):
            cursor.execute(
                "ALTER TABLE credit_adjustments ENABLE ALWAYS TRIGGER"
                f" wallets_adjustment_no_{when}"
            )

    assert ask(learner, "100.00", asker).status == "booked"


def test_every_way_of_giving_that_registers_is_counted_once(monkeypatch):
    monkeypatch.setattr(four_eyes, "_sources", [])
    asker = make_staff("finance")

    def sixty(actor: Any, since: datetime) -> Decimal:
        return Decimal(60) if actor == asker and since < timezone.now() else ZERO

    for _ in range(2):
        four_eyes.register(sixty)

    assert not four_eyes.needs_second(Decimal("40.00"), actor=asker)
    assert four_eyes.needs_second(Decimal("40.01"), actor=asker)


def test_the_log_tells_who_asked_and_who_agreed():
    asker, other = make_staff("finance"), make_staff("finance")
    learner = make_user("learner")

    adjustment = approve(ask(learner, "500.00", asker), other, note="Checked.")

    told = LogEntry.objects.order_by("pk").values_list("user_id", "change_message")
    gesture = "A goodwill gesture."
    assert list(told) == [
        (
            asker.pk,
            f"request adjustment: {gesture} (user {learner.pk}, amount 500.00)",
        ),
        (other.pk, f"grant: {gesture}"),
        (other.pk, "approve adjustment: Checked."),
    ]
    assert adjustment.transfer is not None
    assert adjustment.transfer.actor_id == other.pk


def test_the_log_tells_who_booked_alone():
    asker, learner = make_staff("finance"), make_user("learner")

    adjustment = ask(learner, "5.00", asker)

    told = LogEntry.objects.latest("pk")
    assert (told.user_id, told.change_message) == (
        asker.pk,
        "grant: A goodwill gesture.",
    )
    assert adjustment.transfer is not None
    assert adjustment.transfer.actor_id == asker.pk


def test_the_log_tells_who_turned_it_down():
    other = make_staff("finance")

    adjustment = reject(ask(make_user("learner"), "500.00"), other)

    told = LogEntry.objects.latest("pk")
    assert (told.user_id, told.change_message) == (
        other.pk,
        "reject adjustment: No cause.",
    )
    assert told.object_id == str(adjustment.pk)


@pytest.mark.parametrize(
    ("decide", "note"),
    [
        (approve, ""),
        (lambda a, actor: approve(a, actor, note=" Checked. "), "Checked."),
        (lambda a, actor: approve(a, actor, note="x" * 500), "x" * 500),
        (lambda a, actor: reject(a, actor, " No cause. "), "No cause."),
    ],
)
def test_a_decision_is_kept_with_who_when_and_why(
    decide: Callable[..., Any], note: str
):
    other = make_staff("finance")
    adjustment = ask(make_user("learner"), "500.00")

    decide(adjustment, other)

    kept = CreditAdjustment.objects.get()
    assert (kept.decided_by_id, kept.decision_note) == (other.pk, note)
    assert kept.decided_at is not None
    assert kept.decided_at > kept.requested_at


def test_who_asked_may_take_it_back():
    asker = make_staff("finance")

    adjustment = reject(ask(make_user("learner"), "500.00", asker), asker)

    assert adjustment.status == "rejected"


def test_nobody_turns_down_what_is_about_a_wallet_of_their_own():
    finance = make_staff("finance")
    adjustment = ask(finance, "-500.00")

    with pytest.raises(PermissionDenied, match="wallet of their own"):
        reject(adjustment, finance)

    assert CreditAdjustment.objects.get().status == "requested"


def test_who_has_left_neither_asks_nor_agrees():
    learner, gone = make_user("learner"), make_staff("finance", is_active=False)
    adjustment = ask(learner, "500.00")

    with pytest.raises(PermissionDenied, match="may not adjust"):
        ask(learner, "5.00", gone)
    with pytest.raises(PermissionDenied, match="may not adjust"):
        approve(adjustment, gone)


NUL = "The text may not contain NUL characters."


@pytest.mark.parametrize(
    ("act", "field", "code", "detail"),
    [
        (lambda a, actor: reject(a, actor, " "), "reason", "required", "Say why."),
        (
            lambda a, actor: reject(a, actor, "x" * 501),
            "note",
            "max_length",
            "No more than 500 characters.",
        ),
        (lambda a, actor: reject(a, actor, "a\0b"), "note", "invalid", NUL),
        (
            lambda a, actor: approve(a, actor, note="x" * 501),
            "note",
            "max_length",
            "No more than 500 characters.",
        ),
        (lambda a, actor: approve(a, actor, note="a\0b"), "note", "invalid", NUL),
    ],
)
def test_a_note_that_cannot_be_kept_is_refused_by_its_field(
    act: Callable[..., Any], field: str, code: str, detail: str
):
    adjustment = ask(make_user("learner"), "500.00")

    with pytest.raises(DomainError) as refusal:
        act(adjustment, make_staff("finance"))

    assert refusal.value.extra == {
        "errors": [{"pointer": f"#/{field}", "code": code, "detail": detail}]
    }
    assert CreditAdjustment.objects.get().status == "requested"


@pytest.mark.parametrize(
    ("who", "detail"),
    [
        ("asker", "A second person has to agree to this adjustment."),
        ("learner", "Nobody adjusts a wallet of their own."),
        ("support", "You may not adjust wallets."),
    ],
)
def test_who_may_not_agree_is_told_why(who: str, detail: str):
    cast = {
        "asker": make_staff("finance"),
        "learner": make_staff("finance"),
        "support": make_staff("support"),
    }
    adjustment = ask(cast["learner"], "500.00", cast["asker"])

    with pytest.raises(PermissionDenied) as refusal:
        approve(adjustment, cast[who])

    assert str(refusal.value) == detail
