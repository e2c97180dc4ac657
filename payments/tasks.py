"""Jobs. They only wake: what there is to do stands in the tables."""

from __future__ import annotations

from typing import Final

from django.utils import timezone
from procrastinate.contrib.django import app

from payments import services
from payments.services.receiving import PROCESS_TASK

# The last of six fields is the second.
_EVERY_TEN_SECONDS: Final = "* * * * * */10"


@app.task(name=PROCESS_TASK)
def process_events() -> None:
    """Process the events that are coming in."""
    services.process_incoming_events()


@app.periodic(cron=_EVERY_TEN_SECONDS)
@app.task(name="payments.sweep", queueing_lock="payments.sweep")
def sweep(timestamp: int) -> None:
    """Process events and ask about purchases that are due."""
    services.sweep(now=timezone.now())
