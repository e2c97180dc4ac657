"""Lists of people that staff do one thing for, and what came of each line."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from courses.models.catalog import Course
from courses.models.enrollments import Enrollment
from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, ZERO, CreditField


class BulkRun(models.Model):
    """A list that staff gave in: who is enrolled at whose cost, or gets what bonus.

    The same list again is the same run: it goes on where it ended, and does nothing
    twice.
    """

    class Kind(models.TextChoices):
        ENROLL = "enroll"
        BONUS = "bonus"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    # Staff's name for it; a list that is to be done again needs another.
    name = models.CharField(max_length=100)
    # SHA-256, in hex, of everything that was asked for.
    digest = models.CharField(max_length=64)
    # All lines or none, in one transaction; else each line by itself.
    all_or_nothing = models.BooleanField()
    # Of enrollments alone.
    course = models.ForeignKey(
        Course, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Whose wallet pays.
    sponsor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    reason = models.CharField(max_length=500, blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    created_at = models.DateTimeField()
    # Whether it gives so much that a second person has to agree, and who did.
    needs_second = models.BooleanField(default=False)
    agreed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    # When no line was left to be done.
    finished_at = models.DateTimeField(null=True, blank=True)

    # Set by services: whether an earlier request had given the list in.
    is_replay: bool = False

    class Meta:
        db_table = "bulk_runs"
        verbose_name = "list"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="courses_bulkrun_unique_name", fields=["name"]
            ),
            models.CheckConstraint(
                name="courses_bulkrun_four_eyes",
                condition=Q(agreed_by__isnull=True)
                | Q(needs_second=True) & ~Q(agreed_by=F("created_by")),
            ),
            models.CheckConstraint(
                name="courses_bulkrun_kind_known",
                condition=Q(kind="enroll", course__isnull=False, sponsor__isnull=False)
                | Q(kind="bonus", course__isnull=True, sponsor__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BulkRow(models.Model):
    """One line of a list. `done` and `refused` are final within the run."""

    class Status(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(
        BulkRun,
        on_delete=models.PROTECT,
        related_name="rows",
        # The unique constraint below begins with it.
        db_index=False,
    )
    # The line of the file, the heading being line 1.
    line = models.PositiveIntegerField()
    # As it stands in the file: an e-mail address, a username or an id.
    person = models.CharField(max_length=254)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    # The bonus in credits; 0 for an enrollment, which costs what the course does.
    amount = CreditField(default=ZERO)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    # Why it was refused.
    detail = models.CharField(max_length=500, blank=True, default="")
    enrollment = models.OneToOneField(
        Enrollment, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "bulk_rows"
        verbose_name = "line"
        # Seen as a part of its list and in no other place.
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="courses_bulkrow_unique_line", fields=["run", "line"]
            ),
            models.UniqueConstraint(
                # Nobody stands twice in a list and gets a thing twice.
                name="courses_bulkrow_unique_user",
                fields=["run", "user"],
                condition=Q(user__isnull=False),
            ),
            models.CheckConstraint(
                name="courses_bulkrow_amount_in_range",
                condition=Q(amount__gte=0, amount__lt=MAX_CREDITS),
            ),
            models.CheckConstraint(
                # What is done has made something, and nothing else has.
                name="courses_bulkrow_done_iff_made",
                condition=Q(
                    status="done",
                    enrollment__isnull=False,
                    transfer__isnull=True,
                    decided_at__isnull=False,
                )
                | Q(
                    status="done",
                    enrollment__isnull=True,
                    transfer__isnull=False,
                    decided_at__isnull=False,
                )
                | Q(
                    status="refused",
                    enrollment__isnull=True,
                    transfer__isnull=True,
                    decided_at__isnull=False,
                )
                | Q(
                    status="pending",
                    enrollment__isnull=True,
                    transfer__isnull=True,
                    decided_at__isnull=True,
                ),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="bulk_rows_pending",
                fields=["run", "line"],
                condition=Q(status="pending"),
            ),
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.person}"
