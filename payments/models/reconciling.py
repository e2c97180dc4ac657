"""What comparisons with the gateway found, and what was refused at the door."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from credits_project.ids import new_id
from credits_project.transitions import move_to


class ReconciliationRun(models.Model):
    """One comparison of our books with the gateway's, for a period."""

    class Outcome(models.TextChoices):
        # Also of one that was cut short.
        RUNNING = "running"
        SAME = "same"
        DIFFERENT = "different"
        # The gateway did not answer, so nothing is proven.
        NOT_COMPARED = "not-compared", "not compared"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The period: starts_at <= time < ends_at.
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    began_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.RUNNING)
    # How many it found, those that were known before among them.
    differences = models.PositiveIntegerField(default=0)
    detail = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "reconciliation_runs"
        verbose_name = "reconciliation"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="payments_reconciliationrun_period",
                condition=Q(starts_at__lt=F("ends_at")),
            ),
            models.CheckConstraint(
                name="payments_reconciliationrun_outcome",
                condition=Q(outcome="running", ended_at__isnull=True)
                | Q(outcome="same", ended_at__isnull=False, differences=0)
                | Q(outcome="different", ended_at__isnull=False, differences__gt=0)
                | Q(outcome="not-compared", ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"reconciliation {self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"


class GatewayDifference(models.Model):
    """One thing of which our books and the gateway say something else."""

    class Subject(models.TextChoices):
        PURCHASE = "purchase"
        PAYOUT = "payout"

    class Status(models.TextChoices):
        OPEN = "open"
        # A later comparison of the same period did not find it.
        GONE = "gone"
        # Staff say that it is as it should be.
        DISMISSED = "dismissed"

    TRANSITIONS: ClassVar = {
        Status.OPEN: {Status.GONE, Status.DISMISSED},
        Status.GONE: set(),
        Status.DISMISSED: set(),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    subject = models.CharField(max_length=10, choices=Subject)
    # `tx_ref` or `charge_id`.
    reference = models.CharField(max_length=255)
    detail = models.CharField(max_length=300)
    first_run = models.ForeignKey(
        ReconciliationRun, on_delete=models.PROTECT, related_name="+"
    )
    last_run = models.ForeignKey(
        ReconciliationRun, on_delete=models.PROTECT, related_name="found"
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    found_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "gateway_differences"
        verbose_name = "difference with the gateway"
        verbose_name_plural = "differences with the gateway"
        permissions: ClassVar = [
            ("decide_gatewaydifference", "Can decide differences with the gateway"),
        ]
        constraints: ClassVar = [
            # Daily runs overlap. What was dismissed is known as well; what was gone and
            # is there again is news.
            models.UniqueConstraint(
                name="payments_gatewaydifference_once",
                fields=["reference", "subject", "detail"],
                condition=Q(status__in=["open", "dismissed"]),
            ),
            models.CheckConstraint(
                name="payments_gatewaydifference_subject_known",
                condition=Q(subject__in=["purchase", "payout"]),
            ),
            models.CheckConstraint(
                name="payments_gatewaydifference_says_what",
                condition=~Q(reference="") & ~Q(detail=""),
            ),
            models.CheckConstraint(
                name="payments_gatewaydifference_decided_by_whom",
                condition=Q(
                    status="open",
                    decided_at__isnull=True,
                    decided_by__isnull=True,
                    reason="",
                )
                | Q(
                    status="gone",
                    decided_at__isnull=False,
                    decided_by__isnull=True,
                    reason="",
                )
                | Q(
                    status="dismissed",
                    decided_at__isnull=False,
                    decided_by__isnull=False,
                )
                & ~Q(reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.reference}: {self.detail}"

    move_to = move_to


class RefusedDelivery(models.Model):
    """How many deliveries were refused on a day, for one reason. Nothing else is kept.

    Forgers would choose how much we write.
    """

    day = models.DateField()
    # The slug of the refusal.
    reason = models.CharField(max_length=50)
    count = models.PositiveBigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        db_table = "refused_deliveries"
        verbose_name = "refused delivery"
        verbose_name_plural = "refused deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="payments_refuseddelivery_one_a_day", fields=["day", "reason"]
            ),
            models.CheckConstraint(
                name="payments_refuseddelivery_counted", condition=Q(count__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.reason} on {self.day}"
