"""What a coach earned in a period, sale by sale and refund by refund."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, Sum

from courses.models import Enrollment, EnrollmentRefund
from credits_project.money import ZERO
from wallets.models import CreditTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """A sale, or a refund with the opposite signs; amounts are in credits.

    `earnings = price - fee + paid_by_platform`: what a refund took from the platform,
    as the coach no longer had it, was not taken from the coach.
    """

    at: datetime
    kind: str
    enrollment_id: uuid.UUID
    course_id: uuid.UUID
    title: str
    # A fraction, 0.15 for 15 %.
    commission_rate: Decimal
    price: Decimal
    fee: Decimal
    paid_by_platform: Decimal
    earnings: Decimal


@dataclass(slots=True, kw_only=True)
class CourseTotal:
    """What a course brought in a period, in credits."""

    title: str
    sales: int = 0
    refunds: int = 0
    price: Decimal = ZERO
    fee: Decimal = ZERO
    paid_by_platform: Decimal = ZERO
    earnings: Decimal = ZERO

    def add(self, row: Earning) -> None:
        """Count a sale or a refund."""
        self.sales += row.kind == "sale"
        self.refunds += row.kind == "refund"
        self.price += row.price
        self.fee += row.fee
        self.paid_by_platform += row.paid_by_platform
        self.earnings += row.earnings


@dataclass(slots=True, kw_only=True)
class EarningsStatement:
    """What a coach earned from `start` up to and not including `end`.

    `opening` is what they had earned before, in credits, less refunds; the closing of
    one period is the opening of the next. `closing` and `courses` are known once the
    rows were read to their end.
    """

    coach: Any
    start: datetime
    end: datetime
    opening: Decimal
    closing: Decimal
    courses: dict[uuid.UUID, CourseTotal] = field(default_factory=dict)

    def iterate(self) -> Iterator[Earning]:
        """Yield the rows, oldest first, without loading all at once."""
        self.closing, self.courses = self.opening, {}
        within = {
            "transfer__created_at__gte": self.start,
            "transfer__created_at__lt": self.end,
        }
        sales = _sales(coach=self.coach, **within)
        refunds = _refunds(coach=self.coach, **within)
        for row in heapq.merge(sales, refunds, key=lambda row: row.at):
            self.closing += row.earnings
            course = self.courses.setdefault(
                row.course_id, CourseTotal(title=row.title)
            )
            course.add(row)
            yield row

    def total(self) -> CourseTotal:
        """Return what all courses brought together, once the rows were read."""
        total = CourseTotal(title="All courses")
        for course in self.courses.values():
            for name in ("sales", "refunds", "price", "fee", "paid_by_platform"):
                setattr(total, name, getattr(total, name) + getattr(course, name))
            total.earnings += course.earnings
        return total


def earnings_statement(
    *, coach: Any, start: datetime, end: datetime
) -> EarningsStatement:
    """Return what the coach earned for `start` ≤ time < `end`, by the ledger's time."""
    # From the ledger and not from the sales, so that the two have to agree.
    earned: Decimal = CreditTransaction.objects.filter(
        Q(transaction_type="course_payment", amount__gt=0)
        | Q(transaction_type="course_refund", amount__lt=0),
        wallet__user_id=coach.pk,
        created_at__lt=start,
        transfer__key__startswith="enrollment:",
    ).aggregate(earned=Sum("amount", default=ZERO))["earned"]
    return EarningsStatement(
        coach=coach, start=start, end=end, opening=earned, closing=earned
    )


def _sales(*, coach: Any, **within: Any) -> Iterator[Earning]:
    rows = Enrollment.objects.filter(course__coach_id=coach.pk, **within)
    rows = rows.select_related("course", "transfer").order_by(
        "transfer__created_at", "pk"
    )
    for row in rows.iterator(chunk_size=2000):
        assert row.transfer is not None, "free places move nothing"
        yield Earning(
            at=row.transfer.created_at,
            kind="sale",
            enrollment_id=row.pk,
            course_id=row.course_id,
            title=row.course.title,
            commission_rate=row.commission_rate,
            price=row.price,
            fee=row.fee,
            paid_by_platform=ZERO,
            earnings=row.earnings,
        )


def _refunds(*, coach: Any, **within: Any) -> Iterator[Earning]:
    rows = EnrollmentRefund.objects.filter(
        enrollment__course__coach_id=coach.pk, **within
    )
    rows = rows.select_related("enrollment__course", "transfer").order_by(
        "transfer__created_at", "pk"
    )
    for row in rows.iterator(chunk_size=2000):
        yield Earning(
            at=row.transfer.created_at,
            kind="refund",
            enrollment_id=row.enrollment_id,
            course_id=row.enrollment.course_id,
            title=row.enrollment.course.title,
            commission_rate=row.enrollment.commission_rate,
            price=-row.amount,
            fee=-row.fee,
            paid_by_platform=row.shortfall,
            earnings=row.shortfall - row.earnings,
        )
