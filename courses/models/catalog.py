"""Courses: what coaches sell."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, CreditField
from credits_project.transitions import move_to


class CourseQuerySet(models.QuerySet["Course"]):
    """Courses, by who may see them."""

    def published(self) -> Self:
        """Return courses that everybody sees.

        Those of a deactivated coach are not among them: nobody would teach them.
        """
        return self.filter(status=Course.Status.PUBLISHED, coach__is_active=True)

    def named(self, text: str) -> Self:
        """Return the course that staff named by its slug or id, if there is one."""
        try:
            return self.filter(pk=uuid.UUID(text))
        except ValueError:
            return self.filter(slug=text)

    def of_coach(self, user: Any) -> Self:
        """Return the coach's own courses, whatever their state."""
        return self.filter(coach=user)


class Course(models.Model):
    """A course that a coach sells for credits, or gives away at a price of 0.00."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        ARCHIVED = "archived"

    # Nothing becomes a draft again: people may be in it, and could not see it any more.
    TRANSITIONS: ClassVar = {
        Status.DRAFT: {Status.PUBLISHED, Status.ARCHIVED},
        Status.PUBLISHED: {Status.ARCHIVED},
        Status.ARCHIVED: {Status.PUBLISHED},
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    coach = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="courses",
        # An index below begins with it.
        db_index=False,
    )
    title = models.CharField(max_length=200)
    # Follows from the title, and stays when the title changes.
    slug = models.SlugField(max_length=220, db_index=False)
    summary = models.CharField(max_length=500, blank=True, default="")
    description = models.TextField(blank=True, default="")
    # In credits; 0 is free.
    price = CreditField()
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CourseQuerySet.as_manager()

    class Meta:
        db_table = "courses"
        permissions: ClassVar = [
            ("publish_course", "Can offer courses of one's own"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="courses_course_price_in_range",
                condition=Q(price__gte=0, price__lt=MAX_CREDITS),
            ),
            models.CheckConstraint(
                name="courses_course_status_known",
                condition=Q(status__in=["draft", "published", "archived"]),
            ),
            models.UniqueConstraint(name="courses_course_unique_slug", fields=["slug"]),
        ]
        indexes: ClassVar = [
            models.Index(name="courses_by_coach", fields=["coach", "-id"]),
        ]

    def __str__(self) -> str:
        return self.title

    move_to = move_to
