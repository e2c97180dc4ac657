"""Migrations on a database that has data: nothing of what was known is lost."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connection

from payments import services
from payments.models import CreditPurchase, PurchaseRefund, ReviewCase
from tests.factories import make_staff, make_user
from tests.payments.buying import buy, cases_of, now_of, start


def test_what_was_on_review_and_refunded_is_so_after_the_migration(
    committed, simulator
):
    support = make_staff("support")
    refunded, odd = buy(simulator, make_user("buyer")), start(make_user("payer"))
    made = services.refund_purchase(
        purchase_id=refunded.pk, actor=support, reason="a mistake"
    )
    services.note_money_returned(refund_id=made.pk, actor=support, how="by hand")
    call_command("migrate", "payments", "0002", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_purchases SET status = 'review', amount_paid = 7,"
            " review_reason = 'Paid 7 of 1000.00 MWK.' WHERE id = %s",
            [odd.pk],
        )

    call_command("migrate", "payments", verbosity=0)

    assert now_of(refunded).credited_credits == refunded.credits
    assert now_of(refunded).paid_mode == "test"
    kept = PurchaseRefund.objects.get()
    assert (kept.status, kept.returned_via, kept.currency) == (
        "returned",
        "by-hand",
        "MWK",
    )
    assert cases_of(odd) == [("short", "Paid 7 of 1000.00 MWK.", "open")]
    case = services.credit_case(
        case_id=ReviewCase.objects.get().pk, actor=support, reason="the payer asked"
    )
    assert (case.status, now_of(odd).status) == ("credited", "paid")
    assert CreditPurchase.objects.count() == 2
