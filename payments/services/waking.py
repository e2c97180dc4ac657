"""Waking a worker. The tables say what there is to do; a job only saves the wait."""

from __future__ import annotations

import logging
from functools import partial

from django.db import Error, transaction
from procrastinate import exceptions
from procrastinate.contrib.django import app

logger = logging.getLogger(__name__)


def wake_after_commit(task: str, **arguments: str) -> None:
    """Have `task` run once what was written is there for it to see."""
    transaction.on_commit(partial(_wake, task, arguments))


def _wake(task: str, arguments: dict[str, str]) -> None:
    lock = ":".join((task, *arguments.values()))
    try:
        # The savepoint stands beside its handler: a job that is already waiting is a
        # unique violation, after which an open transaction would refuse all else.
        with transaction.atomic():
            app.configure_task(task, queueing_lock=lock, allow_unknown=True).defer(
                **arguments
            )
    except exceptions.AlreadyEnqueued:
        return
    except (exceptions.ProcrastinateException, Error) as error:
        # What was asked for is done and committed. The sweep finds the work.
        logger.warning("could not wake a worker for %s: %s", task, error)
