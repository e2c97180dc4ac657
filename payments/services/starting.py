"""Starting a purchase: the row first, then the gateway, then the page to pay on."""

from __future__ import annotations

import logging
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from credits_project import idempotency, leases
from credits_project.exceptions import RequestInProgress
from payments import gateway
from payments.exceptions import PackageNotOnSale
from payments.gateway import CheckoutSession, GatewayRefused, GatewayUnavailable
from payments.models import CreditPackage, CreditPurchase
from payments.services.leasing import lease_time
from payments.services.transactions import assert_none_open

logger = logging.getLogger(__name__)

FIRST_CHECK: Final = timedelta(seconds=30)
RETURN_PATH: Final = "/payments/return"
_Status = CreditPurchase.Status


def start_purchase(
    *, user: Any, package_id: uuid.UUID, idempotency_key: str | None = None
) -> CreditPurchase:
    """Order a package at its present terms and open a page to pay on. Return the order.

    The order is committed before the gateway hears of it, so that no payment can ever
    be without one. With a key the same request again returns the same purchase.

    Raises:
        PackageNotOnSale: there is no such package, or it is not sold now.
        RequestInProgress: a request with this key is at the gateway now.
        IdempotencyKeyReused: the key belongs to another request.
        GatewayUnavailable: no page could be had; nothing is left under the key.
    """
    assert_none_open()
    purchase = _order(user=user, package_id=package_id, key=idempotency_key)
    if purchase.lease_token is None:
        return purchase
    try:
        session = _open_page(purchase, user)
    except GatewayRefused:
        if not idempotency.is_replay(purchase):
            raise
        # Its earlier request had reached the gateway before it died, which takes no
        # name twice. Nobody was ever shown that page: the order starts anew.
        purchase = _order(user=user, package_id=package_id, key=idempotency_key)
        session = _open_page(purchase, user)
    return _with_page(purchase, session)


@transaction.atomic(durable=True)
def _order(*, user: Any, package_id: uuid.UUID, key: str | None) -> CreditPurchase:
    """Return the order: a new one, that of an earlier request, or one to take over.

    One with a `lease_token` is to be brought to the gateway by the caller.
    """
    now = timezone.now()
    digest = idempotency.digest_of(package=package_id)
    if key is not None:
        idempotency.claim(user_id=user.pk, scope="purchases", key=key)
        rows = CreditPurchase.objects.filter(user=user)
        purchase = idempotency.earlier(rows, key=key, digest=digest)
        if purchase is not None:
            return _earlier(purchase, now=now)
    package = CreditPackage.objects.on_sale().filter(pk=package_id).first()
    if package is None:
        raise PackageNotOnSale
    lease = lease_time()
    return CreditPurchase.objects.create(
        user=user,
        package=package,
        credits=package.credits,
        bonus_credits=package.bonus_credits,
        price=package.price,
        currency=package.currency,
        mode=gateway.from_settings().config.mode,
        # Not to be guessed: whoever knows it learns the status of the payment.
        tx_ref=f"credits-{secrets.token_hex(16)}",
        idempotency_key=key,
        idempotency_digest=digest if key is not None else "",
        # Should this process die, the poller asks what became of it.
        next_check_at=now + lease + FIRST_CHECK,
        leased_until=now + lease,
        lease_token=uuid.uuid4(),
    )


def _earlier(purchase: CreditPurchase, *, now: datetime) -> CreditPurchase:
    """Return the purchase of an earlier request, to be taken over if that one died."""
    if purchase.checkout_url or purchase.status != _Status.CREATED:
        # The poller's lease is no business of the caller's.
        purchase.lease_token = None
        return purchase
    token = leases.claim(
        CreditPurchase.objects.filter(status=_Status.CREATED, checkout_url=""),
        pk=purchase.pk,
        now=now,
        lasts=lease_time(),
    )
    if token is None:
        raise RequestInProgress
    purchase.lease_token = token
    return purchase


def _open_page(purchase: CreditPurchase, user: Any) -> CheckoutSession:
    try:
        return gateway.from_settings().start_checkout(
            tx_ref=purchase.tx_ref,
            amount=purchase.price,
            currency=purchase.currency,
            # Both say the same: the browser proves nothing, so the page asks us anew.
            callback_url=f"{settings.SITE_URL}{RETURN_PATH}",
            return_url=f"{settings.SITE_URL}{RETURN_PATH}",
            email=user.email,
            first_name=user.first_name,
            last_name=user.last_name,
            title="Course credits",
            description=f"{purchase.total_credits} credits",
            meta={"purchase": str(purchase.pk)},
        )
    except GatewayUnavailable as error:
        _give_key_back(purchase)
        reason = getattr(error, "reason", "") or str(error)
        logger.warning("no page to pay %s on: %s", purchase.tx_ref, reason)
        raise


@transaction.atomic(durable=True)
def _give_key_back(purchase: CreditPurchase) -> None:
    """Leave nothing under the key. The row stays, as the gateway may know of it."""
    CreditPurchase.objects.filter(
        pk=purchase.pk, lease_token=purchase.lease_token
    ).update(
        idempotency_key=None,
        idempotency_digest="",
        leased_until=None,
        lease_token=None,
        next_check_at=timezone.now() + FIRST_CHECK,
    )


@transaction.atomic(durable=True)
def _with_page(ordered: CreditPurchase, session: CheckoutSession) -> CreditPurchase:
    """Keep the address of the page and return the purchase as it is now."""
    purchase = CreditPurchase.objects.select_for_update(no_key=True).get(pk=ordered.pk)
    if not leases.is_ours(purchase, ordered.lease_token):
        # So slow that another request took over; that one answers.
        if not purchase.checkout_url:
            raise RequestInProgress
        return purchase
    changed = leases.release(purchase)
    purchase.checkout_url = session.checkout_url
    # The payer may have been quicker than the answer: then it is paid by now.
    if purchase.status == _Status.CREATED:
        purchase.move_to(_Status.PENDING)
        purchase.next_check_at = timezone.now() + FIRST_CHECK
    purchase.save(update_fields=[*changed, "checkout_url", "status", "next_check_at"])
    if idempotency.is_replay(ordered):
        purchase.is_replay = True  # type: ignore[attr-defined]
    return purchase
