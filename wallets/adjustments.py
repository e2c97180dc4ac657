"""Credits that staff give or take by hand: who asked, who agreed, what was booked."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, CreditField
from credits_project.transitions import move_to


class CreditAdjustment(models.Model):
    """A grant or correction by hand, asked for by one and, if large, agreed by another.

    Written by `wallets.services.adjusting`; the rules stand a second time in
    `wallets/sql/adjustments.sql`.
    """

    class Status(models.TextChoices):
        REQUESTED = "requested"
        BOOKED = "booked"
        REJECTED = "rejected"

    class Kind(models.TextChoices):
        BONUS = "bonus", "bonus, out of the promotions"
        ADJUSTMENT = "adjustment", "correction, up or down"

    TRANSITIONS: ClassVar = {
        Status.REQUESTED: {Status.BOOKED, Status.REJECTED},
        Status.BOOKED: set(),
        Status.REJECTED: set(),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    transaction_type = models.CharField(max_length=12, choices=Kind)
    # Below zero: credits are taken.
    amount = CreditField()
    reason = models.CharField(max_length=500)
    status = models.CharField(max_length=10, choices=Status, default=Status.REQUESTED)
    # As policy was when it was asked for.
    needs_second = models.BooleanField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    # Who agreed to it or turned it down; none where nobody had to agree.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_note = models.CharField(max_length=500, blank=True, default="")
    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        db_table = "credit_adjustments"
        verbose_name = "adjustment"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="wallets_creditadjustment_amount_in_range",
                condition=Q(amount__gt=-MAX_CREDITS, amount__lt=MAX_CREDITS)
                & ~Q(amount=0)
                & (Q(amount__gt=0) | Q(transaction_type="adjustment")),
            ),
            models.CheckConstraint(
                name="wallets_creditadjustment_words_known",
                condition=Q(
                    status__in=["requested", "booked", "rejected"],
                    transaction_type__in=["bonus", "adjustment"],
                )
                & ~Q(reason=""),
            ),
            models.CheckConstraint(
                # Nobody gives credits to themselves, and nobody agrees with themselves.
                name="wallets_creditadjustment_four_eyes",
                condition=~Q(requested_by=F("user"))
                & (Q(decided_by__isnull=True) | ~Q(decided_by=F("user")))
                & (
                    ~Q(status="booked", needs_second=True)
                    | Q(decided_by__isnull=False) & ~Q(decided_by=F("requested_by"))
                ),
            ),
            models.CheckConstraint(
                name="wallets_creditadjustment_transfer_iff_booked",
                condition=Q(status="booked", transfer__isnull=False)
                | (~Q(status="booked") & Q(transfer__isnull=True)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="credit_adjustments_waiting",
                fields=["requested_at"],
                condition=Q(status="requested"),
            ),
            # What one person booked alone lately.
            models.Index(
                name="credit_adjustments_by_person",
                fields=["requested_by", "requested_at"],
            ),
        ]

    def __str__(self) -> str:
        return f"adjustment {self.pk}"

    move_to = move_to
