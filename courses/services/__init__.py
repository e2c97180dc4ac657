"""The verbs of the catalogue, of enrolling, and of lists."""

from __future__ import annotations

from courses.services.bulk import (
    Line,
    ListRefused,
    carry_out_list,
    give_in_list,
)
from courses.services.bulk_rules import agree_to_list
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
    "Line",
    "ListRefused",
    "Quote",
    "add_commission_rate",
    "agree_to_list",
    "archive_course",
    "cancel_commission_rate",
    "carry_out_list",
    "commission_of",
    "create_course",
    "enroll_with_credits",
    "find_enrollment",
    "find_refunded",
    "give_in_list",
    "quote",
    "refund_enrollment",
    "set_commission_rate",
    "update_course",
]
