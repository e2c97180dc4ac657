"""The database's own rules about purchases, refunds and events."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from payments import services
from payments.models import (
    CreditPurchase,
    GatewayDifference,
    GatewayEvent,
    PurchaseRefund,
    ReconciliationRun,
)
from payments.proof import CHECKS
from tests.factories import make_staff, make_user, wallet_of
from tests.payments.buying import buy, make_package, start
from tests.payments.refusing import refusal
from wallets import proof
from wallets.services import Leg, post
from wallets.system import system_wallet_id

pytestmark = pytest.mark.django_db
_Status = CreditPurchase.Status


@pytest.fixture
def in_each_state(simulator):
    """A purchase in each state, each brought there by the services."""
    support = make_staff("support")
    purchases = {_Status.PENDING: start(), _Status.PAID: buy(simulator)}
    purchases[_Status.CREATED] = services.starting._order(
        user=make_user("buyer"), package_id=make_package().pk, key=None
    )
    purchases[_Status.REFUNDED] = buy(simulator)
    services.refund_purchase(
        purchase_id=purchases[_Status.REFUNDED].pk, actor=support, reason="a mistake"
    )
    for status in (_Status.REVIEW, _Status.EXPIRED):
        purchases[status] = start()
        simulator.control.complete(purchases[status].tx_ref)
        simulator.control.fault("verify", "wrong-amount", times=1)
        services.settle_purchase(tx_ref=purchases[status].tx_ref)
    case = purchases[_Status.EXPIRED].cases.get()
    services.dismiss_case(case_id=case.pk, actor=support, reason="gone")
    return purchases


def test_the_database_knows_the_same_steps_as_the_model(in_each_state):
    for status, purchase in in_each_state.items():
        assert CreditPurchase.objects.get(pk=purchase.pk).status == status
    allowed = set()
    for before, after in itertools.permutations(_Status, 2):
        rule = refusal(
            "UPDATE credit_purchases SET status = %s WHERE id = %s",
            after,
            in_each_state[before].pk,
        )
        if rule != "payments_purchase_transition":
            allowed.add((before, after))

    assert allowed == {
        (before, after)
        for before, steps in CreditPurchase.TRANSITIONS.items()
        for after in steps
    }


@pytest.mark.parametrize(
    "change",
    [
        "user_id = user_id + 1",
        "package_id = gen_random_uuid()",
        "credits = credits + 1",
        "bonus_credits = 0",
        "price = 1",
        "currency = 'USD'",
        "mode = 'live'",
        "tx_ref = 'another'",
        "id = gen_random_uuid()",
        "idempotency_key = 'new'",
    ],
)
def test_the_terms_of_a_purchase_are_fixed(simulator, change):
    purchase = start()

    rule = refusal(
        f"UPDATE credit_purchases SET {change} WHERE id = %s",
        purchase.pk,
    )

    assert rule == "payments_purchase_terms"


@pytest.mark.parametrize(
    "change",
    [
        "transfer_id = NULL",
        "paid_at = now() + interval '1 day'",
        "paid_at = NULL",
        "paid_mode = 'live'",
        "credited_credits = 99",
        "credited_bonus_credits = 9",
        "credited_money = 999",
    ],
)
def test_what_was_credited_stays_said(simulator, change):
    purchase = buy(simulator)

    rule = refusal(
        f"UPDATE credit_purchases SET {change} WHERE id = %s",
        purchase.pk,
    )

    assert rule == "payments_purchase_booked"


@pytest.mark.parametrize(
    "change",
    [
        "refunded_credits = 0",
        "refunded_bonus_credits = 0",
        "refunded_money = 0",
        "refunded_money = refunded_money + 1",
        "refunded_at = now() + interval '1 day'",
        "amount_paid = 1",
    ],
)
def test_a_refunded_purchase_is_frozen(in_each_state, change):
    purchase = in_each_state[_Status.REFUNDED]

    rule = refusal(
        f"UPDATE credit_purchases SET {change} WHERE id = %s",
        purchase.pk,
    )

    assert rule == "payments_purchase_booked"


def test_a_purchase_begins_without_credits(simulator):
    purchase = buy(simulator)

    with (
        pytest.raises(IntegrityError, match="a purchase begins without credits"),
        transaction.atomic(),
    ):
        CreditPurchase.objects.create(
            user=purchase.user,
            package=purchase.package,
            credits=Decimal(1),
            price=Decimal(1),
            currency="MWK",
            mode="test",
            tx_ref="x",
            status="paid",
            transfer=purchase.transfer,
            paid_at=purchase.paid_at,
        )


def test_no_more_is_refunded_than_was_bought(simulator):
    purchase = buy(simulator)

    rule = refusal(
        "UPDATE credit_purchases SET refunded_credits = 100.01 WHERE id = %s",
        purchase.pk,
    )

    assert rule in {
        "payments_creditpurchase_refund_within_credits",
        "payments_creditpurchase_refunded_iff_all",
    }


@pytest.mark.parametrize(
    "table",
    [
        "credit_purchases",
        "credit_purchase_refunds",
        "gateway_events",
        "review_cases",
        "gateway_differences",
        "reconciliation_runs",
    ],
)
def test_nothing_is_deleted_or_emptied(in_each_state, table):
    services.receive_event(body=b"{}", headers={}, signed_by="webhook")
    found = ReconciliationRun.objects.create(
        starts_at=timezone.now() - timedelta(days=1), ends_at=timezone.now()
    )
    GatewayDifference.objects.create(
        subject="payout", reference="p", detail="d", first_run=found, last_run=found
    )
    with connection.cursor() as cursor:
        # What is left to be checked at the commit would refuse TRUNCATE as well.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    assert refusal(f"DELETE FROM {table}") == "payments_no_removal"
    assert refusal(f"TRUNCATE {table} CASCADE") == "payments_no_removal"


@pytest.mark.parametrize(
    "change",
    ["credits = 1", "money = 0", "currency = 'USD'", "reason = ''", "number = 7"],
)
def test_a_refund_does_not_change(in_each_state, change):
    refund = PurchaseRefund.objects.get()

    rule = refusal(
        f"UPDATE credit_purchase_refunds SET {change} WHERE id = %s",
        refund.pk,
    )

    assert rule == "payments_refund_fixed"


@pytest.mark.parametrize(
    "change",
    [
        "body = ''",
        "digest = ''",
        "headers = '[]'",
        "signed_by = 'api'",
        "deliveries = 0",
    ],
)
def test_an_event_is_kept_as_it_came(change):
    event = services.receive_event(body=b"{}", headers={}, signed_by="webhook")

    rule = refusal(
        f"UPDATE gateway_events SET {change} WHERE id = %s",
        event.pk,
    )

    assert rule == "payments_event_as_it_came"


def test_what_was_processed_is_not_processed_again(simulator):
    event = services.receive_event(body=b"{}", headers={}, signed_by="webhook")
    GatewayEvent.objects.filter(pk=event.pk).update(status="processed")

    for status in ("received", "parked"):
        rule = refusal(
            "UPDATE gateway_events SET status = %s WHERE id = %s", status, event.pk
        )
        assert rule == "payments_event_transition"


def test_the_checks_of_purchases_are_part_of_the_proof():
    assert set(CHECKS) <= set(proof.all_checks())


def test_the_proof_finds_credits_that_no_purchase_explains(simulator):
    purchase = start()
    with transaction.atomic():
        _mint(purchase, key=f"purchase:{purchase.pk}")

        found = {(one.invariant, one.subject.split()[0]) for one in proof.breaks()}
        transaction.set_rollback(True)

    assert found == {("I10", "transfer"), ("I10", "issued")}


def test_the_proof_finds_a_purchase_whose_transfer_is_another_ones(simulator):
    purchase = start()
    with transaction.atomic():
        transfer = _mint(purchase, key="another")
        CreditPurchase.objects.filter(pk=purchase.pk).update(
            status="paid",
            transfer=transfer,
            paid_at=purchase.created_at,
            paid_mode="test",
            amount_paid=1000,
            credited_credits=100,
            credited_money=1000,
        )

        found = {one.subject for one in proof.breaks() if one.invariant == "I10"}
        transaction.set_rollback(True)

    assert f"purchase {purchase.pk}" in found


def test_the_proof_finds_a_refund_that_took_nothing_back(simulator):
    purchase = buy(simulator)
    with transaction.atomic():
        CreditPurchase.objects.filter(pk=purchase.pk).update(refunded_credits=1)

        found = {(one.invariant, one.subject) for one in proof.breaks()}
        transaction.set_rollback(True)

    assert ("I15", f"purchase {purchase.pk}") in found


def _mint(purchase: CreditPurchase, *, key: str):
    return post(
        Leg(
            wallet_id=wallet_of(purchase.user).pk,
            amount=Decimal("5.00"),
            transaction_type="purchase",
        ),
        Leg(
            wallet_id=system_wallet_id("issued", cause=purchase.pk),
            amount=Decimal("-5.00"),
            transaction_type="purchase",
        ),
        key=key,
    )
