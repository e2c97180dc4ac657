"""Courses, commissions, enrollments and lists in the staff console."""

from __future__ import annotations

from courses.admin.bulk import BulkRunAdmin
from courses.admin.catalog import CourseAdmin
from courses.admin.commissions import CommissionRateAdmin
from courses.admin.enrollments import EnrollmentAdmin

__all__ = ["BulkRunAdmin", "CommissionRateAdmin", "CourseAdmin", "EnrollmentAdmin"]
