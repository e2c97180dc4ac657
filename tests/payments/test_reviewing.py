"""Cases: what staff decide about payments that do not fit, each once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from payments import services
from payments.exceptions import AlreadyDecided, NotForThisCase, NotRefundable
from payments.models import PurchaseRefund, ReviewCase
from payments.services.cases import put_before_staff
from tests.factories import balance_of, make_user
from tests.payments.buying import buy, encode, event_about, now_of, purchase_of, start
from tests.payments.reviewing import case_of, credit, dismiss, refund
from wallets.exceptions import BalanceOutOfRange, InsufficientCredits
from wallets.services import grant_credits, transfer_credits

pytestmark = pytest.mark.django_db


def test_what_was_paid_of_an_order_is_credited_with_the_bonus_in_proportion(
    simulator, support
):
    buyer = make_user("buyer")
    case = case_of(simulator, buyer, amount="333.33")

    case = credit(case, support)

    purchase = purchase_of(case)
    assert balance_of(buyer) == Decimal("33.33") + Decimal("3.33")
    assert (purchase.status, purchase.amount_paid) == ("paid", Decimal("333.33"))
    assert purchase.credited_credits == Decimal("33.33")
    assert purchase.credited_bonus_credits == Decimal("3.33")
    assert purchase.credited_money == Decimal("333.33")
    assert purchase.transfer == case.transfer
    assert case.transfer is not None
    assert case.transfer.key == f"purchase:{purchase.pk}"
    assert (case.status, case.decided_by, case.reason) == (
        "credited",
        support,
        "the payer asked",
    )


def test_what_was_credited_in_part_is_refunded_in_parts(simulator, support):
    buyer = make_user("buyer")
    case = credit(case_of(simulator, buyer, amount="333.33"), support)

    for credits in ("10.00", None):
        services.refund_purchase(
            purchase_id=purchase_of(case).pk,
            actor=support,
            reason="a mistake",
            credits=None if credits is None else Decimal(credits),
        )

    purchase = purchase_of(case)
    assert (purchase.status, purchase.refunded_money) == ("refunded", Decimal("333.33"))
    assert balance_of(buyer) == 0


def test_an_excess_is_credited_at_the_price_of_the_order_and_without_bonus(
    simulator, support
):
    buyer = make_user("buyer")
    case = case_of(simulator, buyer, amount="1505.55")

    case = credit(case, support)

    assert balance_of(buyer) == Decimal("110.00") + Decimal("50.55")
    assert case.transfer is not None
    assert case.transfer.key == f"purchase:{purchase_of(case).pk}:excess"
    purchase = purchase_of(case)
    assert purchase.transfer != case.transfer
    assert purchase.credited_credits == Decimal("150.55")
    services.refund_purchase(purchase_id=purchase.pk, actor=support, reason="all back")
    assert balance_of(buyer) == 0
    assert now_of(purchase).refunded_money == Decimal("1505.55")


def test_an_excess_given_back_is_due_to_the_payer_and_takes_no_credits(
    simulator, support
):
    buyer = make_user("buyer")
    case = case_of(simulator, buyer, amount=1500)

    refund(case, support)

    made = PurchaseRefund.objects.get()
    assert (made.credits, made.money, made.currency, made.status) == (
        0,
        500,
        "MWK",
        "due",
    )
    assert made.transfer is None
    assert balance_of(buyer) == Decimal("110.00")
    assert purchase_of(case).status == "paid"
    # The order itself can be refunded all the same, and counts on.
    whole = services.refund_purchase(
        purchase_id=purchase_of(case).pk, actor=support, reason="a mistake"
    )
    assert (whole.number, whole.money) == (2, 1000)


@pytest.mark.parametrize(
    ("said", "money"),
    [({"amount": 400}, (400, "MWK")), ({"currency": "USD"}, (1000, "USD"))],
)
def test_money_that_gave_no_credits_is_due_to_the_payer_as_it_was_paid(
    simulator, support, said, money
):
    buyer = make_user("buyer")
    case = case_of(simulator, buyer, **said)

    case = refund(case, support)

    made = PurchaseRefund.objects.get()
    assert (made.money, made.currency) == money
    assert purchase_of(case).status == "refunded"
    assert balance_of(buyer) == 0
    # The same answer again is no news, and credits nothing.
    purchase = services.settle_purchase(tx_ref=case.reference)
    assert purchase.status == "refunded"
    assert ReviewCase.objects.count() == 1


def test_what_the_gateway_took_back_is_taken_back_and_not_due_again(simulator, support):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)
    simulator.control.fault("verify", "alter", set={"status": "reversed"})
    services.settle_purchase(tx_ref=purchase.tx_ref)

    refund(purchase.cases.get(), support)

    made = PurchaseRefund.objects.get()
    assert (made.credits, made.status) == (100, "not-due")
    assert balance_of(buyer) == 0
    assert now_of(purchase).status == "refunded"


def test_what_the_gateway_took_back_and_is_spent_stays_a_case(simulator, support):
    buyer, other = make_user("buyer"), make_user("other")
    purchase = buy(simulator, buyer)
    transfer_credits(from_user_id=buyer.pk, to_user_id=other.pk, amount=Decimal(50))
    simulator.control.fault("verify", "alter", set={"status": "reversed"})
    services.settle_purchase(tx_ref=purchase.tx_ref)
    case = purchase.cases.get()

    with pytest.raises(InsufficientCredits):
        refund(case, support)

    case.refresh_from_db()
    assert case.status == "open"
    assert balance_of(buyer) == Decimal("60.00")


def test_a_late_payment_can_be_given_back_whole(simulator, support):
    buyer = make_user("buyer")
    purchase = start(buyer)
    services.settle_purchase(
        tx_ref=purchase.tx_ref, now=timezone.now() + timedelta(days=8)
    )
    simulator.control.complete(purchase.tx_ref)
    services.settle_purchase(tx_ref=purchase.tx_ref)

    refund(purchase.cases.get(), support)

    assert balance_of(buyer) == 0
    assert PurchaseRefund.objects.get().status == "due"


def test_a_dismissed_payment_expires_and_the_same_answer_is_no_news(simulator, support):
    case = case_of(simulator, amount=1)

    dismiss(case, support)

    for _ in range(2):
        purchase = services.settle_purchase(tx_ref=case.reference)
        assert (purchase.status, purchase.cases.count()) == ("expired", 1)

    # Paid as ordered after all.
    simulator.control.clear_faults()
    assert services.settle_purchase(tx_ref=case.reference).status == "paid"


def test_a_payment_stays_on_review_while_another_case_of_it_is_open(simulator, support):
    case = case_of(simulator, amount=1)
    put_before_staff(
        kind=ReviewCase.Kind.UNCONFIRMED,
        reference=case.reference,
        expected="something",
        came="something else",
        purchase=purchase_of(case),
    )

    dismiss(case, support)

    assert purchase_of(case).status == "review"


@pytest.mark.parametrize(
    "said",
    [{"currency": "USD"}, {"mode": "live"}, {"amount": None}, {"tx_ref": "other"}],
)
def test_what_has_no_price_here_is_not_credited(simulator, support, said):
    case = case_of(simulator, **said)

    with pytest.raises(NotForThisCase):
        credit(case, support)

    assert purchase_of(case).status == "review"


@pytest.mark.parametrize("said", [{"mode": "live"}, {"tx_ref": "other"}])
def test_what_is_no_money_of_the_payers_is_not_given_back(simulator, support, said):
    case = case_of(simulator, **said)

    with pytest.raises(NotForThisCase):
        refund(case, support)

    assert not PurchaseRefund.objects.exists()


def test_less_than_a_hundredth_of_a_credit_is_not_credited(simulator, support):
    case = case_of(simulator, amount="0.09")

    with pytest.raises(NotForThisCase):
        credit(case, support)


def test_what_the_wallet_cannot_hold_is_not_credited(simulator, support):
    buyer = make_user("buyer")
    case = case_of(simulator, buyer, amount=500)
    grant_credits(user_id=buyer.pk, amount=Decimal("999999999999.00"), reason="rich")

    with pytest.raises(BalanceOutOfRange):
        credit(case, support)

    case.refresh_from_db()
    assert case.status == "open"


def test_an_excess_of_what_is_refunded_is_not_credited(simulator, support):
    case = case_of(simulator, amount=1500)
    services.refund_purchase(
        purchase_id=purchase_of(case).pk, actor=support, reason="a mistake"
    )

    with pytest.raises(NotForThisCase):
        credit(case, support)


@pytest.mark.parametrize("decide", [credit, refund, dismiss])
def test_each_decision_is_made_once_and_noted(simulator, support, decide):
    case = case_of(simulator, amount=500)
    decided = decide(case, support)

    for other in (credit, refund, dismiss):
        with pytest.raises(AlreadyDecided) as refusal:
            other(case, support)

    assert str(refusal.value) == f"It is {decided.status} already."
    entry = LogEntry.objects.get(object_id=str(case.pk))
    assert entry.user == support
    assert "Paid 500 MWK." in entry.change_message


@pytest.mark.parametrize("decide", ["credit_case", "refund_case", "dismiss_case"])
@pytest.mark.parametrize("case_id", [uuid.UUID(int=7)])
def test_nothing_is_decided_about_nothing(support, decide, case_id):
    with pytest.raises(ReviewCase.DoesNotExist):
        getattr(services, decide)(case_id=case_id, actor=support, reason="x")


def test_a_case_about_an_event_alone_is_asked_about_and_dismissed(simulator, support):
    body = encode(event_about(start(), tx_ref="somebody-elses", event_type="odd"))
    event = services.receive_event(body=body, headers={}, signed_by="webhook")
    services.process_event(event_id=event.pk)
    case = ReviewCase.objects.get()

    asked = services.recheck_case(case_id=case.pk, actor=support)
    for decide in (credit, refund):
        with pytest.raises(NotForThisCase):
            decide(case, support)
    decided = dismiss(case, support)

    assert (asked.status, decided.status) == ("open", "dismissed")
    event.refresh_from_db()
    assert event.attempts == 2
    # And once more, staff have the event processed: it is no news.
    services.process_event(event_id=event.pk, actor=support)
    assert ReviewCase.objects.get().status == "dismissed"


def test_an_event_that_finds_its_purchase_later_settles_its_case(simulator, support):
    purchase = start()
    body = encode(event_about(purchase))
    event = services.receive_event(body=body, headers={}, signed_by="webhook")
    case, _ = put_before_staff(
        kind=ReviewCase.Kind.UNKNOWN_REFERENCE,
        reference=purchase.tx_ref,
        expected="something",
        came="something else",
        event=event,
    )
    simulator.control.complete(purchase.tx_ref)

    asked = services.recheck_case(case_id=case.pk, actor=support)

    assert (asked.status, now_of(purchase).status) == ("settled", "paid")


def test_a_purchase_that_is_refunded_by_hand_leaves_nothing_to_give_back(
    simulator, support
):
    purchase = buy(simulator)
    services.refund_purchase(purchase_id=purchase.pk, actor=support, reason="all")
    contradicted, _ = put_before_staff(
        kind=ReviewCase.Kind.CONTRADICTED,
        reference=purchase.tx_ref,
        expected="something",
        came="something else",
        purchase=purchase,
    )

    with pytest.raises(NotRefundable):
        refund(contradicted, support)

    contradicted.refresh_from_db()
    assert contradicted.status == "open"
