"""Commissions for tests, set long before anything is sold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from courses import services
from courses.models import CommissionRate
from tests.courses.offers import LONG_AGO


def add(rate: str | None, **options: Any) -> CommissionRate:
    return services.add_commission_rate(
        rate=None if rate is None else Decimal(rate), **{"now": LONG_AGO, **options}
    )
