"""Reconciling payouts: what only one side knows, or both differently."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments.gateway import from_settings
from tests.withdrawals.people import make_approved
from tests.withdrawals.sending import look_up, send
from withdrawals import services

pytestmark = pytest.mark.django_db


def test_reconciling_finds_nothing_where_both_sides_agree(gateway):
    payout = make_approved("50.00")
    send(payout)
    gateway.settle(payout.charge_id)
    look_up(payout)
    start = timezone.now() - timedelta(days=1)

    assert services.reconcile_payouts(start, timezone.now()) == []

    gateway.settle(payout.charge_id, "failed")

    assert services.reconcile_payouts(start, timezone.now()) == [
        f"payout {payout.charge_id}: paid, and the gateway says failed"
    ]


def test_reconciling_finds_what_only_one_side_knows(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    send(payout)
    start = timezone.now() - timedelta(days=1)

    assert services.reconcile_payouts(start, timezone.now()) == [
        f"payout {payout.charge_id}: sent, and the gateway has none"
    ]


def test_reconciling_finds_a_payout_that_nobody_here_knows(gateway):
    make_approved("50.00")
    operators = from_settings().mobile_money_operators()
    from_settings().send_mobile_payout(
        charge_id="not-ours",
        amount=Decimal(100),
        mobile="991234567",
        operator_id=operators[0].id,
    )

    lines = services.reconcile_payouts(timezone.now(), timezone.now())

    assert lines == ["payout not-ours: the gateway has it and nobody here knows it"]


def test_a_rejected_payout_is_rightly_not_at_the_gateway(gateway):
    payout = make_approved("50.00")
    gateway.fault("payout", "refused")
    send(payout)
    start = timezone.now() - timedelta(days=1)

    assert services.reconcile_payouts(start, timezone.now()) == []
