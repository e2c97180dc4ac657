"""Credits by hand: two people above a limit, and nobody for themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from credits_project.exceptions import (
    InvalidInput,
    InvalidTransition,
    PermissionDenied,
)
from tests.factories import balance_of, make_staff, make_user
from wallets import services
from wallets.adjustments import CreditAdjustment
from wallets.exceptions import InsufficientCredits

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(100)


def ask(user: Any, amount: str, actor: Any = None, **changes: Any) -> CreditAdjustment:
    values = {"reason": "A goodwill gesture.", **changes}
    return services.request_adjustment(
        user_id=user.pk,
        amount=Decimal(amount),
        actor=actor or make_staff("finance"),
        **values,
    )


def refused_by(statement: str, *parameters: Any) -> str:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # TRUNCATE is refused for another reason while foreign keys are unchecked.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(statement, parameters)
    except DatabaseError as error:
        return str(error.__cause__.diag.constraint_name or "")  # type: ignore[union-attr]
    return ""


@pytest.mark.parametrize(
    ("amount", "kind", "balance"),
    [
        ("100.00", "adjustment", "150.00"),
        ("-50.00", "adjustment", "0.00"),
        ("25.00", "bonus", "75.00"),
    ],
)
def test_up_to_the_limit_one_person_suffices(amount, kind, balance):
    learner = make_user("learner", balance="50.00")

    adjustment = ask(learner, amount, transaction_type=kind)

    assert adjustment.status == "booked"
    assert adjustment.transfer is not None
    assert adjustment.transfer.key == f"adjustment:{adjustment.pk}"
    assert balance_of(learner) == Decimal(balance)


@pytest.mark.parametrize("amount", ["100.01", "-100.01"])
def test_above_the_limit_it_waits_for_a_second_person(amount):
    learner = make_user("learner", balance="500.00")
    asker, other = make_staff("finance"), make_staff("finance")

    adjustment = ask(learner, amount, asker)

    assert (adjustment.status, adjustment.transfer) == ("requested", None)
    assert balance_of(learner) == Decimal("500.00")
    with pytest.raises(PermissionDenied):
        services.approve_adjustment(adjustment_id=adjustment.pk, actor=asker)

    services.approve_adjustment(
        adjustment_id=adjustment.pk, actor=other, note="Checked."
    )

    assert balance_of(learner) == Decimal("500.00") + Decimal(amount)
    with pytest.raises(InvalidTransition):
        services.approve_adjustment(adjustment_id=adjustment.pk, actor=other)


def test_many_small_ones_are_a_large_one():
    learner = make_user("learner")
    asker = make_staff("finance")

    statuses = [ask(learner, "40.00", asker).status for _ in range(3)]

    assert statuses == ["booked", "booked", "requested"]
    assert ask(learner, "40.00").status == "booked"


def test_nobody_adjusts_a_wallet_of_their_own_nor_agrees_to_it():
    finance = make_staff("finance")
    finance.is_superuser = True
    finance.save(update_fields=["is_superuser"])

    with pytest.raises(PermissionDenied):
        ask(finance, "5.00", finance)
    adjustment = ask(finance, "500.00")
    with pytest.raises(PermissionDenied):
        services.approve_adjustment(adjustment_id=adjustment.pk, actor=finance)


@pytest.mark.parametrize("group", ["support", "auditors"])
def test_only_finance_adjusts(group):
    learner, staff = make_user("learner"), make_staff(group)
    waiting = ask(learner, "500.00")

    with pytest.raises(PermissionDenied):
        ask(learner, "5.00", staff)
    with pytest.raises(PermissionDenied):
        services.approve_adjustment(adjustment_id=waiting.pk, actor=staff)
    with pytest.raises(PermissionDenied):
        services.reject_adjustment(
            adjustment_id=waiting.pk, actor=staff, reason="I say so."
        )


def test_what_is_turned_down_moves_nothing_and_keeps_the_reason():
    learner = make_user("learner")
    adjustment = ask(learner, "500.00")

    with pytest.raises(InvalidInput):
        services.reject_adjustment(
            adjustment_id=adjustment.pk, actor=make_staff("finance"), reason=" "
        )
    rejected = services.reject_adjustment(
        adjustment_id=adjustment.pk, actor=make_staff("finance"), reason="No cause."
    )

    assert (rejected.status, rejected.decision_note) == ("rejected", "No cause.")
    assert balance_of(learner) == Decimal("0.00")
    assert LogEntry.objects.filter(
        change_message="reject adjustment: No cause."
    ).exists()


def test_what_cannot_be_taken_is_refused_and_leaves_no_request():
    learner = make_user("learner", balance="5.00")

    with pytest.raises(InsufficientCredits):
        ask(learner, "-5.01")

    assert not CreditAdjustment.objects.exists()


def test_no_script_books_what_a_second_person_has_not_agreed_to():
    learner = make_user("learner")
    asker = make_staff("finance")
    adjustment = ask(learner, "500.00", asker)
    book = (
        "UPDATE credit_adjustments SET status = 'booked', decided_by_id = %s,"
        " transfer_id = (SELECT id FROM credit_transfers LIMIT 1) WHERE id = %s"
    )
    make_user("somebody", balance="1.00")

    four_eyes = "wallets_creditadjustment_four_eyes"
    assert refused_by(book, asker.pk, adjustment.pk) == four_eyes
    assert refused_by(book, learner.pk, adjustment.pk) == four_eyes
    assert refused_by(book, None, adjustment.pk) == four_eyes
    # Somebody may agree, but not to another transfer.
    other = make_staff("finance")
    assert refused_by(book, other.pk, adjustment.pk) == "wallets_adjustment_booked"


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount + 1",
        "user_id = (SELECT max(id) FROM auth_user)",
        "needs_second = false",
        "requested_by_id = (SELECT max(id) FROM auth_user)",
    ],
)
def test_what_was_asked_for_is_not_exchanged(change):
    adjustment = ask(make_user("learner"), "500.00")
    make_user("somebody")

    statement = f"UPDATE credit_adjustments SET {change} WHERE id = %s"

    assert refused_by(statement, adjustment.pk) == "wallets_adjustment_fixed"


def test_no_adjustment_is_born_booked(as_owner):
    booked = ask(make_user("learner"), "5.00")
    columns = "user_id, transaction_type, amount, reason, needs_second, requested_by_id"
    copy = (
        f"INSERT INTO credit_adjustments (id, {columns}, status, requested_at,"
        f" decision_note, transfer_id) SELECT gen_random_uuid(), {columns}, 'booked',"
        " now(), '', (SELECT id FROM credit_transfers WHERE id <> transfer_id LIMIT 1)"
        " FROM credit_adjustments WHERE id = %s"
    )
    make_user("somebody", balance="1.00")

    assert refused_by(copy, booked.pk) == "wallets_adjustment_begins"
    assert refused_by("DELETE FROM credit_adjustments") == "wallets_adjustment_kept"
    assert refused_by("TRUNCATE credit_adjustments") == "wallets_adjustment_kept"


def test_staff_ask_and_agree_in_the_console():
    learner = make_user("learner")
    asker, other = Client(), Client()
    asker.force_login(make_staff("finance"))
    other.force_login(make_staff("finance"))
    page = reverse("admin:wallets_creditadjustment_add")
    rows = reverse("admin:wallets_creditadjustment_changelist")
    asked = {"user": learner.email, "kind": "adjustment", "amount": "500.00"}

    assert b"Give or take credits" in asker.get(page).content
    answer = asker.post(page, {**asked, "reason": "Lost in the move."}, follow=True)
    assert b"a second person has to agree" in answer.content
    adjustment = CreditAdjustment.objects.get()
    act = {"action": "approve", "_selected_action": [str(adjustment.pk)]}
    assert b"A second person has to agree" in asker.post(rows, act, follow=True).content

    other.post(rows, act, follow=True)

    assert balance_of(learner) == Decimal("500.00")


def test_the_page_tells_what_is_wrong_and_who_may_not():
    finance, support = Client(), Client()
    finance.force_login(make_staff("finance"))
    support.force_login(make_staff("support"))
    page = reverse("admin:wallets_creditadjustment_add")
    learner = make_user("learner")
    asked = {"user": learner.email, "kind": "bonus", "amount": "-5", "reason": "No"}

    assert support.get(page).status_code == 403
    nobody = finance.post(page, {**asked, "user": "nobody@example.com"})
    assert b"names no user" in nobody.content
    assert finance.post(page, asked).status_code == 200
    assert not CreditAdjustment.objects.exists()


def test_staff_turn_down_with_a_reason_in_the_console():
    adjustment = ask(make_user("learner"), "500.00")
    client = Client()
    client.force_login(make_staff("finance"))
    rows = reverse("admin:wallets_creditadjustment_changelist")
    act = {"action": "reject", "_selected_action": [str(adjustment.pk)]}

    assert b"Reason" in client.post(rows, act).content
    client.post(rows, {**act, "confirmed": "yes", "reason": "No."}, follow=True)

    assert CreditAdjustment.objects.get().status == "rejected"
    again = client.post(rows, {**act, "confirmed": "yes", "reason": "No."}, follow=True)
    assert b"does not exist" in again.content
