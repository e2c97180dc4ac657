"""Courses, commissions, enrollments and lists in the staff console."""

from __future__ import annotations

from courses.admin.bulk import BulkRowAdmin, BulkRunAdmin
from courses.admin.catalog import CourseAdmin
from courses.admin.commissions import CommissionRateAdmin
from courses.admin.enrollments import EnrollmentAdmin

__all__ = [
    "BulkRowAdmin",
    "BulkRunAdmin",
    "CommissionRateAdmin",
    "CourseAdmin",
    "EnrollmentAdmin",
]
