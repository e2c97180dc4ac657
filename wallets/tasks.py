"""The ledger's periodic work."""

from __future__ import annotations

import logging

from django.utils import timezone
from procrastinate.contrib.django import app

from wallets import proof, services

logger = logging.getLogger(__name__)


@app.periodic(cron="*/30 * * * * *")
@app.task(queueing_lock="wallets.release_due_holds", pass_context=False)
def release_due_holds(timestamp: int) -> None:
    """Let credits be spent whose holds have come to their end."""
    services.release_due_holds(now=timezone.now())


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="wallets.verify_ledger", pass_context=False)
def verify_ledger(timestamp: int) -> None:
    """Prove the books; every break is an error in the log, which raises the alert."""
    for found in proof.breaks():
        logger.error(
            "the books are wrong: %s %s: %s",
            found.invariant,
            found.subject,
            found.detail,
        )
