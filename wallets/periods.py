"""Periods of statements: days or moments, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from rest_framework import serializers

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class _MomentField(serializers.DateTimeField):
    """A day (`YYYY-MM-DD`) or a time (RFC 3339)."""

    default_error_messages: ClassVar = {
        "invalid": "A day like 2026-11-30 or a time like 2026-11-30T12:00:00Z.",
    }

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment in UTC."""
        if isinstance(value, str) and _DAY.fullmatch(value):
            try:
                return self.moment_of(date.fromisoformat(value))
            except (ValueError, OverflowError):
                self.fail("invalid", format="")
        return super().to_internal_value(value)

    def moment_of(self, day: date) -> datetime:
        raise AssertionError("a subclass says which end of the day")


class StartField(_MomentField):
    """The beginning of a period; a day begins with its first moment."""

    def moment_of(self, day: date) -> datetime:
        """Return the day's first moment."""
        return datetime(day.year, day.month, day.day, tzinfo=UTC)


class EndField(_MomentField):
    """The end of a period, itself not in it; a day is in the period to its end."""

    def moment_of(self, day: date) -> datetime:
        """Return the next day's first moment."""
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return the first moment of the month, and of the next month."""
    start = moment.astimezone(UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    return start, (start + timedelta(days=32)).replace(day=1)
