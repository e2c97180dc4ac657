"""The inbox: what the gateway sent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from credits_project.ids import new_id


class GatewayEvent(models.Model):
    """The inbox: one signed message of the gateway, kept as it came."""

    class Status(models.TextChoices):
        RECEIVED = "received"
        PROCESSED = "processed"
        PARKED = "parked"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # SHA-256 of the body: the gateway sends no event id, so the same bytes again are
    # the same event.
    digest = models.CharField(max_length=64, unique=True)
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    # Which key signed it: "webhook", "previous" or "api".
    signed_by = models.CharField(max_length=20)
    deliveries = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=10, choices=Status, default=Status.RECEIVED)
    # What the body says it is, and our own name for what it is about; blank where it
    # cannot be read.
    event_type = models.CharField(max_length=255, blank=True, default="")
    reference = models.CharField(max_length=255, blank=True, default="")
    # What came of it, or why it was parked.
    outcome = models.CharField(max_length=500, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    # When it is looked at (again); none where that is for staff to say.
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    last_delivery_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "gateway_events"
        verbose_name = "gateway event"
        permissions: ClassVar = [
            ("process_gatewayevent", "Can process gateway events again"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="payments_gatewayevent_status_known",
                condition=Q(status__in=["received", "processed", "parked"]),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="gateway_events_due",
                fields=["next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"event {self.event_type or 'unreadable'} {self.reference}".strip()
