"""Limits on how often a client may call. The limits on money stand in the services.

Each limit is a bucket that a call fills by one and time empties at the limit's rate.
What is kept is the moment at which it will be empty: one row, read and written by one
statement, so that all web processes count together and none waits for another caller.
"""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import Error, connection
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:
    # DRF's views load the throttles; the other way round would go in circles.
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

# A refused call changes nothing and returns no row. The millisecond is for steps that
# do not divide the period.
_TAKE: Final = """
INSERT INTO call_limits AS kept (key, idle_at)
VALUES (%(key)s, clock_timestamp() + %(step)s)
ON CONFLICT (key) DO UPDATE
SET idle_at = greatest(kept.idle_at, clock_timestamp()) + %(step)s
WHERE greatest(kept.idle_at, clock_timestamp()) + %(step)s
    <= clock_timestamp() + %(period)s + interval '1 millisecond'
RETURNING true
"""
_WAIT: Final = """
SELECT extract(epoch FROM idle_at + %(step)s - %(period)s - clock_timestamp())
FROM call_limits WHERE key = %(key)s
"""
# Callers who are gone. Rows that are being counted are left for the next time.
_FORGET: Final = """
DELETE FROM call_limits WHERE key IN (
    SELECT key FROM call_limits WHERE idle_at < clock_timestamp() - interval '1 hour'
    LIMIT 1000 FOR UPDATE SKIP LOCKED
)
"""
_FORGOTTEN_EVERY: Final = 1000


class _Throttle(SimpleRateThrottle):
    _seconds: float | None = None

    def get_rate(self) -> str | None:
        """Return the rate of the settings; none switches the limit off."""
        rest_framework: dict[str, Any] = settings.REST_FRAMEWORK
        return rest_framework["DEFAULT_THROTTLE_RATES"][self.scope] or None

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Return whether the call is within the limit; it then counts."""
        if self.rate is None or (key := self.get_cache_key(request, view)) is None:
            return True
        calls, seconds = self.parse_rate(self.rate)
        assert calls, "the settings take no other rates"
        assert seconds, "the settings take no other rates"
        period = timedelta(seconds=seconds)
        try:
            self._seconds = _take(key=key, step=period / calls, period=period)
        except Error as error:
            # Politeness is not worth an outage: who asks for too much will be told so
            # once calls can be counted again.
            logger.warning("a call was not counted: %s", error)
            return True
        return self._seconds is None

    def wait(self) -> float | None:
        """Return the seconds until the next call is within the limit."""
        return self._seconds

    def _key(self, ident: object) -> str:
        return f"{self.scope}:{ident}"[:200]


class AnonThrottle(_Throttle):
    """Limits those who are not signed in, by their address."""

    scope = "anon"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the caller's address; none for those who are signed in."""
        if request.user.is_authenticated:
            return None
        return self._key(self.get_ident(request))


class UserThrottle(_Throttle):
    """Limits each user, from wherever they call."""

    scope = "user"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the user; none for those who are not signed in."""
        return self._key(request.user.pk) if request.user.is_authenticated else None


class MoneyThrottle(_Throttle):
    """Limits each user's POSTs to views that say `moves_money = True`."""

    scope = "money"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the user, for a request that moves money."""
        if request.method != "POST" or not getattr(view, "moves_money", False):
            return None
        return self._key(request.user.pk or self.get_ident(request))


def _take(*, key: str, step: timedelta, period: timedelta) -> float | None:
    """Count a call. Return none if it is within the limit, else the seconds to wait."""
    values: dict[str, Any] = {"key": key, "step": step, "period": period}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        if cursor.fetchone() is not None:
            if random.randrange(_FORGOTTEN_EVERY) == 0:  # noqa: S311 - no secret
                cursor.execute(_FORGET)
            return None
        cursor.execute(_WAIT, values)
        row = cursor.fetchone()
    # Forgotten meanwhile: a moment is enough.
    return max(float(row[0]), 0.0) if row else 0.0
