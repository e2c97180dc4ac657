"""Payments that are not as ordered, come late or are taken back: put before staff."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments import services
from payments.models import CreditPurchase
from tests.factories import balance_of, make_user
from tests.payments.buying import buy, cases_of, settle, start

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"amount": 999}, ("short", "Paid 999 MWK.")),
        ({"amount": "999.99"}, ("short", "Paid 999.99 MWK.")),
        ({"amount": None}, ("amount", "The gateway does not say how much was paid.")),
        ({"currency": "USD"}, ("currency", "Paid 1000 USD.")),
        ({"currency": ""}, ("currency", "Paid 1000 in no currency.")),
        ({"mode": "live"}, ("mode", "Paid in live mode.")),
        ({"mode": None}, ("mode", "Paid in no mode.")),
        ({"tx_ref": "other"}, ("other-payment", "One about other.")),
    ],
)
def test_w22_w23_a_payment_that_is_not_the_one_ordered_is_put_before_staff_once(
    simulator, said, reason
):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set=said)

    for _ in range(2):
        purchase = settle(purchase)

    assert purchase.status == "review"
    assert cases_of(purchase) == [(*reason, "open")]
    assert balance_of(buyer) == 0
    assert purchase.next_check_at is None
    assert CreditPurchase.objects.in_review().get() == purchase


def test_w24_a_test_payment_credits_nothing_in_live_mode(simulator, settings):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    settings.PAYCHANGU_MODE = "live"

    purchase = settle(purchase)

    assert purchase.status == "review"
    assert cases_of(purchase) == [("mode", "Paid in test mode.", "open")]


def test_w24_what_was_ordered_in_test_mode_is_not_paid_for_in_live_mode(
    simulator, settings
):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    settings.PAYCHANGU_MODE = "live"
    simulator.control.fault("verify", "alter", set={"mode": "live"})

    purchase = settle(purchase)

    assert (purchase.status, purchase.transfer) == ("review", None)


def test_w22_paid_too_much_credits_what_was_ordered_and_asks_staff_to_look(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": "1500.50"})

    purchase = settle(purchase)

    assert purchase.status == "paid"
    assert balance_of(buyer) == Decimal("110.00")
    assert purchase.amount_paid == Decimal("1500.50")
    came = "Paid 1500.50 MWK, 500.50 too much."
    assert cases_of(purchase) == [("excess", came, "open")]
    assert CreditPurchase.objects.in_review().get() == purchase


def test_one_under_review_is_credited_once_the_gateway_says_it_is_as_ordered(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": 1}, times=1)
    assert settle(purchase).status == "review"

    purchase = settle(purchase)

    assert purchase.status == "paid"
    assert balance_of(buyer) == Decimal("110.00")
    assert cases_of(purchase) == [("short", "Paid 1 MWK.", "settled")]


def test_what_is_said_later_about_an_unfit_payment_takes_the_place_of_the_first(
    simulator,
):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": 1}, times=1)
    settle(purchase)
    simulator.control.fault("verify", "alter", set={"amount": 2})

    purchase = settle(purchase)

    assert cases_of(purchase) == [
        ("short", "Paid 1 MWK.", "superseded"),
        ("short", "Paid 2 MWK.", "open"),
    ]
    assert purchase.amount_paid == 2


def test_w29_a_word_that_is_not_known_is_put_before_staff_and_asked_about_on(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"status": "weird"}, times=2)
    came = "The gateway says “weird”."

    for _ in range(2):
        purchase = settle(purchase)

    assert (purchase.status, purchase.next_check_at is None) == ("pending", False)
    assert cases_of(purchase) == [("unknown-word", came, "open")]

    assert settle(purchase).status == "paid"
    assert cases_of(purchase) == [("unknown-word", came, "settled")]


def test_after_a_week_of_words_that_are_not_understood_staff_look(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"status": "weird"})

    purchase = settle(purchase, now=timezone.now() + timedelta(days=7, seconds=1))

    assert purchase.status == "review"
    came = "The gateway says “weird”."
    assert cases_of(purchase) == [("unknown-word", came, "open")]


def test_a_late_success_of_an_expired_order_is_credited_once_and_flagged(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    settle(purchase, now=timezone.now() + timedelta(days=8))
    simulator.control.complete(purchase.tx_ref)

    for _ in range(2):
        purchase = settle(purchase)

    assert purchase.status == "paid"
    assert balance_of(buyer) == Decimal("110.00")
    assert cases_of(purchase) == [("late", "Paid after the order had expired.", "open")]


def test_a_failure_after_a_success_takes_nothing_and_is_flagged_once(simulator):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)
    simulator.control.fault("verify", "alter", set={"status": "failed"})

    for _ in range(2):
        purchase = settle(purchase)

    assert purchase.status == "paid"
    assert balance_of(buyer) == Decimal("110.00")
    came = "Now it says “failed”."
    assert cases_of(purchase) == [("contradicted", came, "open")]


@pytest.mark.parametrize(
    ("said", "came"),
    [
        ({"status": "reversed"}, "Now it says “reversed”."),
        ({"status": "pending"}, "Now it says “pending”."),
        ({"status": "charged back"}, "Now it says “charged back”."),
        ({"amount": 1}, "Now it says 1 MWK in test mode."),
        ({"amount": None}, "Now it says no amount MWK in test mode."),
        ({"currency": "USD"}, "Now it says 1000 USD in test mode."),
        ({"mode": "live"}, "Now it says 1000 MWK in live mode."),
    ],
)
def test_w31_whatever_the_gateway_says_otherwise_later_is_put_before_staff(
    simulator, said, came
):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)
    simulator.control.fault("verify", "alter", set=said)

    purchase = settle(purchase)

    assert cases_of(purchase) == [("contradicted", came, "open")]
    assert (purchase.status, balance_of(buyer)) == ("paid", Decimal("110.00"))


def test_an_older_answer_that_comes_later_is_no_contradiction(simulator):
    """As of two that ask at once, whom the gateway answers in the other order."""
    purchase = start()
    pending = services.settling._client(None).verify(purchase.tx_ref)
    simulator.control.complete(purchase.tx_ref)
    settle(purchase)

    late = services.settling._apply(
        pending,
        tx_ref=purchase.tx_ref,
        was_credited=False,
        actor=None,
        lease_token=None,
        now=timezone.now(),
    )

    assert (late.status, late.checks) == ("paid", 1)
    assert cases_of(purchase) == []


def test_a_wallet_that_cannot_hold_the_credits_puts_the_payment_under_review(
    simulator,
):
    buyer = make_user("rich", balance="999999999999.00")

    purchase = buy(simulator, buyer)

    assert purchase.status == "review"
    came = "Paid, and the wallet cannot hold that many credits."
    assert cases_of(purchase) == [("wallet", came, "open")]
