"""Starting a purchase."""

from __future__ import annotations

from decimal import Decimal

import pytest

from credits_project.exceptions import IdempotencyKeyReused, RequestInProgress
from payments import services
from payments.exceptions import PackageNotOnSale
from payments.gateway import GatewayUnavailable
from payments.models import CreditPurchase
from tests.factories import make_user
from tests.payments.buying import make_package, now_of, start

pytestmark = pytest.mark.django_db


def test_a_purchase_keeps_the_terms_it_was_ordered_at_and_has_a_page(simulator):
    package = make_package()

    purchase = services.start_purchase(user=make_user("buyer"), package_id=package.pk)
    package.price = Decimal("5000.00")
    package.save(update_fields=["price"])

    assert now_of(purchase).price == Decimal("1000.00")
    assert now_of(purchase).status == "pending"
    assert purchase.checkout_url.startswith(f"{simulator.base_url}/checkout/")


def test_the_gateway_is_told_a_whole_sum_of_kwacha_and_where_to_come_back(simulator):
    purchase = start()

    payment = simulator.control.payment(purchase.tx_ref)
    assert payment["amount"] == "1000"
    assert payment["currency"] == "MWK"
    assert payment["callback_url"].endswith("/payments/return")
    assert payment["return_url"].endswith("/payments/return")
    assert payment["email"] == purchase.user.email
    assert payment["meta"] == {"purchase": str(purchase.pk)}


def test_the_first_check_is_thirty_seconds_after_the_page_was_opened(simulator):
    purchase = start()

    assert purchase.next_check_at is not None
    wait = (purchase.next_check_at - purchase.created_at).total_seconds()
    assert 30 <= wait < 40


def test_a_package_that_is_not_on_sale_cannot_be_bought(simulator):
    package = make_package(active=False)

    with pytest.raises(PackageNotOnSale):
        services.start_purchase(user=make_user("buyer"), package_id=package.pk)

    assert not CreditPurchase.objects.exists()


def test_the_same_key_again_is_the_same_purchase(simulator):
    buyer, package = make_user("buyer"), make_package()

    first = services.start_purchase(
        user=buyer, package_id=package.pk, idempotency_key="k"
    )
    second = services.start_purchase(
        user=buyer, package_id=package.pk, idempotency_key="k"
    )

    assert first.pk == second.pk
    assert first.checkout_url == second.checkout_url
    assert simulator.control.state()["counts"]["checkout"] == 1


def test_the_same_key_for_another_package_is_refused(simulator):
    buyer = make_user("buyer")
    services.start_purchase(
        user=buyer, package_id=make_package().pk, idempotency_key="k"
    )

    with pytest.raises(IdempotencyKeyReused):
        services.start_purchase(
            user=buyer, package_id=make_package().pk, idempotency_key="k"
        )


def test_the_same_key_of_another_user_is_another_purchase(simulator):
    package = make_package()
    mine, theirs = (
        services.start_purchase(
            user=make_user("buyer"), package_id=package.pk, idempotency_key="k"
        )
        for _ in range(2)
    )

    assert mine.pk != theirs.pk


def test_without_the_gateway_nothing_is_left_under_the_key_and_the_row_is_kept(
    settings,
):
    settings.PAYCHANGU_BASE_URL = "http://127.0.0.1:9"
    buyer, package = make_user("buyer"), make_package()

    with pytest.raises(GatewayUnavailable):
        services.start_purchase(user=buyer, package_id=package.pk, idempotency_key="k")

    purchase = CreditPurchase.objects.get(user=buyer)
    assert purchase.status == "created"
    assert purchase.idempotency_key is None
    assert purchase.next_check_at is not None
    assert purchase.lease_token is None


def test_after_a_refusal_the_same_key_works_for_a_new_purchase(simulator):
    buyer, package = make_user("buyer"), make_package()
    simulator.control.fault("checkout", "500-before", times=1)
    with pytest.raises(GatewayUnavailable):
        services.start_purchase(user=buyer, package_id=package.pk, idempotency_key="k")

    purchase = services.start_purchase(
        user=buyer, package_id=package.pk, idempotency_key="k"
    )

    assert purchase.status == "pending"
    assert CreditPurchase.objects.filter(user=buyer).count() == 2


def test_what_the_gateway_refuses_is_refused_without_its_reason(simulator):
    simulator.control.fault("checkout", "refused", message="Merchant is suspended")

    with pytest.raises(GatewayUnavailable) as refusal:
        start()

    assert str(refusal.value) == "The payment gateway refused the request."
    assert refusal.value.extra == {}


def test_a_repeat_while_the_first_is_at_the_gateway_is_told_to_wait(simulator):
    purchase = _order_whose_process_died(simulator, is_lease_over=False)

    with pytest.raises(RequestInProgress):
        services.start_purchase(
            user=purchase.user, package_id=purchase.package_id, idempotency_key="k"
        )


def test_a_repeat_after_the_process_died_brings_the_same_row_to_the_gateway(simulator):
    purchase = _order_whose_process_died(simulator, is_lease_over=True)

    again = services.start_purchase(
        user=purchase.user, package_id=purchase.package_id, idempotency_key="k"
    )

    assert again.pk == purchase.pk
    assert again.status == "pending"
    assert again.checkout_url


def test_a_repeat_after_the_gateway_had_taken_the_name_starts_anew(simulator):
    purchase = _order_whose_process_died(simulator, is_lease_over=True)
    services.starting._open_page(purchase, purchase.user)

    again = services.start_purchase(
        user=purchase.user, package_id=purchase.package_id, idempotency_key="k"
    )

    assert again.pk != purchase.pk
    assert again.status == "pending"
    assert now_of(purchase).idempotency_key is None


def _order_whose_process_died(simulator, *, is_lease_over: bool) -> CreditPurchase:
    """An order that is in the table and of which the gateway has not answered."""
    from payments.services import starting

    purchase = starting._order(
        user=make_user("buyer"), package_id=make_package().pk, key="k"
    )
    if is_lease_over:
        CreditPurchase.objects.filter(pk=purchase.pk).update(
            leased_until=purchase.created_at
        )
    return purchase
