"""The page on which the payer comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from payments import services
from payments.models import CreditPurchase
from tests.factories import balance_of, make_staff, make_user
from tests.payments.buying import buy, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer():
    return make_user("buyer")


def come_back(tx_ref: str, user=None, method="get", **query: str):
    client = Client()
    if user is not None:
        client.force_login(user)
    return getattr(client, method)("/payments/return", {"tx_ref": tx_ref, **query})


def state_of(answer) -> str:
    return answer.content.decode().partition('data-state="')[2].partition('"')[0]


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_page_asks_the_gateway_and_shows_what_was_credited(
    simulator, buyer, method
):
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    answer = come_back(purchase.tx_ref, buyer, method)

    assert (answer.status_code, state_of(answer)) == (200, "paid")
    assert "110.00 credits" in answer.content.decode()
    assert balance_of(buyer) == 110


def test_w47_what_the_browser_says_counts_nothing(simulator, buyer):
    purchase = start(buyer)

    answer = come_back(purchase.tx_ref, buyer, status="success", amount="1000")

    assert state_of(answer) == "waiting"
    assert balance_of(buyer) == 0


def test_a_waiting_page_looks_again_by_itself_without_scripts(simulator, buyer):
    answer = come_back(start(buyer).tx_ref, buyer)

    page = answer.content.decode()
    assert '<meta http-equiv="refresh"' in page
    assert "<script" not in page


def test_after_a_failed_attempt_the_buyer_may_try_again(simulator, buyer):
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref, "failed")
    simulator.control.fault("verify", "alter", set={"status": "failed"})

    answer = come_back(purchase.tx_ref, buyer)

    assert state_of(answer) == "failed"
    assert purchase.checkout_url in answer.content.decode()


def test_others_learn_the_status_and_nothing_else(simulator, buyer):
    purchase = buy(simulator, buyer)

    for user in (None, make_user("other")):
        page = come_back(purchase.tx_ref, user).content.decode()
        assert "110.00" not in page
        assert "1000.00" not in page
        assert buyer.email not in page


def test_each_end_is_told(simulator, buyer):
    expired, reviewed, refunded = start(buyer), start(buyer), buy(simulator, buyer)
    now = timezone.now() + timedelta(days=8)
    services.settle_purchase(tx_ref=expired.tx_ref, now=now)
    simulator.control.complete(reviewed.tx_ref)
    services.refund_purchase(
        purchase_id=refunded.pk, actor=make_staff("support"), reason="a mistake"
    )
    # Asked about just now, so that the page shows what is known.
    CreditPurchase.objects.filter(pk=expired.pk).update(checked_at=timezone.now())
    simulator.control.fault("verify", "wrong-amount")

    assert state_of(come_back(expired.tx_ref, buyer)) == "expired"
    assert state_of(come_back(reviewed.tx_ref, buyer)) == "review"
    assert state_of(come_back(refunded.tx_ref, buyer)) == "refunded"


@pytest.mark.parametrize("tx_ref", ["", "nobodys", "../..", "é", "a\x00b", "x" * 5000])
def test_an_unknown_payment_is_told_apart(tx_ref):
    answer = come_back(tx_ref)

    assert (answer.status_code, state_of(answer)) == (404, "unknown")


def test_the_page_is_never_cached(simulator, buyer):
    answer = come_back(start(buyer).tx_ref)

    assert "no-store" in answer["Cache-Control"]


def test_another_method_is_refused():
    assert Client().put("/payments/return").status_code == 405
