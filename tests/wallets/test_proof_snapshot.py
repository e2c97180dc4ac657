"""The proof looks at one moment, changes nothing, and may take its time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import DatabaseError, connection

from tests.factories import make_user, wallet_of
from tests.proof.pausing import Worker
from wallets import proof, services
from wallets.models import CreditTransaction, CreditTransfer

pytestmark = pytest.mark.usefixtures("committed")


def time_out() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        (value,) = cursor.fetchone() or ("",)
    return str(value)


def test_what_is_booked_while_a_proof_runs_is_not_in_it():
    rich, poor = make_user("rich", balance="10.00"), make_user("poor")

    with proof.snapshot():
        before = CreditTransaction.objects.count()
        booked = Worker(
            lambda: services.transfer_credits(
                from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("1.00")
            )
        ).result()
        meanwhile = CreditTransaction.objects.count()

    assert isinstance(booked, CreditTransfer)
    assert meanwhile == before
    assert CreditTransaction.objects.count() == before + 2


def test_a_proof_can_write_nothing():
    user = make_user("user", balance="10.00")

    with (
        pytest.raises(DatabaseError, match="read-only transaction"),
        proof.snapshot(),
    ):
        services.place_hold(
            wallet_id=wallet_of(user).pk, amount=Decimal(1), key="h", reason="a test"
        )

    assert wallet_of(user).held == 0


def test_a_proof_may_take_longer_than_a_request():
    usual = time_out()

    with proof.snapshot():
        lifted = time_out()

    assert usual not in ("", "0")
    assert lifted == "0"
    assert time_out() == usual
