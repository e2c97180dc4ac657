"""Settling: what follows from what the gateway says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from credits_project import leases
from payments import services
from payments.exceptions import PurchaseNotFound
from payments.gateway import GatewayUnavailable
from payments.models import CreditPurchase
from payments.services.leasing import lease_time
from payments.services.transactions import assert_none_open
from tests.factories import balance_of, make_staff, make_user, wallet_of
from tests.payments.buying import buy, cases_of, make_package, now_of, start
from wallets.models import CreditTransaction, CreditTransfer
from wallets.system import system_wallet_code

pytestmark = pytest.mark.django_db


def settle(purchase: CreditPurchase, **options) -> CreditPurchase:
    return services.settle_purchase(tx_ref=purchase.tx_ref, **options)


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


@pytest.mark.parametrize("word", ["", None, []])
def test_no_word_means_nothing(simulator, word):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"status": word})

    purchase = settle(purchase)

    assert purchase.status == "pending"
    assert cases_of(purchase) == []


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


def test_after_a_week_an_unpaid_purchase_expires_and_is_not_asked_about_again(
    simulator,
):
    purchase = start()

    purchase = settle(purchase, now=timezone.now() + timedelta(days=7, seconds=1))

    assert purchase.status == "expired"
    assert purchase.next_check_at is None


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


def test_an_answer_after_the_lease_was_taken_over_is_dropped(simulator):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    rows = CreditPurchase.objects.filter(pk=purchase.pk)
    now = timezone.now()
    zombie = leases.claim(rows, pk=purchase.pk, now=now, lasts=lease_time())
    later = now + lease_time()
    assert leases.claim(rows, pk=purchase.pk, now=later, lasts=lease_time())

    assert settle(purchase, lease_token=zombie).status == "pending"
    assert now_of(purchase).checks == 0


def test_a_wallet_that_cannot_hold_the_credits_puts_the_payment_under_review(
    simulator,
):
    buyer = make_user("rich", balance="999999999999.00")

    purchase = buy(simulator, buyer)

    assert purchase.status == "review"
    came = "Paid, and the wallet cannot hold that many credits."
    assert cases_of(purchase) == [("wallet", came, "open")]


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


def test_the_poller_asks_when_a_purchase_is_due_and_then_more_seldom(simulator):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)
    assert services.check_due_purchases(now=purchase.created_at) == 0

    later = purchase.created_at + timedelta(seconds=40)

    assert services.check_due_purchases(now=later) == 1
    assert balance_of(buyer) == Decimal("110.00")
    assert now_of(purchase).lease_token is None


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(seconds=30), timedelta(seconds=30)),
        (timedelta(minutes=10), timedelta(minutes=5)),
        (timedelta(hours=2), timedelta(hours=1)),
        (timedelta(days=3), timedelta(hours=6)),
    ],
)
def test_the_pauses_grow_with_the_age_up_to_six_hours(age, pause):
    purchase = CreditPurchase(created_at=timezone.now())
    now = purchase.created_at + age

    assert services.settling.next_check(purchase, now=now) - now == pause


def test_w41_while_the_gateway_is_down_the_poller_asks_again_in_the_next_sweep(
    simulator, settings
):
    purchase = start()
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"
    now = purchase.created_at + timedelta(seconds=40)

    assert services.check_due_purchases(now=now) == 0

    purchase = now_of(purchase)
    assert purchase.status == "pending"
    assert purchase.lease_token is None
    assert purchase.next_check_at == pytest.approx(
        now + timedelta(seconds=5), abs=timedelta(seconds=4)
    )


def test_purchases_that_never_get_an_answer_keep_no_others_waiting(simulator):
    purchases = [start() for _ in range(5)]
    for purchase in purchases:
        simulator.control.complete(purchase.tx_ref)
    now = timezone.now() + timedelta(seconds=40)
    # The first three of a pass, after which it takes the gateway to be down.
    simulator.control.fault("verify", "truncated", times=3)
    assert services.check_due_purchases(now=now) == 0

    assert services.check_due_purchases(now=now) == 2

    assert [now_of(purchase).status for purchase in purchases] == (
        ["pending"] * 3 + ["paid"] * 2
    )
    assert services.check_due_purchases(now=now + timedelta(seconds=10)) == 3


def test_a_sweep_of_everything_asks_about_all_that_is_open(simulator):
    purchase = start(make_user("buyer"))
    simulator.control.complete(purchase.tx_ref)

    assert services.sweep(now=purchase.created_at) == {"events": 0, "purchases": 0}
    assert services.sweep(now=purchase.created_at, everything=True) == {
        "events": 0,
        "purchases": 1,
    }
    assert now_of(purchase).status == "paid"


def test_a_purchase_that_somebody_is_asking_about_is_left_alone(simulator):
    purchase = start()
    rows = CreditPurchase.objects.filter(pk=purchase.pk)
    now = purchase.created_at + timedelta(seconds=40)
    leases.claim(rows, pk=purchase.pk, now=now, lasts=lease_time())

    assert services.check_due_purchases(now=now) == 0
    assert simulator.control.state()["counts"].get("verify", 0) == 0


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
