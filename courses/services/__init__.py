"""The verbs of the catalogue, of enrolling, and of lists."""

from __future__ import annotations

from courses.services.catalog import archive_course, create_course, update_course
from courses.services.commission import (
    Commission,
    add_commission_rate,
    cancel_commission_rate,
    commission_of,
    set_commission_rate,
)
from courses.services.enrolling import (
    Quote,
    enroll_with_credits,
    find_enrollment,
    quote,
)
from courses.services.refunding import find_refunded, refund_enrollment

__all__ = [
    "Commission",
    "Quote",
    "add_commission_rate",
    "archive_course",
    "cancel_commission_rate",
    "commission_of",
    "create_course",
    "enroll_with_credits",
    "find_enrollment",
    "find_refunded",
    "quote",
    "refund_enrollment",
    "set_commission_rate",
    "update_course",
]
