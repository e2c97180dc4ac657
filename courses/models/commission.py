"""Commissions: what part of a price is the platform's, for whom, from when on."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from courses.models.catalog import Course
from credits_project.ids import new_id


class CommissionRateQuerySet(models.QuerySet["CommissionRate"]):
    """Commissions, by when and for what they hold."""

    def begun(self, at: datetime) -> Self:
        """Return those that had begun at a moment; a later one ends an earlier one."""
        return self.filter(effective_from__lte=at, cancelled_at__isnull=True)

    def about(self, course: Course) -> Self:
        """Return the course's, its coach's and the platform's."""
        return self.filter(
            Q(course=course)
            | Q(coach_id=course.coach_id)
            | Q(course__isnull=True, coach__isnull=True)
        )


class CommissionRate(models.Model):
    """The commission of a course, of a coach or of the platform, from a moment on.

    It holds until the next one for the same begins. Staff change a commission by adding
    a row. Never changed or deleted; one that has not begun yet may be cancelled.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # One of the two, or neither: then it is the platform's.
    course = models.ForeignKey(
        Course,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="commissions",
        # The unique constraints below begin with them.
        db_index=False,
    )
    coach = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    # A fraction, 0.15 for 15 %. None: no rate of its own any more, so that the next
    # less specific one holds.
    rate = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    effective_from = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )

    objects = CommissionRateQuerySet.as_manager()

    class Meta:
        db_table = "commission_rates"
        verbose_name = "commission"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="courses_commissionrate_one_scope",
                condition=Q(course__isnull=True) | Q(coach__isnull=True),
            ),
            models.CheckConstraint(
                name="courses_commissionrate_rate_in_range",
                condition=Q(rate__isnull=True) | Q(rate__gte=0, rate__lte=1),
            ),
            models.CheckConstraint(
                # What was sold was sold on other terms: nobody says later what they
                # should have been.
                name="courses_commissionrate_not_backdated",
                condition=Q(effective_from__gte=F("created_at")),
            ),
            models.CheckConstraint(
                name="courses_commissionrate_cancelled_before_it_begins",
                condition=Q(cancelled_at__isnull=True)
                | Q(
                    cancelled_at__gte=F("created_at"),
                    cancelled_at__lt=F("effective_from"),
                ),
            ),
            # Of one scope no two begin at one moment, so at any moment one holds.
            models.UniqueConstraint(
                name="courses_commissionrate_unique_start_of_course",
                fields=["course", "effective_from"],
                condition=Q(course__isnull=False, cancelled_at__isnull=True),
            ),
            models.UniqueConstraint(
                name="courses_commissionrate_unique_start_of_coach",
                fields=["coach", "effective_from"],
                condition=Q(coach__isnull=False, cancelled_at__isnull=True),
            ),
            models.UniqueConstraint(
                name="courses_commissionrate_unique_start_of_platform",
                fields=["effective_from"],
                condition=Q(
                    course__isnull=True, coach__isnull=True, cancelled_at__isnull=True
                ),
            ),
        ]

    def __str__(self) -> str:
        told = "none of its own" if self.rate is None else str(self.rate)
        return f"{told} from {self.effective_from:%Y-%m-%d %H:%M} UTC"

    @property
    def scope(self) -> str:
        """What it is for: `course`, `coach` or `platform`, the most specific first."""
        if self.course_id is not None:
            return "course"
        return "platform" if self.coach_id is None else "coach"
