"""P14: a database that has forgotten what was sent sends nothing until compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.utils import timezone

from credits_project.exceptions import InvalidInput, PermissionDenied
from payments.gateway import from_settings
from tests.factories import make_staff
from tests.postgres import clone_database, drop_database
from tests.withdrawals.people import fresh, make_approved
from tests.withdrawals.refusing import refused_by
from tests.withdrawals.sending import send
from withdrawals import services
from withdrawals.exceptions import NotReconciled
from withdrawals.models import PayoutSwitch


def switch() -> PayoutSwitch:
    return PayoutSwitch.objects.get()


@contextmanager
def connected_to(name: str) -> Iterator[None]:
    """Let this process work on another database, and drop that at the end."""
    settings = connections["default"].settings_dict
    before = settings["NAME"]
    connections.close_all()
    settings["NAME"] = name
    try:
        yield
    finally:
        connections.close_all()
        settings["NAME"] = before
        drop_database(name)


def send_another(gateway: Any) -> None:
    """A first payout, from which the database is known."""
    payout = make_approved("10.00")
    assert send(payout)
    gateway.settle(payout.charge_id)
    services.handle_payout_event(payout.charge_id)


def test_after_a_restore_nothing_is_sent_twice(committed, gateway):
    """T48: a backup from before a payout was sent is put back after it was."""
    send_another(gateway)
    payout = make_approved("50.00")
    connections.close_all()
    backup = clone_database(committed)
    assert send(payout)
    gateway.settle(payout.charge_id)

    with connected_to(backup):
        finance = make_staff("finance")
        assert fresh(payout).status == "ready"

        assert not send(payout)
        assert switch().needs_reconciling
        with pytest.raises(NotReconciled):
            services.unfreeze_payouts(actor=finance, reason="go on")

        assert services.reconcile_all(actor=finance, reason="restored") == [
            f"payout {payout.charge_id}: ready, and the gateway says success"
        ]
        services.unfreeze_payouts(actor=finance, reason="compared")
        services.sweep(now=timezone.now(), everything=True)
        assert fresh(payout.withdrawal).status == "paid"
        # From here on it is the database that payouts are sent from.
        assert send(make_approved("10.00"))

    # The gateway's own book: one each.
    assert gateway.state()["counts"]["payout"] == 3
    assert len(gateway.state()["payouts"]) == 3


def test_even_without_the_freeze_what_the_gateway_knows_is_not_sent(committed, gateway):
    """A disk that was set back to an earlier moment looks like the same database."""
    payout = make_approved("50.00")
    connections.close_all()
    backup = clone_database(committed)
    assert send(payout)

    # Nothing had been sent before, so that the backup does not know which one it is.
    with connected_to(backup):
        assert not send(payout)
        assert fresh(payout).status == "sent"
        assert "before it was sent" in fresh(payout.withdrawal).flag

    assert gateway.state()["counts"]["payout"] == 1


def test_the_same_database_is_not_taken_for_another(committed, gateway):
    send_another(gateway)
    connections.close_all()

    assert send(make_approved("50.00"))
    assert switch().frozen_at is None


@pytest.mark.django_db
def test_no_script_marks_as_sent_on_another_database(gateway):
    payout = make_approved("50.00")
    PayoutSwitch.objects.update(database="1/2/00000001")

    constraint = refused_by(
        "UPDATE payouts SET status = 'sent', sendings = sendings + 1 WHERE id = %s",
        payout.pk,
    )

    assert constraint == "withdrawals_payout_restored"


@pytest.mark.django_db
def test_no_script_unfreezes_before_the_comparison(gateway):
    PayoutSwitch.objects.update(database="1/2/00000001")
    assert not send(make_approved("50.00"))

    for change in ("frozen_at = NULL", "needs_reconciling = false"):
        constraint = refused_by(f"UPDATE payout_switch SET {change}")
        assert constraint == "withdrawals_switch_reconciled"


@pytest.mark.django_db
def test_what_was_compared_before_the_freeze_does_not_count(gateway):
    finance = make_staff("finance")
    services.reconcile_all(actor=finance, reason="early")
    PayoutSwitch.objects.update(database="1/2/00000001")
    assert not send(make_approved("50.00"))

    with pytest.raises(NotReconciled):
        services.unfreeze_payouts(actor=finance, reason="go on")


@pytest.mark.django_db
def test_comparing_is_for_who_may_freeze_with_a_reason_and_noted(gateway):
    finance = make_staff("finance")
    with pytest.raises(PermissionDenied):
        services.reconcile_all(actor=make_staff("support"), reason="curious")
    with pytest.raises(InvalidInput):
        services.reconcile_all(actor=finance, reason=" ")

    assert services.reconcile_all(actor=finance, reason="drill") == []

    entry = LogEntry.objects.get(user=finance)
    assert entry.change_message == "reconcile payouts: drill (differences 0)"


@pytest.mark.django_db
def test_a_payout_of_ours_that_nobody_here_knows_freezes_all(gateway, caplog):
    """P17, and the restore of a disk: the daily comparison goes both ways."""
    payout = make_approved("50.00")
    from_settings().send_mobile_payout(
        charge_id="withdrawal-that-was-forgotten",
        amount=Decimal(100),
        mobile="991234567",
        operator_id=payout.withdrawal.destination_id,
    )

    lines = services.reconcile_daily(now=timezone.now())

    assert len(lines) == 1
    assert "withdrawal-that-was-forgotten" in switch().reason
    assert "nobody here knows it" in caplog.text
    assert not send(payout)
    finance = make_staff("finance")
    services.reconcile_all(actor=finance, reason="it was a drill")
    services.unfreeze_payouts(actor=finance, reason="known")
    # What staff have seen is no news the next day.
    services.reconcile_daily(now=timezone.now())
    assert switch().frozen_at is None


@pytest.mark.django_db
def test_a_strangers_payout_freezes_nothing(gateway):
    """The account at the gateway may serve other programs as well."""
    operator = from_settings().mobile_money_operators()[0]
    from_settings().send_mobile_payout(
        charge_id="not-ours",
        amount=Decimal(100),
        mobile="991234567",
        operator_id=operator.id,
    )

    assert len(services.reconcile_daily(now=timezone.now())) == 1
    assert switch().frozen_at is None


@pytest.mark.django_db
def test_the_apps_role_can_tell_the_database(gateway, roles):
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('role', %s, true)", [roles.app])

    assert send(make_approved("50.00"))
    assert switch().database.count("/") == 2
