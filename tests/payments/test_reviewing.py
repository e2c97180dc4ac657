"""Cases: what staff decide about payments that do not fit, each once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import Error, connection, transaction
from django.utils import timezone

from payments import services
from payments.exceptions import AlreadyDecided, NotForThisCase, NotRefundable
from payments.models import CreditPurchase, PurchaseRefund, ReviewCase
from payments.services.cases import put_before_staff
from tests.factories import balance_of, make_staff, make_user, wallet_of
from tests.payments.buying import (
    buy,
    encode,
    event_about,
    now_of,
    purchase_of,
    start,
)
from wallets import proof
from wallets.exceptions import BalanceOutOfRange, InsufficientCredits
from wallets.models import CreditTransfer
from wallets.services import Leg, grant_credits, post, transfer_credits
from wallets.system import system_wallet_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def support(db) -> User:
    return make_staff("support")


def case_of(simulator: Any, buyer: User | None = None, **said: Any) -> ReviewCase:
    """The case about a payment of which the gateway says what is given, for ever."""
    purchase = start(buyer or make_user("buyer"))
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set=said)
    services.settle_purchase(tx_ref=purchase.tx_ref)
    return purchase.cases.get()


def credit(case: ReviewCase, actor: User) -> ReviewCase:
    return services.credit_case(case_id=case.pk, actor=actor, reason="the payer asked")


def refund(case: ReviewCase, actor: User) -> ReviewCase:
    return services.refund_case(case_id=case.pk, actor=actor, reason="the payer asked")


def dismiss(case: ReviewCase, actor: User) -> ReviewCase:
    return services.dismiss_case(case_id=case.pk, actor=actor, reason="nothing to do")


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


# The database's own rules.


def refusal(sql: str, *parameters: Any) -> str:
    """The name of the rule that refuses a statement; empty where none does."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            raise _Undo
    except _Undo:
        return ""
    except Error as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        return getattr(diagnosis, "constraint_name", None) or str(error)


class _Undo(Exception):
    pass


def test_the_same_case_is_there_once_for_ever(simulator):
    case = case_of(simulator, amount=1)

    rule = refusal(
        "INSERT INTO review_cases (id, kind, reference, purchase_id, expected, came,"
        " currency, status, opened_at, reason)"
        " SELECT gen_random_uuid(), kind, reference, purchase_id, 'other', came, '',"
        " 'open', now(), '' FROM review_cases WHERE id = %s",
        case.pk,
    )

    assert rule == "payments_reviewcase_once"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("came = 'x'", "payments_case_fixed"),
        ("kind = 'excess'", "payments_case_fixed"),
        ("amount = 7", "payments_case_fixed"),
        ("purchase_id = NULL", "payments_case_fixed"),
        ("status = 'dismissed'", "payments_reviewcase_decided_by_whom"),
        ("status = 'settled'", "payments_reviewcase_decided_by_whom"),
        ("reason = 'x'", "payments_reviewcase_decided_by_whom"),
        (
            "status = 'credited', decided_at = now(), reason = 'x', decided_by_id ="
            " (SELECT max(id) FROM auth_user)",
            "payments_reviewcase_credited_with_transfer",
        ),
        ("status = 'unheard of'", "payments_reviewcase_decided_by_whom"),
    ],
)
def test_a_case_changes_by_a_decision_alone(simulator, change, rule):
    case = case_of(simulator, amount=1)

    found = refusal(f"UPDATE review_cases SET {change} WHERE id = %s", case.pk)

    assert found == rule


@pytest.mark.parametrize(
    "change", ["status = 'open'", "reason = 'other'", "decided_at = NULL"]
)
def test_a_decision_stays_as_it_was_made(simulator, support, change):
    case = dismiss(case_of(simulator, amount=1), support)

    found = refusal(f"UPDATE review_cases SET {change} WHERE id = %s", case.pk)

    assert found == "payments_case_fixed"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("credited_credits = credited_credits + 1", "credited_at_its_price"),
        ("credited_bonus_credits = 11", "credited_at_its_price"),
        (
            "credited_credits = 200, credited_money = 2000",
            "credited_within_paid",
        ),
    ],
)
def test_no_sql_credits_more_than_was_paid_for(simulator, change, rule):
    purchase = buy(simulator)

    found = refusal(f"UPDATE credit_purchases SET {change} WHERE id = %s", purchase.pk)

    assert found == f"payments_creditpurchase_{rule}"


def test_w24_no_sql_credits_a_payment_in_another_mode(simulator):
    purchase = start()
    transfer = CreditTransfer.objects.get(key=f"purchase:{buy(simulator).pk}")

    found = refusal(
        "UPDATE credit_purchases SET status = 'paid', paid_at = now(), transfer_id ="
        " %s, amount_paid = price, credited_money = price, credited_credits = credits,"
        " credited_bonus_credits = bonus_credits, paid_mode = 'live' WHERE id = %s",
        transfer.pk,
        purchase.pk,
    )

    assert found == "payments_creditpurchase_paid_in_its_mode"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("status = 'returned'", "payments_purchaserefund_returned_says_how"),
        ("status = 'not-due'", "payments_refund_transition"),
        ("returned_via = 'payout'", "payments_purchaserefund_returned_says_how"),
    ],
)
def test_money_is_returned_with_a_word_on_how(simulator, support, change, rule):
    made = services.refund_purchase(
        purchase_id=buy(simulator).pk, actor=support, reason="a mistake"
    )

    found = refusal(
        f"UPDATE credit_purchase_refunds SET {change} WHERE id = %s", made.pk
    )

    assert found == rule


def test_the_proof_finds_an_excess_that_nobody_decided_to_credit(simulator, support):
    purchase = buy(simulator)
    with transaction.atomic():
        legs = [
            Leg(
                wallet_id=wallet_id,
                amount=Decimal(amount),
                transaction_type="purchase",
            )
            for wallet_id, amount in (
                (wallet_of(purchase.user).pk, "5.00"),
                (system_wallet_id("issued", cause=purchase.pk), "-5.00"),
            )
        ]
        post(*legs, key=f"purchase:{purchase.pk}:excess")

        found = {one.subject.split()[0] for one in proof.breaks()}
        transaction.set_rollback(True)

    assert found == {"transfer", "issued", "purchase"}
    assert CreditPurchase.objects.count() == 1
