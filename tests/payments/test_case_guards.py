"""The database's own rules about cases, and about what staff decide to credit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction

from payments import services
from payments.models import CreditPurchase
from tests.factories import wallet_of
from tests.payments.buying import buy, start
from tests.payments.refusing import refusal
from tests.payments.reviewing import case_of, dismiss
from wallets import proof
from wallets.models import CreditTransfer
from wallets.services import Leg, post
from wallets.system import system_wallet_id

pytestmark = pytest.mark.django_db


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
