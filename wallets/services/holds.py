"""Holds: credits that stay in the wallet and cannot be spent.

The database keeps the wallet's `held` in step with its open holds; see `sql/holds.sql`.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Now

from credits_project.money import positive_amount
from wallets.exceptions import HoldKeyReused, InsufficientCredits
from wallets.models import CreditHold, CreditWallet


@transaction.atomic
def place_hold(
    *,
    wallet_id: uuid.UUID,
    amount: Decimal,
    key: str,
    reason: str,
    releases_at: datetime | None = None,
) -> CreditHold:
    """Hold `amount` credits of the wallet back. Return the hold.

    Placing the same hold again under the same key changes nothing.

    Raises:
        InsufficientCredits: less is available.
        HoldKeyReused: the key already names a hold of another wallet or amount.
        InvalidInput: the amount is not above zero with at most two decimals.
    """
    amount = positive_amount(amount)
    wallet = CreditWallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
    placed = CreditHold.objects.filter(key=key).first()
    if placed is not None:
        if (placed.wallet_id, placed.amount) != (wallet_id, amount):
            raise HoldKeyReused(key)
        return placed
    if wallet.available < amount:
        raise InsufficientCredits(available=wallet.available, required=amount)
    return CreditHold.objects.create(
        wallet_id=wallet_id,
        amount=amount,
        key=key,
        reason=reason,
        releases_at=releases_at,
    )


@transaction.atomic
def release_hold(*, key: str) -> bool:
    """Release a hold, once. Return whether it was open until now.

    Raises:
        CreditHold.DoesNotExist: no hold has the key.
    """
    wallet_id = CreditHold.objects.values_list("wallet_id", flat=True).get(key=key)
    # The wallet first, like everyone else: the database takes its lock to lower `held`.
    CreditWallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
    return bool(CreditHold.objects.open().filter(key=key).update(released_at=Now()))


def release_due_holds(*, now: datetime, batch: int = 2_500) -> int:
    """Release every hold that is due at `now`. Return how many were released.

    In batches: whoever else needs one of the wallets waits for a part of a second. Many
    may do it at once; each hold is released, and counted, by one of them.
    """
    released = 0
    while (count := _release_batch(now=now, batch=batch)) is not None:
        released += count
    return released


@transaction.atomic
def _release_batch(*, now: datetime, batch: int) -> int | None:
    """Release some. Return how many were released, or None where none is due."""
    due = CreditHold.objects.open().filter(releases_at__lte=now)
    found = list(
        due.order_by("releases_at", "pk").values_list("pk", "wallet_id")[:batch]
    )
    if not found:
        return None
    wallet_ids = {wallet_id for _, wallet_id in found}
    wallets = CreditWallet.objects.select_for_update(no_key=True).order_by("pk")
    list(wallets.filter(pk__in=wallet_ids).values_list("pk"))
    # Looked at again under the locks: another worker may have been quicker.
    return (
        CreditHold.objects.open()
        .filter(pk__in=[pk for pk, _ in found])
        .update(released_at=Now())
    )
