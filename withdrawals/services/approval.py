"""The last step of an approval, whoever gives it: the payout is written down."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from functools import partial
from typing import Any

from django.db import Error, transaction
from procrastinate import exceptions
from procrastinate.contrib.django import app

from withdrawals.approvals import seal_of
from withdrawals.models import Payout, WithdrawalRequest

logger = logging.getLogger(__name__)

WORK_ON_PAYOUT = "withdrawals.work_on_payout"
# What our names for payouts at the gateway begin with.
CHARGE_PREFIX = "withdrawal-"


def approve(withdrawal: WithdrawalRequest, *, now: datetime) -> Payout:
    """Move a locked, or new, withdrawal to approved and make its payout ready."""
    withdrawal.move_to(WithdrawalRequest.Status.APPROVED)
    withdrawal.decided_at = now
    withdrawal.approval_seal = seal_of(withdrawal)
    withdrawal.save(
        update_fields=[
            "status",
            "decided_at",
            "decided_by",
            "second_decided_by",
            "decision_note",
            "approval_seal",
        ]
    )
    payout = Payout.objects.create(
        withdrawal=withdrawal,
        charge_id=f"{CHARGE_PREFIX}{withdrawal.pk}",
        amount=withdrawal.net,
        currency=withdrawal.currency,
        next_check_at=now,
    )
    transaction.on_commit(partial(wake, payout.pk))
    return payout


def wake(payout_id: uuid.UUID, **schedule: Any) -> None:
    """Tell a worker of the payout; to be called once it is committed."""
    # By name: the tasks import the services.
    job = app.configure_task(
        WORK_ON_PAYOUT, queueing_lock=f"{WORK_ON_PAYOUT}:{payout_id}", **schedule
    )
    try:
        # The savepoint stands beside its handler: a job that is waiting already is a
        # unique violation, after which an open transaction would refuse all else.
        with transaction.atomic():
            job.defer(payout_id=str(payout_id))
    except exceptions.AlreadyEnqueued:
        return
    except (exceptions.ProcrastinateException, Error) as error:
        # What was asked for is done and committed. The sweep finds the work.
        logger.warning("could not wake a worker for payout %s: %s", payout_id, error)
