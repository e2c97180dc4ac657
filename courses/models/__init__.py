"""Courses, commissions, who is enrolled, and lists that staff have worked through."""

from __future__ import annotations

from courses.models.bulk import BulkRow, BulkRun
from courses.models.catalog import Course, CourseQuerySet
from courses.models.commission import CommissionRate
from courses.models.enrollments import (
    Enrollment,
    EnrollmentQuerySet,
    EnrollmentRefund,
)

__all__ = [
    "BulkRow",
    "BulkRun",
    "CommissionRate",
    "Course",
    "CourseQuerySet",
    "Enrollment",
    "EnrollmentQuerySet",
    "EnrollmentRefund",
]
