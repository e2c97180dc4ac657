"""Jobs. They only wake: what there is to do stands in the tables."""

from __future__ import annotations

import logging
from typing import Final

from django.utils import timezone
from procrastinate.contrib.django import app

from payments import services
from payments.gateway import GatewayUnavailable
from payments.services.receiving import PROCESS_TASK

# The last of six fields is the second.
_EVERY_TEN_SECONDS: Final = "* * * * * */10"
# Looks whether the daily comparison is due, which it stays where the gateway is down.
_EVERY_HOUR: Final = "7 * * * *"

logger = logging.getLogger(__name__)


@app.task(name=PROCESS_TASK)
def process_events() -> None:
    """Process the events that are coming in."""
    services.process_incoming_events()


@app.periodic(cron=_EVERY_TEN_SECONDS)
@app.task(name="payments.sweep", queueing_lock="payments.sweep")
def sweep(timestamp: int) -> None:
    """Process events and ask about purchases that are due."""
    services.sweep(now=timezone.now())


@app.periodic(cron=_EVERY_HOUR)
@app.task(name="payments.reconcile", queueing_lock="payments.reconcile")
def reconcile(timestamp: int) -> None:
    """Compare our books with the gateway's, once a day."""
    try:
        run = services.reconcile_if_due(now=timezone.now())
    except GatewayUnavailable as error:
        logger.warning("could not compare with the gateway: %s", error)
        return
    if run is not None and run.differences:
        logger.error("the gateway says something else, %s times", run.differences)
