"""Waking a worker. The tables say what there is to do; a job only saves the wait."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Final

from django.db import Error, connection, transaction
from procrastinate import exceptions
from procrastinate.contrib.django import app

logger = logging.getLogger(__name__)

# Whoever is woken looks for work at least twice as long, so that a process need not
# wake anybody again so soon: in a rush of events, waking costs more than keeping them.
WINDOW_SECONDS: Final = 0.2
# When this process woke somebody last, by database and task.
_woken: dict[tuple[str, str], float] = {}


def wake_after_commit(task: str) -> None:
    """Have `task` run once what was written is there for it to see."""
    transaction.on_commit(partial(_wake, task))


def _wake(task: str) -> None:
    place = (str(connection.settings_dict["NAME"]), task)
    now = time.monotonic()
    if now - _woken.get(place, -WINDOW_SECONDS) < WINDOW_SECONDS:
        return
    # Before it is done: a queue that does not answer is not asked by every request.
    _woken[place] = now
    try:
        # The savepoint stands beside its handler: a job that is already waiting is a
        # unique violation, after which an open transaction would refuse all else.
        with transaction.atomic():
            app.configure_task(task, queueing_lock=task, allow_unknown=True).defer()
    except exceptions.AlreadyEnqueued:
        return
    except (exceptions.ProcrastinateException, Error) as error:
        # What was asked for is done and committed. The sweep finds the work.
        logger.warning("could not wake a worker for %s: %s", task, error)
