"""The verbs of the catalogue and of enrolling."""

from __future__ import annotations

from courses.services.catalog import (
    archive_course,
    create_course,
    set_commission_rate,
    update_course,
)
from courses.services.enrolling import Quote, enroll_with_credits, quote
from courses.services.refunding import refund_enrollment

__all__ = [
    "Quote",
    "archive_course",
    "create_course",
    "enroll_with_credits",
    "quote",
    "refund_enrollment",
    "set_commission_rate",
    "update_course",
]
