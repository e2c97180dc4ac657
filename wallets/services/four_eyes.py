"""How much one person may give or take by hand alone, in whatever way it is done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from credits_project.money import ZERO

# Given an actor and a moment: the credits that they gave or took alone since then.
Source = Callable[[Any, datetime], Decimal]

_DAY: Final = timedelta(days=1)
# Names the lock of what a person gives, beside the person's number.
_LOCK: Final = 0x61646A75
_sources: list[Source] = []


def register(source: Source) -> None:
    """Have a way of giving counted with the others; again is harmless."""
    if source not in _sources:
        _sources.append(source)


def needs_second(amount: Decimal, *, actor: Any) -> bool:
    """Return whether to move `amount` more credits takes a second person.

    It does where it and what the actor gave or took alone within 24 hours, in all ways
    together, are above ADJUSTMENT_FOUR_EYES_ABOVE. The actor's further questions wait
    until the transaction ends.
    """
    limit = settings.ADJUSTMENT_FOUR_EYES_ABOVE
    if not limit:
        return False
    _wait_for_earlier_requests(actor)
    return bool(abs(amount) + _given_alone(actor) > limit)


def _wait_for_earlier_requests(actor: Any) -> None:
    # One after the other: two at once would each be below the limit.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, actor.pk])


def _given_alone(actor: Any) -> Decimal:
    # Many small ones are a large one.
    since = timezone.now() - _DAY
    return sum((source(actor, since) for source in _sources), ZERO)
