"""Freezing: the wallet pays nothing and still receives."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from credits_project import audit
from credits_project.exceptions import InvalidInput
from wallets.models import CreditWallet


@transaction.atomic
def freeze_wallet(*, wallet_id: uuid.UUID, actor: Any, reason: str) -> CreditWallet:
    """Stop every payment out of the wallet. Freezing a frozen wallet changes nothing.

    Raises:
        InvalidInput: no reason is given.
    """
    if not reason.strip():
        raise InvalidInput("reason", "Say why the wallet is frozen.", reason="required")
    wallet = CreditWallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
    if wallet.frozen_at is None:
        CreditWallet.objects.filter(pk=wallet_id).update(
            frozen_at=Now(), frozen_reason=reason.strip()
        )
        audit.record(actor=actor, row=wallet, action="freeze", reason=reason)
        wallet.refresh_from_db()
    return wallet


@transaction.atomic
def unfreeze_wallet(*, wallet_id: uuid.UUID, actor: Any, reason: str) -> CreditWallet:
    """Let the wallet pay again. Unfreezing a wallet that is not frozen changes nothing.

    Raises:
        InvalidInput: no reason is given.
    """
    if not reason.strip():
        raise InvalidInput(
            "reason", "Say why the wallet is unfrozen.", reason="required"
        )
    wallet = CreditWallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
    if wallet.frozen_at is not None:
        CreditWallet.objects.filter(pk=wallet_id).update(
            frozen_at=None, frozen_reason=""
        )
        audit.record(actor=actor, row=wallet, action="unfreeze", reason=reason)
        wallet.refresh_from_db()
    return wallet
