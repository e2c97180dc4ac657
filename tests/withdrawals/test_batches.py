"""Many withdrawals at once: what it takes is seen first, and each goes by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from credits_project.exceptions import InvalidInput
from tests.factories import make_staff
from tests.withdrawals.people import add_method, fresh, make_earning_coach, request
from tests.withdrawals.test_console import act, address, console
from withdrawals import services
from withdrawals.models import Payout, WithdrawalRequest
from withdrawals.services import batches

pytestmark = pytest.mark.django_db


def make_requests(*amounts: str) -> list[WithdrawalRequest]:
    coach = make_earning_coach("1000.00")
    method = add_method(coach)
    return [request(coach, amount, method) for amount in amounts]


def confirm(client: Any, rows: list[WithdrawalRequest], page: Any) -> Any:
    stamp = page.context["preview"].stamp
    return act(client, "approve_batch", *rows, confirmed="yes", stamp=stamp)


def test_the_preview_tells_the_total_the_fees_and_the_float(gateway, settings):
    settings.WITHDRAWAL_FEE_RATE = Decimal("0.10")
    rows = make_requests("10.00", "20.00", "30.50")
    gateway.post("balance", main="500.00")
    finance = make_staff("finance")

    preview = services.preview_batch(
        withdrawal_ids=[row.pk for row in rows], actor=finance
    )

    assert (preview.credits, preview.gross) == (Decimal("60.50"), Decimal("605.00"))
    assert (preview.fee, preview.net) == (Decimal("61.00"), Decimal("544.00"))
    assert (preview.float, preview.left) == (Decimal("500.00"), Decimal("-44.00"))
    assert not preview.is_covered
    assert {fresh(row).status for row in rows} == {"requested"}


def test_what_waits_for_the_float_already_is_counted(gateway):
    first, second = make_requests("10.00", "20.00")
    finance = make_staff("finance")
    services.approve_withdrawal(withdrawal_id=first.pk, actor=finance)
    gateway.post("balance", main="250.00")

    preview = services.preview_batch(withdrawal_ids=[second.pk], actor=finance)

    assert (preview.waiting, preview.left) == (Decimal("100.00"), Decimal("-50.00"))


def test_staff_see_the_page_and_then_approve_all(gateway):
    rows = make_requests("10.00", "20.00")
    client = console(make_staff("finance"))

    page = act(client, "approve_batch", *rows)
    text = page.content.decode()

    assert "300.00 MWK" in text
    assert "991234567" not in text
    assert {fresh(row).status for row in rows} == {"requested"}

    answer = confirm(client, rows, page)

    assert "2 withdrawal(s) approved" in answer.content.decode()
    assert {fresh(row).status for row in rows} == {"approved"}
    assert Payout.objects.filter(withdrawal__in=rows).count() == 2


def test_one_bad_row_does_not_stop_the_others(gateway, monkeypatch):
    rows = make_requests("10.00", "20.00", "30.00", "40.00")
    finance = make_staff("finance")
    rejected, broken = rows[0], rows[1]
    services.reject_withdrawal(withdrawal_id=rejected.pk, actor=finance, reason="no")
    approve = services.approve_withdrawal

    def approve_with_a_bug(**arguments: Any) -> Any:
        assert arguments["withdrawal_id"] != broken.pk, "a bug"
        return approve(**arguments)

    monkeypatch.setattr(batches, "approve_withdrawal", approve_with_a_bug)

    results = services.approve_batch(
        withdrawal_ids=[row.pk for row in rows], actor=finance
    )

    assert [bool(result.error) for result in results] == [True, True, False, False]
    assert [fresh(row).status for row in rows] == [
        "rejected",
        "requested",
        "approved",
        "approved",
    ]


def test_the_page_says_what_is_left_out_and_why(gateway, settings):
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(15)
    small, large, half = make_requests("10.00", "20.00", "30.00")
    finance = make_staff("finance")
    services.approve_withdrawal(withdrawal_id=half.pk, actor=finance)

    preview = services.preview_batch(
        withdrawal_ids=[small.pk, large.pk, half.pk], actor=finance
    )

    assert [row.obstacle for row in preview.rows] == [
        "",
        "",
        "A second person has to approve this withdrawal.",
    ]
    assert [row.is_last for row in preview.rows] == [True, False, True]
    assert preview.net == Decimal("300.00")


def test_what_changed_since_it_was_seen_is_shown_again(gateway):
    rows = make_requests("10.00", "20.00")
    client = console(make_staff("finance"))
    page = act(client, "approve_batch", *rows)
    services.cancel_withdrawal(withdrawal_id=rows[0].pk, actor=rows[0].user)

    again = confirm(client, rows, page)

    assert "have changed meanwhile" in again.content.decode()
    assert fresh(rows[1]).status == "requested"


def test_what_is_approved_and_waits_is_sent_at_once(gateway):
    (row,) = make_requests("10.00")
    finance = make_staff("finance")
    services.approve_withdrawal(withdrawal_id=row.pk, actor=finance)
    payout = Payout.objects.get(withdrawal=row)
    gateway.post("balance", main="0")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    assert fresh(payout).next_check_at > timezone.now()
    page = console(finance).get(address("withdrawalrequest"))
    assert "The gateway holds too little for this payout." in page.content.decode()
    gateway.post("balance", main="9999")

    services.approve_batch(withdrawal_ids=[row.pk], actor=finance)
    services.sweep(now=timezone.now())

    assert fresh(payout).status == "sent"


def test_without_the_gateway_the_float_is_said_to_be_unknown(gateway, settings):
    rows = make_requests("10.00")
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"

    page = act(console(make_staff("finance")), "approve_batch", *rows)

    assert "not known: it does not answer" in page.content.decode()


def test_nobody_approves_their_own_in_a_batch(gateway):
    (row,) = make_requests("10.00")
    row.user.is_superuser = True
    row.user.save(update_fields=["is_superuser"])

    preview = services.preview_batch(withdrawal_ids=[row.pk], actor=row.user)
    (result,) = services.approve_batch(withdrawal_ids=[row.pk], actor=row.user)

    assert preview.included == []
    assert result.error == "Nobody decides on a withdrawal of their own."
    assert fresh(row).status == "requested"


def test_a_batch_has_an_end(gateway):
    with pytest.raises(InvalidInput):
        services.approve_batch(
            withdrawal_ids=[WithdrawalRequest().pk for _ in range(501)],
            actor=make_staff("finance"),
        )
