from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from courses.services import create_course, enroll_with_credits
from credits_project.exceptions import InvalidInput
from tests.factories import balance_of, make_coach, make_staff, make_user, wallet_of
from wallets import selectors, services
from wallets.exceptions import InsufficientCredits, TransferKeyReused, WalletFrozen

pytestmark = pytest.mark.django_db


def test_a_transfer_moves_credits_between_two_users():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    transfer = services.transfer_credits(
        from_user_id=payer.pk,
        to_user_id=payee.pk,
        amount=Decimal("2.50"),
        description="for lunch",
        metadata={"table": 4},
        actor=payer,
    )

    assert (balance_of(payer), balance_of(payee)) == (Decimal("7.50"), Decimal("2.50"))
    assert (transfer.description, transfer.metadata) == ("for lunch", {"table": 4})


def test_two_transfers_without_a_key_are_two():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    for _ in range(2):
        services.transfer_credits(
            from_user_id=payer.pk, to_user_id=payee.pk, amount=Decimal("1.00")
        )

    assert balance_of(payee) == 2


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("amount", {"amount": Decimal("0.00")}),
        ("amount", {"amount": Decimal("-1.00")}),
        ("amount", {"amount": Decimal("0.001")}),
        ("amount", {"amount": Decimal("NaN")}),
        ("amount", {"amount": Decimal("Infinity")}),
        ("amount", {"amount": Decimal("1e12")}),
        ("transaction_type", {"transaction_type": "purchase"}),
        ("transaction_type", {"transaction_type": "gift"}),
        ("to_user_id", {"to_user_id": 0}),
        ("from_user_id", {"from_user_id": 0}),
        ("description", {"description": "x" * 501}),
        ("description", {"description": "a\x00b"}),
        ("key", {"key": ""}),
        ("key", {"key": "k" * 256}),
        ("key", {"key": "purchase:1"}),
        ("key", {"key": "clé"}),
    ],
)
def test_bad_input_is_refused_by_the_name_of_its_field(field: str, change: dict):
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    good: dict[str, Any] = {
        "from_user_id": payer.pk,
        "to_user_id": payee.pk,
        "amount": Decimal("1"),
    }

    with pytest.raises(InvalidInput) as refusal:
        services.transfer_credits(**{**good, **change})

    assert refusal.value.field == field
    assert balance_of(payer) == 10


def test_nobody_transfers_to_themselves():
    payer = make_user("payer", balance="10.00")

    with pytest.raises(InvalidInput, match="themselves"):
        services.transfer_credits(
            from_user_id=payer.pk, to_user_id=payer.pk, amount=Decimal("1.00")
        )


def test_a_key_with_another_description_names_another_transfer_and_is_refused():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    same: dict[str, Any] = {
        "from_user_id": payer.pk,
        "to_user_id": payee.pk,
        "amount": Decimal("1.00"),
        "key": "lunch",
    }
    services.transfer_credits(**same, description="one")

    with pytest.raises(TransferKeyReused):
        services.transfer_credits(**same, description="two")


def test_a_bonus_comes_out_of_the_promotions():
    before = selectors.family_balances()["promotions"]
    lucky = make_user("lucky")

    services.grant_credits(user_id=lucky.pk, amount=Decimal("5.00"), reason="welcome")

    assert balance_of(lucky) == 5
    assert selectors.family_balances()["promotions"] == before - 5


def test_an_adjustment_may_take_credits_that_are_there_and_no_more():
    staff, user = make_staff("finance"), make_user("user", balance="5.00")
    take: dict[str, Any] = {
        "user_id": user.pk,
        "reason": "counted twice",
        "transaction_type": "adjustment",
        "actor": staff,
    }

    services.grant_credits(**take, amount=Decimal("-4.00"))
    with pytest.raises(InsufficientCredits):
        services.grant_credits(**take, amount=Decimal("-1.01"))

    assert balance_of(user) == 1


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("amount", {"amount": Decimal("-1.00")}),
        ("amount", {"amount": Decimal("0"), "transaction_type": "adjustment"}),
        ("reason", {"reason": "  "}),
        ("transaction_type", {"transaction_type": "transfer"}),
        ("user_id", {"user_id": 0}),
    ],
)
def test_a_grant_that_is_none_is_refused(field: str, change: dict):
    user = make_user("user")
    good: dict[str, Any] = {
        "user_id": user.pk,
        "amount": Decimal("1.00"),
        "reason": "test",
    }

    with pytest.raises(InvalidInput) as refusal:
        services.grant_credits(**{**good, **change})

    assert refusal.value.field == field


def test_a_grant_with_a_key_is_booked_once_and_recorded_once():
    staff, user = make_staff("finance"), make_user("user")

    for _ in range(2):
        services.grant_credits(
            user_id=user.pk,
            amount=Decimal("5.00"),
            reason="prize",
            actor=staff,
            key="prize-1",
        )

    assert balance_of(user) == 5
    assert (
        LogEntry.objects.filter(user=staff, change_message="grant: prize").count() == 1
    )


def test_a_reversal_is_a_linked_transfer_the_other_way_once():
    staff, payer, payee = (
        make_staff("finance"),
        make_user("payer", balance="10.00"),
        make_user("payee"),
    )
    transfer = services.transfer_credits(
        from_user_id=payer.pk, to_user_id=payee.pk, amount=Decimal("4.00")
    )

    first = services.reverse_transfer(
        transfer_id=transfer.pk, actor=staff, reason="wrong person"
    )
    again = services.reverse_transfer(
        transfer_id=transfer.pk, actor=staff, reason="wrong person"
    )

    assert (first.reverses_id, again.pk) == (transfer.pk, first.pk)
    assert (balance_of(payer), balance_of(payee)) == (10, 0)


def test_what_another_process_booked_is_not_reversed_here():
    staff, learner = make_staff("finance"), make_user("learner", balance="10.00")
    course = create_course(
        coach=make_coach(), title="Tea", price=Decimal("4.00"), status="published"
    )
    enrollment = enroll_with_credits(learner=learner, course_id=course.pk)

    assert enrollment.transfer_id is not None

    with pytest.raises(InvalidInput) as refusal:
        services.reverse_transfer(
            transfer_id=enrollment.transfer_id, actor=staff, reason="wrong"
        )

    assert refusal.value.field == "transfer_id"
    assert balance_of(learner) == 6


def test_a_reversal_of_a_reversal_books_the_first_one_again():
    staff, payer, payee = (
        make_staff("finance"),
        make_user("payer", balance="10.00"),
        make_user("payee"),
    )
    transfer = services.transfer_credits(
        from_user_id=payer.pk, to_user_id=payee.pk, amount=Decimal("4.00")
    )
    back = services.reverse_transfer(
        transfer_id=transfer.pk, actor=staff, reason="wrong"
    )

    services.reverse_transfer(transfer_id=back.pk, actor=staff, reason="was right")

    assert balance_of(payee) == 4


def test_a_reversal_of_what_is_spent_is_refused():
    staff, payer, payee, other = (
        make_staff("finance"),
        make_user("payer", balance="10.00"),
        make_user("payee"),
        make_user("other"),
    )
    transfer = services.transfer_credits(
        from_user_id=payer.pk, to_user_id=payee.pk, amount=Decimal("4.00")
    )
    services.transfer_credits(
        from_user_id=payee.pk, to_user_id=other.pk, amount=Decimal("4.00")
    )

    with pytest.raises(InsufficientCredits):
        services.reverse_transfer(transfer_id=transfer.pk, actor=staff, reason="wrong")

    assert balance_of(payer) == 6


def test_freezing_and_unfreezing_are_recorded_with_their_reason():
    staff, user = make_staff("support"), make_user("user", balance="5.00")
    wallet_id = wallet_of(user).pk

    services.freeze_wallet(wallet_id=wallet_id, actor=staff, reason="odd log-ins")
    with pytest.raises(WalletFrozen):
        services.transfer_credits(
            from_user_id=user.pk, to_user_id=staff.pk, amount=Decimal("1.00")
        )
    services.unfreeze_wallet(
        wallet_id=wallet_id, actor=staff, reason="it was the owner"
    )

    services.transfer_credits(
        from_user_id=user.pk, to_user_id=staff.pk, amount=Decimal("1.00")
    )
    told = LogEntry.objects.filter(user=staff).order_by("pk")
    assert [entry.change_message for entry in told] == [
        "freeze: odd log-ins",
        "unfreeze: it was the owner",
    ]


@pytest.mark.parametrize("service", [services.freeze_wallet, services.unfreeze_wallet])
def test_freezing_needs_a_reason(service):
    staff, user = make_staff("support"), make_user("user")

    with pytest.raises(InvalidInput):
        service(wallet_id=wallet_of(user).pk, actor=staff, reason=" ")


def test_the_transfer_command_shows_both_sides():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    out = StringIO()

    call_command(
        "transfer_credits", payer.email, str(payee.pk), "4.00", "--key=k1", stdout=out
    )

    lines = out.getvalue().splitlines()
    assert lines[0].endswith("(k1)")
    assert lines[1:] == [
        f"  {payer}: 10.00 -4.00 = 6.00",
        f"  {payee}: 0.00 +4.00 = 4.00",
    ]


def test_the_transfer_command_says_when_a_key_was_booked_before():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    out = StringIO()

    for _ in range(2):
        call_command(
            "transfer_credits", payer.email, payee.email, "4.00", "--key=k1", stdout=out
        )

    assert out.getvalue().count("This key was booked before:") == 1
    assert balance_of(payee) == 4


def test_a_dry_run_writes_nothing():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    out = StringIO()

    call_command(
        "transfer_credits", payer.email, payee.email, "4.00", "--dry-run", stdout=out
    )
    call_command(
        "grant_credits", payer.email, "1", "--reason=x", "--dry-run", stdout=out
    )

    assert "Nothing was written." in out.getvalue()
    assert (balance_of(payer), balance_of(payee)) == (10, 0)


def test_the_commands_refuse_with_one_line():
    payer, payee = make_user("payer", balance="1.00"), make_user("payee")

    with pytest.raises(CommandError, match=r"^4\.00 credits are required and 1\.00"):
        call_command("transfer_credits", payer.email, payee.email, "4.00")
    with pytest.raises(CommandError, match=r"'nobody' names no user\."):
        call_command("transfer_credits", "nobody", payee.email, "4.00")
    with pytest.raises(CommandError, match=r"'x' is not a number of credits"):
        call_command("grant_credits", payer.email, "x", "--reason=y")


def test_the_grant_command_books_a_bonus_or_an_adjustment():
    user = make_user("user")

    call_command(
        "grant_credits", user.email, "5", "--reason=a prize", stdout=StringIO()
    )
    call_command(
        "grant_credits",
        user.email,
        "-2",
        "--adjustment",
        "--reason=too much",
        stdout=StringIO(),
    )

    rows = wallet_of(user).transactions.order_by("sequence")
    assert [(row.transaction_type, row.amount) for row in rows] == [
        ("bonus", 5),
        ("adjustment", -2),
    ]
