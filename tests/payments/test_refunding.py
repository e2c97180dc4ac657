"""Refunds: credits come back, money is due."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry

from credits_project.exceptions import InvalidInput
from payments import services
from payments.exceptions import NotRefundable, PurchaseNotFound
from payments.models import CreditPurchase, PurchaseRefund
from payments.services.refunding import share_of
from tests.factories import balance_of, make_user
from tests.payments.buying import buy, now_of, start
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.services import freeze_wallet, transfer_credits, wallet_id_of

pytestmark = pytest.mark.django_db


def refund(purchase: CreditPurchase, actor, **options) -> PurchaseRefund:
    return services.refund_purchase(
        purchase_id=purchase.pk, actor=actor, reason="bought by mistake", **options
    )


def test_a_refund_takes_credits_and_bonus_back_and_the_price_is_due(simulator, support):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)

    made = refund(purchase, support)

    assert balance_of(buyer) == 0
    assert (made.credits, made.bonus_credits, made.money) == (100, 10, 1000)
    purchase = now_of(purchase)
    assert purchase.status == "refunded"
    assert purchase.refunded_at is not None
    assert made.transfer is not None
    assert made.transfer.key == f"purchase:{purchase.pk}:refund:1"
    types = set(made.transfer.transactions.values_list("transaction_type", flat=True))
    assert types == {"purchase_refund"}


def test_a_second_refund_is_refused_and_takes_nothing(simulator, support):
    buyer = make_user("buyer", balance="500.00")
    purchase = buy(simulator, buyer)
    refund(purchase, support)

    with pytest.raises(NotRefundable):
        refund(purchase, support)

    assert balance_of(buyer) == Decimal("500.00")


def test_credits_that_are_spent_are_not_taken_and_nothing_else_is(simulator, support):
    buyer, friend = make_user("buyer"), make_user("friend")
    purchase = buy(simulator, buyer)
    transfer_credits(
        from_user_id=buyer.pk, to_user_id=friend.pk, amount=Decimal("0.01")
    )

    with pytest.raises(InsufficientCredits) as refusal:
        refund(purchase, support)

    assert refusal.value.extra == {"available": "109.99", "required": "110.00"}
    assert now_of(purchase).status == "paid"
    assert not PurchaseRefund.objects.exists()


def test_a_frozen_wallet_gives_nothing_back(simulator, support):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)
    freeze_wallet(
        wallet_id=wallet_id_of(user_id=buyer.pk), actor=support, reason="a chargeback"
    )

    with pytest.raises(WalletFrozen):
        refund(purchase, support)


def test_parts_of_a_refund_add_up_to_exactly_what_was_bought(simulator, support):
    buyer = make_user("buyer")
    purchase = buy(
        simulator,
        buyer,
        credits=Decimal("30.00"),
        bonus_credits=Decimal("1.00"),
        price=Decimal("100.00"),
    )

    parts = [refund(purchase, support, credits=Decimal("10.00")) for _ in range(3)]

    assert [part.bonus_credits for part in parts] == [
        Decimal("0.33"),
        Decimal("0.34"),
        Decimal("0.33"),
    ]
    assert [part.money for part in parts] == [33, 34, 33]
    assert [part.number for part in parts] == [1, 2, 3]
    assert now_of(purchase).status == "refunded"
    assert balance_of(buyer) == 0


def test_a_part_leaves_the_purchase_paid(simulator, support):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)

    refund(purchase, support, credits=Decimal("40.00"))

    purchase = now_of(purchase)
    assert (purchase.status, purchase.refunded_credits) == ("paid", Decimal("40.00"))
    assert (purchase.refunded_bonus_credits, purchase.refunded_money) == (4, 400)
    assert balance_of(buyer) == Decimal("66.00")


def test_no_more_than_what_is_left_is_refunded(simulator, support):
    purchase = buy(simulator, make_user("buyer", balance="1000.00"))
    refund(purchase, support, credits=Decimal("40.00"))

    with pytest.raises(NotRefundable) as refusal:
        refund(purchase, support, credits=Decimal("60.01"))

    assert refusal.value.extra == {"left": "60.00"}


def test_a_form_that_is_sent_twice_refunds_once(simulator, support):
    purchase = buy(simulator)
    refund(purchase, support, credits=Decimal("10.00"), number=1)

    with pytest.raises(NotRefundable):
        refund(purchase, support, credits=Decimal("10.00"), number=1)

    assert PurchaseRefund.objects.count() == 1


def test_what_is_not_paid_cannot_be_refunded(simulator, support):
    with pytest.raises(NotRefundable):
        refund(start(), support)


def test_a_purchase_that_does_not_exist_is_not_found(support):
    with pytest.raises(PurchaseNotFound):
        services.refund_purchase(purchase_id=uuid.uuid4(), actor=support, reason="x")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b"])
def test_a_refund_needs_a_reason(simulator, support, reason):
    purchase = buy(simulator)

    with pytest.raises(InvalidInput):
        services.refund_purchase(purchase_id=purchase.pk, actor=support, reason=reason)


@pytest.mark.parametrize("credits", ["0", "-1", "0.001", "NaN"])
def test_a_part_is_an_amount_of_credits(simulator, support, credits):
    purchase = buy(simulator)

    with pytest.raises(InvalidInput):
        refund(purchase, support, credits=Decimal(credits))


def test_who_refunds_is_noted_with_the_reason(simulator, support):
    purchase = buy(simulator)

    refund(purchase, support)

    entry = LogEntry.objects.get(object_id=str(purchase.pk))
    assert entry.user == support
    assert "bought by mistake" in entry.change_message


def test_the_return_of_the_money_is_noted_once(simulator, support):
    made = refund(buy(simulator), support)

    noted = services.note_money_returned(
        refund_id=made.pk, actor=support, how="Airtel, 26262633201", via="payout"
    )

    assert (made.status, noted.status) == ("due", "returned")
    assert noted.returned_at is not None
    assert (noted.returned_via, noted.returned_how) == ("payout", "Airtel, 26262633201")
    with pytest.raises(NotRefundable):
        services.note_money_returned(refund_id=made.pk, actor=support, how="again")


def test_the_return_of_money_by_no_known_way_is_refused(simulator, support):
    made = refund(buy(simulator), support)

    with pytest.raises(InvalidInput):
        services.note_money_returned(
            refund_id=made.pk, actor=support, how="by owl", via="owl"
        )


def test_nothing_is_due_where_the_gateway_took_the_payment_back(simulator, support):
    made = refund(buy(simulator), support, is_due=False)

    assert (made.status, made.money) == ("not-due", 1000)
    with pytest.raises(NotRefundable):
        services.note_money_returned(refund_id=made.pk, actor=support, how="why not")


def test_a_refund_after_an_excess_was_credited_takes_no_bonus_twice(simulator, support):
    purchase = buy(simulator)
    refund(purchase, support, credits=Decimal("50"))
    purchase = now_of(purchase)
    # In memory alone: as after staff credited an excess of as much again.
    purchase.credited_credits, purchase.credited_money = Decimal(200), Decimal(2000)

    small = share_of(purchase, Decimal(1))
    rest = share_of(purchase, Decimal(150))

    assert (small.bonus_credits, small.money) == (0, 10)
    assert (rest.bonus_credits, rest.money) == (5, 1500)
