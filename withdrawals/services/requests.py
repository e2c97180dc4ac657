"""Asking for a withdrawal: what it would pay, and taking the credits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from credits_project import idempotency
from credits_project.exceptions import NotFound, PermissionDenied
from credits_project.ids import new_id
from credits_project.money import ZERO, positive_amount
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.models import CreditTransfer, CreditWallet
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import system_wallet_id
from withdrawals import encryption, notices, policy, selectors
from withdrawals.exceptions import NotWithdrawable, PayoutMethodNotUsable
from withdrawals.models import PayoutMethod, WithdrawalRequest
from withdrawals.services.approval import approve

SCOPE: Final = "withdrawals"
_PERMISSION: Final = "withdrawals.request_withdrawal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a withdrawal would pay, and what the user may withdraw now, in credits."""

    terms: policy.Terms
    limits: policy.Limits
    withdrawable: Decimal


def quote(*, user: Any, credits: Decimal, now: datetime | None = None) -> Quote:
    """Return what withdrawing `credits` now would pay; writes nothing.

    It does not refuse an amount that the user cannot withdraw: the limits tell.

    Raises:
        PermissionDenied: the user may not withdraw.
        InvalidInput, WithdrawalLimit, PayoutRateMissing: see `policy.terms_of`.
    """
    _check_permission(user)
    now = now or timezone.now()
    return Quote(
        terms=policy.terms_of(credits, now=now),
        limits=policy.limits_of(user_id=user.pk, now=now),
        withdrawable=selectors.withdrawable(user_id=user.pk),
    )


@transaction.atomic
def request_withdrawal(
    *,
    user: Any,
    credits: Decimal,
    payout_method_id: uuid.UUID,
    idempotency_key: str | None = None,
) -> WithdrawalRequest:
    """Take `credits` of the user's earnings out of the wallet, to be paid out.

    The owner is told by mail. A small one (WITHDRAWAL_AUTO_APPROVE_BELOW) is approved
    at once.

    Raises:
        PermissionDenied: the user may not withdraw.
        NotFound: the user has no such payout method.
        PayoutMethodNotUsable: it was added too recently.
        InvalidInput, PayoutRateMissing: see `policy.terms_of`.
        WithdrawalLimit: policy does not allow the amount now.
        WalletFrozen, InsufficientCredits: the wallet cannot pay.
        NotWithdrawable: it can, with credits that were not earned.
        IdempotencyKeyReused, RequestInProgress: see `idempotency`.
    """
    _check_permission(user)
    now = timezone.now()
    credits = positive_amount(credits, field="credits")
    digest = idempotency.digest_of(credits=credits, payout_method=str(payout_method_id))
    if idempotency_key is not None:
        idempotency.claim(user_id=user.pk, scope=SCOPE, key=idempotency_key)
        booked = idempotency.earlier(
            WithdrawalRequest.objects.filter(user=user),
            key=idempotency_key,
            digest=digest,
        )
        if booked is not None:
            return booked
    method = _usable_method(user, payout_method_id, now=now)
    terms = policy.terms_of(credits, now=now)
    withdrawal_id = new_id()
    _lock_and_check(user, terms.credits, withdrawal_id=withdrawal_id, now=now)
    transfer = _take(user, terms.credits, withdrawal_id=withdrawal_id)
    withdrawal = _keep(withdrawal_id, user, terms, method, transfer)
    withdrawal.idempotency_key = idempotency_key
    withdrawal.idempotency_digest = digest if idempotency_key is not None else ""
    withdrawal.save(force_insert=True)
    if not withdrawal.approvals_required:
        approve(withdrawal, now=now)
    transaction.on_commit(partial(notices.tell_of_use, withdrawal.pk), robust=True)
    return withdrawal


def _check_permission(user: Any) -> None:
    if not (user.is_active and user.has_perm(_PERMISSION)):
        raise PermissionDenied("Only coaches can withdraw.")


def _usable_method(
    user: Any, payout_method_id: uuid.UUID, *, now: datetime
) -> PayoutMethod:
    # Locked, so that it is not removed before the withdrawal has its copy.
    method = (
        PayoutMethod.objects.current()
        .select_for_update(of=("self",), no_key=True)
        .filter(user=user, pk=payout_method_id)
        .first()
    )
    if method is None:
        raise NotFound("You have no such payout method.")
    if method.usable_from > now:
        raise PayoutMethodNotUsable(usable_from=method.usable_from)
    return method


def _lock_and_check(
    user: Any, credits: Decimal, *, withdrawal_id: uuid.UUID, now: datetime
) -> None:
    """Lock the wallets of the transfer, and refuse what may not be withdrawn.

    Requests of one user queue up here, so what is read after it is exact.
    """
    wallet_id = wallet_id_of(user_id=user.pk)
    policy.lock_system()
    # Both at once and by primary key, as `post` takes them: the coach's alone first
    # could deadlock with another transfer.
    wallets = (
        CreditWallet.objects.select_for_update(of=("self",), no_key=True)
        .order_by("pk")
        .in_bulk([wallet_id, system_wallet_id("withdrawals", cause=withdrawal_id)])
    )
    wallet = wallets[wallet_id]
    if wallet.frozen_at is not None:
        raise WalletFrozen
    policy.check_limits(credits, policy.limits_of(user_id=user.pk, now=now))
    if credits > wallet.available:
        raise InsufficientCredits(available=wallet.available, required=credits)
    earned = max(ZERO, selectors.earned(user_id=user.pk))
    if credits > earned:
        raise NotWithdrawable(
            withdrawable=min(wallet.available, earned), required=credits
        )


def _take(user: Any, credits: Decimal, *, withdrawal_id: uuid.UUID) -> CreditTransfer:
    return post(
        Leg(
            wallet_id=wallet_id_of(user_id=user.pk),
            amount=-credits,
            transaction_type=TransactionType.WITHDRAWAL,
        ),
        Leg(
            wallet_id=system_wallet_id("withdrawals", cause=withdrawal_id),
            amount=credits,
            transaction_type=TransactionType.WITHDRAWAL,
        ),
        key=f"withdrawal:{withdrawal_id}:request",
        description="Withdrawal",
        actor=user,
        metadata={"withdrawal": str(withdrawal_id)},
    )


def _keep(
    withdrawal_id: uuid.UUID,
    user: Any,
    terms: policy.Terms,
    method: PayoutMethod,
    transfer: CreditTransfer,
) -> WithdrawalRequest:
    withdrawal = WithdrawalRequest(
        id=withdrawal_id,
        user=user,
        requested_by=user,
        credits=terms.credits,
        rate=terms.rate,
        gross=terms.gross,
        fee=terms.fee,
        net=terms.net,
        currency=terms.currency,
        payout_method=method,
        kind=method.kind,
        destination_id=method.destination_id,
        destination_name=method.destination_name,
        account_name=method.account_name,
        account_number_last=method.account_number_last,
        approvals_required=policy.approvals_for(terms.credits),
        transfer=transfer,
    )
    withdrawal.account_number_encrypted = encryption.seal(
        encryption.unseal(
            method.account_number_encrypted, context=method.number_context
        ),
        context=withdrawal.number_context,
    )
    return withdrawal
