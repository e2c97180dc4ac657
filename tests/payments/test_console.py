"""Money in, in the staff console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from payments import services
from payments.models import (
    CreditPackage,
    CreditPurchase,
    GatewayDifference,
    PurchaseRefund,
    RefusedDelivery,
    ReviewCase,
)
from tests.factories import balance_of, make_staff, make_user
from tests.payments.buying import (
    buy,
    encode,
    event_about,
    make_package,
    now_of,
    purchase_of,
    start,
)

pytestmark = pytest.mark.django_db

PURCHASES = "/admin/payments/creditpurchase/"
REFUNDS = "/admin/payments/purchaserefund/"
EVENTS = "/admin/payments/gatewayevent/"
PACKAGES = "/admin/payments/creditpackage/"
CASES = "/admin/payments/reviewcase/"
DIFFERENCES = "/admin/payments/gatewaydifference/"
REFUSED = "/admin/payments/refuseddelivery/"


def client_of(group: str) -> Client:
    client = Client()
    client.force_login(make_staff(group))
    return client


@pytest.fixture
def support(db) -> Client:
    return client_of("support")


def act(client: Client, url: str, action: str, *rows: Any, **fields: Any) -> Any:
    chosen = [str(row.pk) for row in rows]
    return client.post(
        url, {"action": action, "_selected_action": chosen, **fields}, follow=True
    )


def confirm(client: Client, url: str, action: str, *rows: Any, **fields: Any) -> Any:
    return act(client, url, action, *rows, confirmed="yes", **fields)


@pytest.mark.parametrize("url", [PURCHASES, REFUNDS, EVENTS, PACKAGES])
@pytest.mark.parametrize("group", ["support", "finance", "auditors"])
def test_staff_see_the_lists_and_pages(simulator, group, url):
    purchase = buy(simulator)
    services.receive_event(
        body=encode(event_about(purchase)), headers={}, signed_by="webhook"
    )
    services.refund_purchase(
        purchase_id=purchase.pk, actor=make_staff("support"), reason="a mistake"
    )
    client = client_of(group)

    answer = client.get(url)

    assert answer.status_code == 200
    row = answer.context["cl"].queryset.get()
    page = client.get(f"{url}{row.pk}/change/")
    assert page.status_code == 200
    assert "<script>" not in page.content.decode()
    assert "style=" not in page.content.decode()


@pytest.mark.parametrize("url", [PURCHASES, REFUNDS, EVENTS])
def test_nothing_is_added_changed_or_deleted_by_hand(simulator, url):
    purchase = buy(simulator)
    client = client_of("finance")

    assert client.get(f"{url}add/").status_code == 403
    assert client.post(f"{url}{purchase.pk}/delete/").status_code in {302, 403}
    assert CreditPurchase.objects.filter(pk=purchase.pk).exists()


def test_finance_prices_packages_and_support_does_not():
    package = make_package()
    terms = {
        "name": "Starter",
        "credits": "100",
        "bonus_credits": "0",
        "price": "2000",
        "currency": "MWK",
        "position": "0",
    }
    url = f"{PACKAGES}{package.pk}/change/"

    assert client_of("support").post(url, terms).status_code == 403
    client_of("finance").post(url, terms)

    assert CreditPackage.objects.get().price == 2000


def test_a_price_in_kwacha_with_decimals_is_refused_with_a_reason():
    terms = {
        "name": "Odd",
        "credits": "100",
        "bonus_credits": "0",
        "price": "999.50",
        "currency": "MWK",
        "position": "0",
    }

    answer = client_of("finance").post(f"{PACKAGES}add/", terms)

    assert "A price in kwacha has no decimals." in answer.content.decode()
    assert not CreditPackage.objects.exists()


@pytest.mark.parametrize("search", ["tx_ref", "email", "pk"])
def test_a_purchase_is_found(simulator, support, search):
    buyer = make_user("buyer")
    purchase = start(buyer)
    start(make_user("other"))
    words = {
        "tx_ref": purchase.tx_ref,
        "email": buyer.email,
        "pk": str(purchase.pk),
    }

    answer = support.get(PURCHASES, {"q": words[search]})

    assert answer.context["cl"].queryset.get() == purchase


def test_purchases_in_review_are_listed_apart(simulator, support):
    start()
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": 2000})
    services.settle_purchase(tx_ref=purchase.tx_ref)

    answer = support.get(PURCHASES, {"review": "open"})

    assert answer.context["cl"].queryset.get() == purchase


def test_asking_the_gateway_again_credits_what_was_paid(simulator, support):
    buyer = make_user("buyer")
    purchase = start(buyer)
    simulator.control.complete(purchase.tx_ref)

    answer = act(support, PURCHASES, "recheck", purchase)

    assert f"{purchase.tx_ref}: paid." in answer.content.decode()
    assert balance_of(buyer) == 110


def test_a_refund_asks_for_a_reason_and_then_takes_the_credits(simulator, support):
    buyer = make_user("buyer")
    purchase = buy(simulator, buyer)

    page = act(support, PURCHASES, "refund", purchase).content.decode()
    assert "100.00 of 100.00 credits left to refund" in page
    assert balance_of(buyer) == 110
    fields = {"reason": "a mistake", "credits": "40", "number": "1"}
    for _ in range(2):
        answer = confirm(support, PURCHASES, "refund", purchase, **fields)

    assert "This refund has been made already." in answer.content.decode()
    assert balance_of(buyer) == 66
    assert PurchaseRefund.objects.get().reason == "a mistake"


@pytest.mark.parametrize("fields", [{"credits": "0"}, {"credits": "1e3x"}])
def test_a_refund_of_no_amount_shows_the_page_again(simulator, support, fields):
    purchase = buy(simulator)

    answer = confirm(
        support, PURCHASES, "refund", purchase, reason="a mistake", **fields
    )

    assert "errorlist" in answer.content.decode()
    assert not PurchaseRefund.objects.exists()


def test_one_purchase_is_refunded_at_a_time(simulator, support):
    answer = act(support, PURCHASES, "refund", buy(simulator), buy(simulator))

    assert "Choose one purchase." in answer.content.decode()


def test_auditors_change_nothing(simulator):
    purchase = buy(simulator)
    auditors = client_of("auditors")

    for action in ("recheck", "refund"):
        confirm(auditors, PURCHASES, action, purchase, reason="x")
    case = short_case(simulator)
    for action in ("recheck", "credit", "refund", "dismiss"):
        confirm(auditors, CASES, action, case, reason="x")

    assert now_of(purchase).status == "paid"
    assert now_of(purchase).checks == purchase.checks
    assert purchase_of(case).checks == 1
    assert ReviewCase.objects.get().status == "open"


def short_case(simulator: Any, amount: int = 500) -> ReviewCase:
    """A case about half of what was ordered."""
    purchase = start(make_user("buyer"))
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set={"amount": amount})
    services.settle_purchase(tx_ref=purchase.tx_ref)
    return purchase.cases.get()


@pytest.mark.parametrize(
    ("action", "status"),
    [("credit", "paid"), ("refund", "refunded"), ("dismiss", "expired")],
)
def test_a_case_is_decided_with_a_reason_once_however_often_it_is_pressed(
    simulator, support, action, status
):
    case = short_case(simulator)
    page = act(support, CASES, action, case).content.decode()
    assert "Expected: Paid 1000.00 MWK. Came: Paid 500 MWK." in page
    assert purchase_of(case).status == "review"

    confirm(support, CASES, action, case, reason="spoke with the payer")
    again = confirm(support, CASES, action, case, reason="once more")
    from_all = confirm(support, f"{CASES}?state=all", action, case, reason="and again")

    case.refresh_from_db()
    assert case.reason == "spoke with the payer"
    assert purchase_of(case).status == status
    assert "These are decided already." in again.content.decode()
    assert f"It is {case.status} already." in from_all.content.decode()
    assert PurchaseRefund.objects.count() == (1 if action == "refund" else 0)


def test_the_list_of_cases_shows_open_ones_unless_asked_for_others(simulator, support):
    case, decided = short_case(simulator), short_case(simulator)
    finance = make_staff("finance")
    services.dismiss_case(case_id=decided.pk, actor=finance, reason="nothing")

    waiting = support.get(CASES).context["cl"].queryset
    dismissed = support.get(CASES, {"state": "dismissed"}).context["cl"].queryset

    assert (waiting.get(), dismissed.get()) == (case, decided)
    assert support.get(CASES, {"state": "all"}).context["cl"].queryset.count() == 2


def test_asking_again_about_a_case_settles_it_where_all_is_well(simulator, support):
    case = short_case(simulator)
    simulator.control.clear_faults()

    answer = act(support, CASES, "recheck", case)

    assert "asked, settled." in answer.content.decode()
    assert purchase_of(case).status == "paid"


def test_a_difference_is_asked_about_again_and_dismissed_by_finance(simulator, support):
    purchase = start()
    simulator.control.complete(purchase.tx_ref)
    services.reconcile(
        start=purchase.created_at, end=purchase.created_at + timedelta(hours=1)
    )
    difference = GatewayDifference.objects.get()
    finance = client_of("finance")

    told = act(support, DIFFERENCES, "recheck", difference).content.decode()
    confirm(support, DIFFERENCES, "dismiss", difference, reason="may not")
    difference.refresh_from_db()
    assert "paid; the next comparison looks again." in told
    assert (difference.status, now_of(purchase).status) == ("open", "paid")

    act(finance, DIFFERENCES, "dismiss", difference)
    for _ in range(2):
        answer = confirm(finance, DIFFERENCES, "dismiss", difference, reason="known")

    difference.refresh_from_db()
    assert (difference.status, difference.reason) == ("dismissed", "known")
    assert "It is dismissed already." in answer.content.decode()


def test_forged_deliveries_are_counted_where_staff_see_them(support):
    row = RefusedDelivery.objects.create(
        day=timezone.now().date(),
        reason="not-authenticated",
        count=4711,
        last_at=timezone.now(),
    )

    assert support.get(REFUSED).context["cl"].queryset.get() == row
    assert "4711" in support.get(REFUSED).content.decode()
    assert "4,711" in support.get("/admin/").content.decode()


def test_the_return_of_the_money_is_noted_by_finance(simulator):
    refund = services.refund_purchase(
        purchase_id=buy(simulator).pk, actor=make_staff("support"), reason="a mistake"
    )
    finance = client_of("finance")

    act(finance, REFUNDS, "note_returned", refund)
    confirm(finance, REFUNDS, "note_returned", refund, reason="Airtel, 7", via="payout")

    refund.refresh_from_db()
    assert (refund.status, refund.returned_via) == ("returned", "payout")
    assert refund.returned_how == "Airtel, 7"


def test_the_body_of_an_event_is_shown_escaped(support):
    event = services.receive_event(
        body=b'{"a": "<script>alert(1)</script>"}', headers={}, signed_by="webhook"
    )
    odd = services.receive_event(
        body=b"\xff<b>odd</b>", headers={}, signed_by="webhook"
    )

    page = support.get(f"{EVENTS}{event.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    page = support.get(f"{EVENTS}{odd.pk}/change/").content.decode()
    assert "&lt;b&gt;odd" in page


def test_a_parked_event_is_processed_again(simulator, support):
    event = services.process_event(
        event_id=services.receive_event(body=b"{}", headers={}, signed_by="webhook").pk
    )

    answer = act(support, EVENTS, "process_again", event)

    assert "parked: not as documented" in answer.content.decode()
    event.refresh_from_db()
    assert event.attempts == 2
