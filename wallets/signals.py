"""The one signal of the house: a new user gets a wallet."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models.signals import post_save

from wallets import services


def connect() -> None:
    """Listen for new users."""
    post_save.connect(
        open_wallet_of_new_user,
        sender=settings.AUTH_USER_MODEL,
        dispatch_uid="wallets.open_wallet_of_new_user",
    )


def open_wallet_of_new_user(
    *, instance: Any, created: bool, raw: bool, **_: Any
) -> None:
    """Open the wallet, unless a fixture is being loaded."""
    # loaddata (raw) brings its own wallets; opening one here would collide with them.
    if created and not raw:
        services.open_wallet(user_id=instance.pk)
