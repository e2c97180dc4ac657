"""Counting deliveries that were refused. Nothing of theirs is kept.

Whoever forges chooses how often: so they are counted in memory, and the count is added
to the day's row at most once a second by each process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import Any, Final

from django.db import Error, connection
from django.utils import timezone

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN: Final = 1.0
# It is not asked to count that it did not answer.
_DATABASE_GONE: Final = "unavailable"
_ADD: Final = """
INSERT INTO refused_deliveries AS known (day, reason, count, last_at)
SELECT %(now)s::date, reason, count, %(now)s
FROM unnest(%(reasons)s::text[], %(counts)s::bigint[]) AS new (reason, count)
ORDER BY reason
ON CONFLICT (day, reason) DO UPDATE
SET count = known.count + excluded.count,
    last_at = greatest(known.last_at, excluded.last_at)
"""


class _Waiting:
    """What this process has counted and not yet kept."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.kept_at = float("-inf")

    def take(self) -> Counter[str]:
        """Return what is to be kept now: nothing, so soon after the last time."""
        with self.lock:
            now = time.monotonic()
            if not self.counts or now - self.kept_at < _SECONDS_BETWEEN:
                return Counter()
            self.kept_at = now
            taken, self.counts = self.counts, Counter()
            return taken

    def give_back(self, counts: Counter[str]) -> None:
        with self.lock:
            self.counts += counts


_waiting = _Waiting()


def count_refused(reason: str) -> None:
    """Count a delivery that was refused, by the slug of the refusal."""
    with _waiting.lock:
        _waiting.counts[reason] += 1
    if reason != _DATABASE_GONE:
        keep_refused()


def keep_refused() -> None:
    """Add what was counted to the rows of the day, if some time has passed since.

    What was counted in the last second before silence waits for the next delivery, or
    for monitoring, which calls this as well.
    """
    counts = _waiting.take()
    if not counts:
        return
    parameters: dict[str, Any] = {
        "now": timezone.now(),
        "reasons": list(counts),
        "counts": list(counts.values()),
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, parameters)
    except Error as error:
        # The refusal is answered all the same, and counted later.
        _waiting.give_back(counts)
        logger.warning("could not keep what was refused: %s", error)
