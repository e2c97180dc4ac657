"""Opening wallets: every user has one, however the user came to be."""

from __future__ import annotations

import uuid

from django.contrib.auth import get_user_model
from django.db import connection

from credits_project.ids import new_id
from wallets.models import CreditWallet

_OPEN = """
INSERT INTO credit_wallets
    (id, user_id, balance, held, sequence, frozen_reason, created_at, updated_at)
SELECT new.id, new.user_id, 0, 0, 0, '', statement_timestamp(), statement_timestamp()
FROM unnest(%s::uuid[], %s::int[]) AS new (id, user_id)
ON CONFLICT (user_id) DO NOTHING
"""
_BATCH = 10_000


def open_wallet(*, user_id: int) -> uuid.UUID:
    """Open the user's wallet with a balance of 0.00, if there is none. Return its id.

    Safe at any time and however often it runs at once: the unique user decides, and
    who comes second finds the first one's wallet.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [[new_id()], [user_id]])
    return CreditWallet.objects.values_list("pk", flat=True).get(user_id=user_id)


def wallet_id_of(*, user_id: int) -> uuid.UUID:
    """Return the id of the user's wallet, opening it on first use.

    Users made by `bulk_create`, raw SQL or another program never met the signal.
    """
    wallet_id = (
        CreditWallet.objects.filter(user_id=user_id)
        .values_list("pk", flat=True)
        .first()
    )
    return wallet_id or open_wallet(user_id=user_id)


def open_missing_wallets() -> int:
    """Open a wallet for every user that has none. Return how many were opened."""
    opened = 0
    users = get_user_model()._default_manager.filter(wallet__isnull=True)
    while user_ids := list(users.order_by("pk").values_list("pk", flat=True)[:_BATCH]):
        with connection.cursor() as cursor:
            cursor.execute(_OPEN, [[new_id() for _ in user_ids], user_ids])
            opened += cursor.rowcount
    return opened
