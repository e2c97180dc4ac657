"""Jobs. They only wake: what is to be done stands in the tables."""

from __future__ import annotations

import uuid

from django.utils import timezone
from procrastinate.contrib.django import app

from withdrawals import services
from withdrawals.services.approval import WORK_ON_PAYOUT


@app.task(name=WORK_ON_PAYOUT)
def work_on_payout(payout_id: str) -> None:
    """Send a payout, or look it up."""
    services.work_on_payout(payout_id=uuid.UUID(payout_id), now=timezone.now())


# The sixth field is seconds.
@app.periodic(cron="* * * * * */10")
@app.task(name="withdrawals.sweep", queueing_lock="withdrawals.sweep")
def sweep(timestamp: int) -> None:
    """Find payouts that are due."""
    services.sweep(now=timezone.now())


@app.periodic(cron="7 4 * * *")
@app.task(name="withdrawals.reconcile", queueing_lock="withdrawals.reconcile")
def reconcile(timestamp: int) -> None:
    """Compare the last days' payouts with the gateway's, both ways."""
    services.reconcile_daily(now=timezone.now())
