"""Settling: what follows from what the gateway says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from payments import services
from payments.exceptions import PurchaseNotFound
from payments.gateway import GatewayUnavailable
from payments.services.transactions import assert_none_open
from tests.factories import balance_of, make_staff, make_user, wallet_of
from tests.payments.buying import buy, cases_of, make_package, now_of, settle, start
from wallets.models import CreditTransaction, CreditTransfer
from wallets.system import system_wallet_code

pytestmark = pytest.mark.django_db


def test_a_paid_purchase_gives_credits_and_bonus_in_one_row_of_the_wallet(simulator):
    buyer = make_user("buyer")

    purchase = buy(simulator, buyer)

    assert purchase.status == "paid"
    (row,) = CreditTransaction.objects.filter(wallet=wallet_of(buyer))
    assert (row.transaction_type, row.amount) == ("purchase", Decimal("110.00"))
    assert (row.balance_before, row.balance_after) == (Decimal(0), Decimal("110.00"))
    assert row.transfer.metadata["credits"] == "100.00"
    assert row.transfer.metadata["bonus_credits"] == "10.00"


def test_the_credits_come_out_of_issued_and_the_bonus_out_of_promotions(simulator):
    purchase = buy(simulator)

    assert purchase.transfer is not None
    assert purchase.transfer.key == f"purchase:{purchase.pk}"
    amounts = {
        leg.wallet.code: leg.amount
        for leg in purchase.transfer.transactions.select_related("wallet")
        if leg.wallet.code
    }
    assert amounts == {
        system_wallet_code("issued", cause=purchase.pk): Decimal("-100.00"),
        system_wallet_code("promotions", cause=purchase.pk): Decimal("-10.00"),
    }


def test_a_package_without_a_bonus_has_a_transfer_of_two_rows(simulator):
    purchase = buy(simulator, bonus_credits=Decimal(0))

    assert purchase.transfer is not None
    assert purchase.transfer.transactions.count() == 2


def test_what_the_gateway_said_is_kept(simulator):
    purchase = buy(simulator)

    assert purchase.amount_paid == Decimal("1000.00")
    assert purchase.gateway_status == "success"
    assert purchase.gateway_channel == "Mobile Money"
    assert purchase.gateway_fee == Decimal("30.00")
    assert purchase.gateway_reference.isdigit()
    assert purchase.paid_at is not None


def test_settling_again_credits_nothing_more(simulator):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)

    for _ in range(3):
        assert settle(purchase).status == "paid"

    assert balance_of(buyer) == Decimal("110.00")
    assert CreditTransfer.objects.filter(key__startswith="purchase:").count() == 1


def test_what_is_not_paid_yet_stays_pending(simulator):
    purchase = settle(start())

    assert purchase.status == "pending"
    assert purchase.checks == 1
    assert purchase.next_check_at is not None


def test_a_failed_attempt_is_not_an_end(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref, "failed")
    assert settle(purchase).status == "pending"

    simulator.control.complete(purchase.tx_ref)

    assert settle(purchase).status == "paid"
    assert balance_of(buyer) == Decimal("110.00")


@pytest.mark.parametrize(
    "said", [{"currency": "MK"}, {"mode": "sandbox"}, {"status": "Successful"}]
)
def test_w23_other_words_for_the_same_are_the_same(simulator, said):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set=said)

    assert settle(purchase).status == "paid"


@pytest.mark.parametrize("amount", [1000, "1000", "1000.00", 1000.0])
def test_w20_a_sum_is_read_exactly_whatever_its_form(simulator, amount):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": amount})

    purchase = settle(purchase)

    assert (purchase.status, purchase.amount_paid) == ("paid", Decimal("1000.00"))


@pytest.mark.parametrize("word", ["", None, []])
def test_no_word_means_nothing(simulator, word):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"status": word})

    purchase = settle(purchase)

    assert purchase.status == "pending"
    assert cases_of(purchase) == []


def test_after_a_week_an_unpaid_purchase_expires_and_is_not_asked_about_again(
    simulator,
):
    purchase = start()

    purchase = settle(purchase, now=timezone.now() + timedelta(days=7, seconds=1))

    assert purchase.status == "expired"
    assert purchase.next_check_at is None


@pytest.mark.parametrize(
    "fault", ["500-before", "html-before", "truncated", "rate-limited", "reset-before"]
)
def test_without_an_answer_nothing_changes(simulator, fault):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", fault)

    with pytest.raises(GatewayUnavailable):
        settle(purchase)

    assert now_of(purchase).status == "pending"
    assert now_of(purchase).checks == 0


def test_an_unknown_name_is_refused():
    with pytest.raises(PurchaseNotFound):
        services.settle_purchase(tx_ref="nobody's")


def test_staff_who_ask_are_noted(simulator):
    purchase = start()
    support = make_staff("support")

    settle(purchase, actor=support)

    entry = LogEntry.objects.get(object_id=str(purchase.pk))
    assert entry.user == support
    assert "recheck" in entry.change_message


def test_the_gateway_is_never_asked_inside_a_transaction():
    from django.db import transaction

    with (
        pytest.raises(AssertionError, match="inside a database transaction"),
        transaction.atomic(),
    ):
        assert_none_open()


def test_a_price_in_kwacha_is_whole():
    from django.db import IntegrityError, transaction

    with (
        pytest.raises(IntegrityError, match="payments_creditpackage_whole_kwacha"),
        transaction.atomic(),
    ):
        make_package(price=Decimal("999.50"))


def test_a_price_in_dollars_may_have_cents(simulator):
    purchase = buy(simulator, price=Decimal("9.99"), currency="USD")

    assert (purchase.status, purchase.amount_paid) == ("paid", Decimal("9.99"))
