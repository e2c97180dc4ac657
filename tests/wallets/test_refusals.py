"""What the ledger's services refuse, word by word, and that nothing came of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from django.db import IntegrityError

from courses.services import create_course, enroll_with_credits
from credits_project.exceptions import DomainError
from tests.factories import make_coach, make_user, wallet_of
from wallets import services
from wallets.exceptions import HoldKeyReused, TransferKeyReused
from wallets.models import CreditTransaction, CreditTransfer
from wallets.statements import constraint_of

pytestmark = pytest.mark.django_db


class Cast(NamedTuple):
    """Who takes part: rich has 10.00, of which 4.00 are held; poor has nothing."""

    rich: Any
    poor: Any
    staff: Any
    paid: CreditTransfer


@pytest.fixture
def cast() -> Cast:
    rich, poor, staff = (
        make_user("rich", balance="10.00"),
        make_user("poor"),
        make_user("staff"),
    )
    paid = services.transfer_credits(
        from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("1.00"), key="paid"
    )
    services.transfer_credits(
        from_user_id=poor.pk, to_user_id=rich.pk, amount=Decimal("1.00"), key="back"
    )
    services.place_hold(
        wallet_id=wallet_of(rich).pk, amount=Decimal("4.00"), key="h:1", reason="a test"
    )
    return Cast(rich, poor, staff, paid)


def transfer(cast: Cast, **change: Any) -> Any:
    arguments: dict[str, Any] = {
        "from_user_id": cast.rich.pk,
        "to_user_id": cast.poor.pk,
        "amount": Decimal("1.00"),
    }
    return services.transfer_credits(**{**arguments, **change})


def grant(cast: Cast, **change: Any) -> Any:
    arguments = {"user_id": cast.poor.pk, "amount": Decimal("1.00"), "reason": "a gift"}
    return services.grant_credits(**{**arguments, **change})


def reverse(cast: Cast, **change: Any) -> Any:
    arguments = {"transfer_id": cast.paid.pk, "actor": cast.staff, "reason": "a test"}
    return services.reverse_transfer(**{**arguments, **change})


def freeze(cast: Cast, reason: str) -> Any:
    return services.freeze_wallet(
        wallet_id=wallet_of(cast.rich).pk, actor=cast.staff, reason=reason
    )


def unfreeze(cast: Cast, reason: str) -> Any:
    return services.unfreeze_wallet(
        wallet_id=wallet_of(cast.rich).pk, actor=cast.staff, reason=reason
    )


def hold(cast: Cast, **change: Any) -> Any:
    arguments = {
        "wallet_id": wallet_of(cast.rich).pk,
        "amount": Decimal("4.00"),
        "key": "h:1",
        "reason": "a test",
    }
    return services.place_hold(**{**arguments, **change})


TYPES = "transfer, course_payment, course_refund, bonus, adjustment"
OTHERS = "purchase:, enrollment:, withdrawal:, reversal:"
NO_USER = "There is no such user."
VISIBLE = "A key is 1 to 255 visible ASCII characters."
NUL = "The text may not contain NUL characters."
THEMSELVES = "Nobody can transfer credits to themselves."


@pytest.mark.parametrize(
    ("ask", "field", "code", "detail"),
    [
        (
            lambda c: transfer(c, description="x" * 501),
            "description",
            "max_length",
            "No more than 500 characters.",
        ),
        (lambda c: transfer(c, description="\0"), "description", "invalid", NUL),
        (
            lambda c: transfer(c, transaction_type="purchase"),
            "transaction_type",
            "invalid_choice",
            f"A transfer may be one of: {TYPES}.",
        ),
        (lambda c: transfer(c, key=""), "key", "invalid", VISIBLE),
        (lambda c: transfer(c, key="k" * 256), "key", "invalid", VISIBLE),
        (lambda c: transfer(c, key="ключ"), "key", "invalid", VISIBLE),
        (lambda c: transfer(c, key="a\tb"), "key", "invalid", VISIBLE),
        (
            lambda c: transfer(c, key="purchase:1"),
            "key",
            "invalid",
            f"A key may not begin with {OTHERS}.",
        ),
        (
            lambda c: transfer(c, to_user_id=c.rich.pk),
            "to_user_id",
            "invalid",
            THEMSELVES,
        ),
        (
            lambda c: transfer(c, from_user_id=0),
            "from_user_id",
            "does_not_exist",
            NO_USER,
        ),
        (lambda c: transfer(c, to_user_id=0), "to_user_id", "does_not_exist", NO_USER),
        (
            lambda c: services.send_credits(
                sender=c.rich, to="nobody@example.com", amount=Decimal(1)
            ),
            "to",
            "does_not_exist",
            "No user has this address.",
        ),
        (
            lambda c: services.send_credits(
                sender=c.rich, to=c.rich.email, amount=Decimal(1)
            ),
            "to",
            "invalid",
            THEMSELVES,
        ),
        (
            lambda c: grant(c, transaction_type="transfer"),
            "transaction_type",
            "invalid_choice",
            "A grant is a bonus or an adjustment.",
        ),
        (
            lambda c: grant(c, amount=Decimal(0), transaction_type="adjustment"),
            "amount",
            "invalid",
            "The amount must not be zero.",
        ),
        (
            lambda c: grant(c, reason=" "),
            "reason",
            "required",
            "Say what the credits are for.",
        ),
        (
            lambda c: grant(c, reason="x" * 501),
            "reason",
            "max_length",
            "No more than 500 characters.",
        ),
        (lambda c: grant(c, reason="a\0b"), "reason", "invalid", NUL),
        (lambda c: grant(c, key=""), "key", "invalid", VISIBLE),
        (lambda c: grant(c, user_id=0), "user_id", "does_not_exist", NO_USER),
        (
            lambda c: reverse(c, reason=" "),
            "reason",
            "required",
            "Say why it is reversed.",
        ),
        (
            lambda c: reverse(c, reason="x" * 501),
            "reason",
            "max_length",
            "No more than 500 characters.",
        ),
        (lambda c: reverse(c, reason="a\0b"), "reason", "invalid", NUL),
        (
            lambda c: freeze(c, " "),
            "reason",
            "required",
            "Say why the wallet is frozen.",
        ),
        (
            lambda c: unfreeze(c, " "),
            "reason",
            "required",
            "Say why the wallet is unfrozen.",
        ),
    ],
)
def test_bad_input_is_refused_by_field_reason_and_text(
    ask: Callable[[Cast], Any], field: str, code: str, detail: str, cast: Cast
):
    rows = CreditTransaction.objects.count()

    with pytest.raises(DomainError) as refusal:
        ask(cast)

    kind = ("not-found", 404) if code == "does_not_exist" else ("invalid-request", 400)
    kind = ("own-wallet", 409) if detail == THEMSELVES else kind
    assert (refusal.value.code, refusal.value.status) == kind
    assert refusal.value.extra == {
        "errors": [{"pointer": f"#/{field}", "code": code, "detail": detail}]
    }
    assert str(refusal.value) == f"{field}: {detail}"
    assert CreditTransaction.objects.count() == rows


@pytest.mark.parametrize(
    ("ask", "code", "detail", "facts"),
    [
        (
            lambda c: transfer(c, amount=Decimal("6.01")),
            "insufficient-credits",
            "6.01 credits are required and 6.00 are available.",
            {"available": "6.00", "required": "6.01"},
        ),
        (
            lambda c: hold(c, key="h:2", amount=Decimal("6.01")),
            "insufficient-credits",
            "6.01 credits are required and 6.00 are available.",
            {"available": "6.00", "required": "6.01"},
        ),
        (
            lambda c: hold(c, amount=Decimal("3.00")),
            "idempotency-key-reused",
            "This key already names another hold.",
            {},
        ),
        (
            lambda c: hold(c, wallet_id=wallet_of(c.poor).pk),
            "idempotency-key-reused",
            "This key already names another hold.",
            {},
        ),
        (
            lambda c: transfer(c, key="paid", description="other words"),
            "idempotency-key-reused",
            "This key already names another transfer.",
            {},
        ),
        (
            lambda c: transfer(c, key="paid", metadata={"other": "facts"}),
            "idempotency-key-reused",
            "This key already names another transfer.",
            {},
        ),
    ],
)
def test_what_the_books_do_not_allow_is_refused_in_words(
    ask: Callable[[Cast], Any], code: str, detail: str, facts: dict, cast: Cast
):
    rows = CreditTransaction.objects.count()

    with pytest.raises(DomainError) as refusal:
        ask(cast)

    assert (refusal.value.code, str(refusal.value)) == (code, detail)
    assert refusal.value.extra == facts
    assert CreditTransaction.objects.count() == rows


def test_what_another_process_booked_is_refused_with_where_to_undo_it(cast: Cast):
    course = create_course(
        coach=make_coach(), title="Tea", price=Decimal("4.00"), status="published"
    )
    enrollment = enroll_with_credits(learner=cast.rich, course_id=course.pk)
    assert enrollment.transfer_id is not None
    booked = CreditTransfer.objects.get(pk=enrollment.transfer_id)

    with pytest.raises(DomainError) as refusal:
        reverse(cast, transfer_id=booked.pk)

    text = "This transfer is undone by a refund of what caused it."
    assert str(refusal.value) == f"transfer_id: {text}"


def test_a_key_that_is_taken_is_named_for_who_has_asked(cast: Cast):
    with pytest.raises(TransferKeyReused) as other_legs:
        transfer(cast, key="paid", amount=Decimal("2.00"))
    with pytest.raises(TransferKeyReused) as other_words:
        transfer(cast, key="paid", description="other words")

    with pytest.raises(HoldKeyReused) as other_hold:
        hold(cast, amount=Decimal("3.00"))

    assert (other_legs.value.key, other_words.value.key) == ("paid", "paid")
    assert other_hold.value.key == "h:1"


def test_an_error_that_names_no_constraint_has_none():
    assert constraint_of(IntegrityError("something else")) == ""


@pytest.mark.parametrize("length", [1, 255])
def test_a_key_may_be_of_one_to_255_characters(length: int, cast: Cast):
    transferred = transfer(cast, key="k" * length)

    assert transferred.key == "k" * length


def test_texts_may_be_of_500_characters(cast: Cast):
    transferred = transfer(cast, description="x" * 500)
    granted = grant(cast, reason="y" * 500)
    reversed_ = reverse(cast, transfer_id=transferred.pk, reason="z" * 500)

    assert [t.description for t in (transferred, granted, reversed_)] == [
        "x" * 500,
        "y" * 500,
        "z" * 500,
    ]
