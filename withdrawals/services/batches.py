"""Approving and sending many withdrawals at once, with what that takes beforehand."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from credits_project.exceptions import DomainError, InvalidInput, InvalidTransition
from credits_project.money import ZERO
from payments.gateway import GatewayUnavailable, from_settings
from withdrawals.models import Payout, WithdrawalRequest
from withdrawals.policy import CURRENCY
from withdrawals.services.approval import wake
from withdrawals.services.decisions import (
    approve_withdrawal,
    check_approver,
    check_decider,
    locked,
)

logger = logging.getLogger(__name__)

ROWS_MAX: Final = 500
_BUG: Final = "It could not be worked on; the mistake was logged."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One withdrawal of a batch, and why it would be left out; blank if it is in."""

    withdrawal: WithdrawalRequest
    obstacle: str
    # Whether this approval makes it ready, or a second person has to give theirs.
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a batch would do. Money is in `currency`."""

    rows: list[Row]
    credits: Decimal
    gross: Decimal
    fee: Decimal
    net: Decimal
    currency: str
    # What the gateway holds, and what waits for it already; none where it is silent.
    float: Decimal | None
    waiting: Decimal

    @property
    def included(self) -> list[Row]:
        """The rows that are in."""
        return [row for row in self.rows if not row.obstacle]

    @property
    def left(self) -> Decimal | None:
        """What the gateway would hold when all is sent; below zero it is too little."""
        return None if self.float is None else self.float - self.waiting - self.net

    @property
    def is_covered(self) -> bool:
        """Whether the gateway holds enough for all."""
        return self.left is not None and self.left >= 0

    @property
    def stamp(self) -> str:
        """What was shown, in short: a batch is carried out as it was seen."""
        return f"{len(self.included)}:{self.net}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one withdrawal of a batch; `error` is blank where it went well."""

    withdrawal_id: uuid.UUID
    error: str
    status: str = ""


def preview_batch(*, withdrawal_ids: Iterable[uuid.UUID], actor: Any) -> Preview:
    """Return what `approve_batch` would do now; changes nothing.

    Not to be called inside a transaction: it asks the gateway for its balance.

    Raises:
        InvalidInput: more than 500 withdrawals.
    """
    rows = list(
        WithdrawalRequest.objects.filter(pk__in=_checked(withdrawal_ids))
        .select_related("user", "payout")
        .order_by("pk")
    )
    judged = [_judged(withdrawal, actor) for withdrawal in rows]
    included = [row.withdrawal for row in judged if not row.obstacle]
    waiting = Payout.objects.filter(status=Payout.Status.READY).exclude(
        withdrawal__in=included
    )
    return Preview(
        rows=judged,
        credits=_sum(row.credits for row in included),
        gross=_sum(row.gross for row in included),
        fee=_sum(row.fee for row in included),
        net=_sum(row.net for row in included),
        currency=CURRENCY,
        float=_float(),
        waiting=waiting.aggregate(total=Sum("amount", default=ZERO))["total"],
    )


def approve_batch(
    *, withdrawal_ids: Iterable[uuid.UUID], actor: Any, note: str = ""
) -> list[Result]:
    """Approve what is requested and send what is approved, each by itself.

    One that is refused does not stop the others.

    Raises:
        InvalidInput: more than 500 withdrawals.
    """
    return [
        _each(withdrawal_id, actor=actor, note=note)
        for withdrawal_id in sorted(_checked(withdrawal_ids))
    ]


def _each(withdrawal_id: uuid.UUID, *, actor: Any, note: str) -> Result:
    error = status = ""
    try:
        withdrawal = _approve_or_send(withdrawal_id, actor=actor, note=note)
        status = withdrawal.status
    except DomainError as refusal:
        error = str(refusal)
    except Exception:
        # One row with a bug must not keep the others waiting; it is reported.
        logger.exception("withdrawal %s of a batch", withdrawal_id)
        error = _BUG
    return Result(withdrawal_id=withdrawal_id, error=error, status=status)


@transaction.atomic
def _approve_or_send(
    withdrawal_id: uuid.UUID, *, actor: Any, note: str
) -> WithdrawalRequest:
    withdrawal = locked(withdrawal_id)
    if withdrawal.status == WithdrawalRequest.Status.REQUESTED:
        return approve_withdrawal(withdrawal_id=withdrawal_id, actor=actor, note=note)
    check_decider(withdrawal, actor)
    hurried = Payout.objects.filter(
        withdrawal=withdrawal, status=Payout.Status.READY
    ).update(next_check_at=timezone.now())
    if not hurried:
        raise InvalidTransition(current=withdrawal.status, wanted="sending")
    payout = Payout.objects.get(withdrawal=withdrawal)
    transaction.on_commit(partial(wake, payout.pk))
    return withdrawal


def _judged(withdrawal: WithdrawalRequest, actor: Any) -> Row:
    obstacle = ""
    try:
        if withdrawal.status == WithdrawalRequest.Status.REQUESTED:
            check_approver(withdrawal, actor)
        else:
            check_decider(withdrawal, actor)
            _check_ready(withdrawal)
    except DomainError as refusal:
        obstacle = str(refusal)
    is_first = withdrawal.decided_by_id is None
    return Row(
        withdrawal=withdrawal,
        obstacle=obstacle,
        is_last=withdrawal.approvals_required < 2 or not is_first,
    )


def _check_ready(withdrawal: WithdrawalRequest) -> None:
    payout = getattr(withdrawal, "payout", None)
    if payout is None or payout.status != Payout.Status.READY:
        raise InvalidTransition(current=withdrawal.status, wanted="sending")


def _float() -> Decimal | None:
    try:
        return from_settings().balance(currency=CURRENCY).main
    except GatewayUnavailable:
        return None


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _checked(withdrawal_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    found = set(withdrawal_ids)
    if len(found) > ROWS_MAX:
        raise InvalidInput(
            "withdrawal_ids", f"No more than {ROWS_MAX} at once.", reason="max_length"
        )
    return found
