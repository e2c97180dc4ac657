"""The ledger's periodic work."""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone
from procrastinate.contrib.django import app

from credits_project import server_checks
from wallets import proof, seals, services

logger = logging.getLogger(__name__)


@app.periodic(cron="* * * * * */30")
@app.task(queueing_lock="wallets.release_due_holds", pass_context=False)
def release_due_holds(timestamp: int) -> None:
    """Let credits be spent whose holds have come to their end."""
    services.release_due_holds(now=timezone.now())


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="wallets.verify_ledger", pass_context=False)
def verify_ledger(timestamp: int) -> None:
    """Prove the books; every break is an error in the log, which raises the alert.

    So is a server that has become one that loses what it acknowledged: it was looked at
    when this process started, and its settings can be changed while it runs.
    """
    try:
        server_checks.refuse_unsafe_server()
    except server_checks.UnsafeServer as error:
        logger.error("the database server is not safe: %s", error)
    for found in proof.breaks():
        logger.error(
            "the books are wrong: %s %s: %s",
            found.invariant,
            found.subject,
            found.detail,
        )


@app.periodic(cron="47 * * * *")
@app.task(queueing_lock="wallets.seal_ledger", pass_context=False)
def seal_ledger(timestamp: int) -> None:
    """Seal what was posted in the last hour, where this worker has the key.

    All workers that have it write to one LEDGER_SEAL_FILE.
    """
    if not settings.LEDGER_SEAL_KEY:
        logger.warning("the ledger is not sealed: LEDGER_SEAL_KEY is not set")
        return
    try:
        seals.seal_ledger()
    except seals.SealingInProgress:
        logger.info("the ledger is being sealed by another process")
    except seals.SealError as error:
        logger.error("the ledger was not sealed: %s", error)


@app.periodic(cron="27 3 * * *")
@app.task(queueing_lock="wallets.verify_seals", pass_context=False)
def verify_seals(timestamp: int) -> None:
    """Compare all history with its seals; every break is an error in the log."""
    if not settings.LEDGER_SEAL_KEY:
        return
    for found in seals.verify_seals().breaks:
        logger.error(
            "history was changed: %s %s: %s",
            found.invariant,
            found.subject,
            found.detail,
        )
