from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from credits_project.ids import new_id
from tests.factories import balance_of, make_user, wallet_of
from wallets import services, statements
from wallets.exceptions import (
    BalanceOutOfRange,
    InsufficientCredits,
    TransferKeyReused,
    WalletFrozen,
)
from wallets.models import CreditTransaction, CreditTransfer, CreditWallet
from wallets.services import Leg, Posting
from wallets.system import system_wallet_id

pytestmark = pytest.mark.django_db


def leg(user: Any, amount: str, kind: str = "transfer") -> Leg:
    return Leg(
        wallet_id=wallet_of(user).pk, amount=Decimal(amount), transaction_type=kind
    )


def legs_of_two(payer: Any, payee: Any, amount: str) -> tuple[Leg, Leg]:
    return leg(payer, f"-{amount}"), leg(payee, amount)


def test_a_posting_moves_the_amount_and_leaves_a_row_on_each_side():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    transfer = services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")

    assert [
        (row.amount, row.balance_before, row.balance_after) for row in transfer.legs
    ] == [
        (Decimal("-4.00"), Decimal("10.00"), Decimal("6.00")),
        (Decimal("4.00"), Decimal("0.00"), Decimal("4.00")),
    ]
    assert (balance_of(payer), balance_of(payee)) == (Decimal("6.00"), Decimal("4.00"))


def test_what_a_posting_returns_is_what_the_database_holds():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    transfer = services.post(
        *legs_of_two(payer, payee, "4.00"),
        key="t:1",
        description="for “tea”",
        actor=payer,
        metadata={"cups": 2},
    )

    stored = CreditTransfer.objects.get(pk=transfer.pk)
    for name in ("key", "description", "actor_id", "metadata", "created_at"):
        assert getattr(transfer, name) == getattr(stored, name)
    for returned, row in zip(
        transfer.legs,
        [stored.transactions.get(wallet_id=leg.wallet_id) for leg in transfer.legs],
        strict=True,
    ):
        assert returned.pk == row.pk
        assert (returned.sequence, returned.created_at) == (
            row.sequence,
            row.created_at,
        )


def test_rows_of_a_wallet_are_numbered_from_one_without_a_gap():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    for number in range(3):
        services.post(*legs_of_two(payer, payee, "1.00"), key=f"t:{number}")

    rows = wallet_of(payee).transactions.order_by("sequence")
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert wallet_of(payee).sequence == 3


def test_the_same_key_and_legs_again_change_nothing_and_return_the_first_transfer():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    first = services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")

    again = services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")

    assert again.pk == first.pk
    assert (first.is_replay, again.is_replay) == (False, True)
    assert [row.balance_after for row in again.legs] == [
        Decimal("6.00"),
        Decimal("4.00"),
    ]
    assert balance_of(payer) == Decimal("6.00")


def test_a_repeat_on_a_wallet_that_is_empty_by_now_is_not_refused():
    payer, payee = make_user("payer", balance="4.00"), make_user("payee")
    services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")

    again = services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")

    assert again.is_replay


@pytest.mark.parametrize("change", ["amount", "type", "wallet", "more legs"])
def test_a_key_that_names_other_legs_is_refused(change: str):
    payer, payee, other = (
        make_user("payer", balance="10.00"),
        make_user("payee"),
        make_user("other"),
    )
    services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")
    legs = {
        "amount": legs_of_two(payer, payee, "4.01"),
        "type": (leg(payer, "-4.00", "bonus"), leg(payee, "4.00", "bonus")),
        "wallet": legs_of_two(payer, other, "4.00"),
        "more legs": (leg(payer, "-4.00"), leg(payee, "3.00"), leg(other, "1.00")),
    }[change]

    with pytest.raises(TransferKeyReused):
        services.post(*legs, key="t:1")

    assert balance_of(payer) == Decimal("6.00")


def test_a_key_of_others_is_refused_and_nothing_is_broken():
    """Two causes with one key and no wallet in common."""
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    rich, poor = make_user("rich", balance="10.00"), make_user("poor")
    services.post(*legs_of_two(payer, payee, "4.00"), key="t:1")

    with pytest.raises(TransferKeyReused):
        services.post(*legs_of_two(rich, poor, "4.00"), key="t:1")

    # The transaction that was open still is.
    assert balance_of(rich) == Decimal("10.00")


@pytest.mark.parametrize("later", ["has spent it", "is frozen"])
def test_what_was_booked_is_given_back_though_it_would_be_refused_now(later):
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    legs = legs_of_two(payer, payee, "6.00")
    booked = services.post(*legs, key="t:1")
    if later == "is frozen":
        services.freeze_wallet(
            wallet_id=wallet_of(payer).pk, actor=make_user("staff"), reason="test"
        )

    again = services.post(*legs, key="t:1")

    assert (again.pk, again.is_replay) == (booked.pk, True)
    assert balance_of(payer) == Decimal("4.00")


def test_more_than_is_available_is_refused_and_leaves_no_row():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    with pytest.raises(InsufficientCredits) as refusal:
        services.post(*legs_of_two(payer, payee, "10.01"), key="t:1")

    assert refusal.value.extra == {"available": "10.00", "required": "10.01"}
    assert not CreditTransfer.objects.filter(key="t:1").exists()
    assert balance_of(payer) == Decimal("10.00")


def test_exactly_what_is_available_may_be_spent():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    services.post(*legs_of_two(payer, payee, "10.00"), key="t:1")

    assert balance_of(payer) == Decimal("0.00")


def test_held_credits_cannot_be_spent():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    services.place_hold(
        wallet_id=wallet_of(payer).pk, amount=Decimal("7.00"), key="h:1", reason="test"
    )

    with pytest.raises(InsufficientCredits) as refusal:
        services.post(*legs_of_two(payer, payee, "3.01"), key="t:1")

    assert refusal.value.extra == {"available": "3.00", "required": "3.01"}


def test_a_frozen_wallet_pays_nothing_and_still_receives():
    staff, other = make_user("staff"), make_user("other", balance="5.00")
    frozen = make_user("frozen", balance="10.00")
    services.freeze_wallet(
        wallet_id=wallet_of(frozen).pk, actor=staff, reason="looks odd"
    )

    with pytest.raises(WalletFrozen):
        services.post(*legs_of_two(frozen, other, "1.00"), key="t:1")
    services.post(*legs_of_two(other, frozen, "0.50"), key="t:2")

    assert balance_of(frozen) == Decimal("10.50")


def test_a_balance_stays_below_the_bound():
    rich = make_user("rich")
    adjustments = system_wallet_id("adjustments")
    most = Decimal("999999999999.99")
    first = Leg(
        wallet_id=wallet_of(rich).pk, amount=most, transaction_type="adjustment"
    )
    source = Leg(wallet_id=adjustments, amount=-most, transaction_type="adjustment")
    services.post(first, source, key="t:1")

    with pytest.raises(BalanceOutOfRange):
        services.post(
            leg(rich, "0.01", "adjustment"),
            Leg(
                wallet_id=system_wallet_id("opening"),
                amount=Decimal("-0.01"),
                transaction_type="adjustment",
            ),
            key="t:2",
        )

    assert balance_of(rich) == most


def test_a_missing_wallet_is_an_error_and_books_nothing():
    payer = make_user("payer", balance="10.00")
    nobody = Leg(wallet_id=new_id(), amount=Decimal("1"), transaction_type="transfer")

    with pytest.raises(CreditWallet.DoesNotExist, match=str(nobody.wallet_id)):
        services.post(leg(payer, "-1.00"), nobody, key="t:1")

    assert balance_of(payer) == Decimal("10.00")


@pytest.mark.parametrize(
    "amounts",
    [["-1.00"], ["-1.00", "1.01"], ["-1.00", "1.00", "0.00"]],
    ids=["one leg", "not balanced", "a leg of zero"],
)
def test_a_transfer_that_is_none_is_a_bug_of_the_caller(amounts: list[str]):
    users = [make_user("user", balance="5.00") for _ in amounts]
    legs = [leg(user, amount) for user, amount in zip(users, amounts, strict=True)]

    with pytest.raises(AssertionError):
        services.post(*legs, key="t:1")


def test_a_wallet_appears_once_in_a_transfer():
    payer = make_user("payer", balance="5.00")

    with pytest.raises(AssertionError):
        services.post(leg(payer, "-1.00"), leg(payer, "1.00"), key="t:1")


def test_many_transfers_are_booked_in_their_order_and_may_spend_what_came_before():
    first, second, third = (
        make_user("first", balance="10.00"),
        make_user("second"),
        make_user("third"),
    )

    services.post_many(
        [
            Posting(legs=legs_of_two(first, second, "10.00"), key="t:1"),
            Posting(legs=legs_of_two(second, third, "10.00"), key="t:2"),
        ]
    )

    assert [balance_of(user) for user in (first, second, third)] == [0, 0, 10]


def test_many_transfers_are_booked_all_or_none():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    with pytest.raises(InsufficientCredits):
        services.post_many(
            [
                Posting(legs=legs_of_two(payer, payee, "10.00"), key="t:1"),
                Posting(legs=legs_of_two(payer, payee, "0.01"), key="t:2"),
            ]
        )

    assert balance_of(payer) == Decimal("10.00")


def test_a_bulk_that_is_repeated_books_only_what_is_missing():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    one = Posting(legs=legs_of_two(payer, payee, "1.00"), key="t:1")
    two = Posting(legs=legs_of_two(payer, payee, "2.00"), key="t:2")
    services.post_many([one])

    transfers = services.post_many([one, two, two])

    assert [transfer.is_replay for transfer in transfers[:2]] == [True, False]
    assert transfers[1].pk == transfers[2].pk
    assert balance_of(payee) == Decimal("3.00")


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Collect the statements that go to the driver past Django's own counting."""
    ran: list[str] = []
    run = statements._rows

    def run_and_note(statement: str, parameters: Any) -> Any:
        ran.append(statement)
        return run(statement, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "_rows", run_and_note)
        yield ran


def test_one_transfer_and_a_thousand_cost_the_same_number_of_statements(
    django_assert_num_queries: Any,
):
    payer, payee = make_user("payer", balance="100.00"), make_user("payee")
    legs = legs_of_two(payer, payee, "0.01")

    # Lock; look and write. The transaction around them is the test's.
    with django_assert_num_queries(0), counted_statements() as one:
        services.post(*legs, key="one")
    with django_assert_num_queries(0), counted_statements() as thousand:
        services.post_many(
            [Posting(legs=legs, key=f"many:{number}") for number in range(1000)]
        )

    assert (len(one), len(thousand)) == (2, 2)
    assert balance_of(payee) == Decimal("10.01")


def test_every_type_of_transaction_is_known_to_the_database():
    payer, payee = make_user("payer", balance="100.00"), make_user("payee")

    for kind in CreditTransaction.Type:
        legs = (leg(payer, "-1.00", kind), leg(payee, "1.00", kind))
        services.post(*legs, key=f"t:{kind}")

    kinds = wallet_of(payee).transactions.values_list("transaction_type", flat=True)
    assert set(kinds) == set(CreditTransaction.Type.values)
