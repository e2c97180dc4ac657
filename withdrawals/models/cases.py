"""What the gateway said too late, for staff to settle."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from credits_project.ids import new_id
from withdrawals.models.requests import WithdrawalRequest


class PayoutCaseQuerySet(models.QuerySet["PayoutCase"]):
    """Cases, by their state."""

    def open(self) -> Self:
        """Return cases that nobody has settled."""
        return self.filter(settled_at__isnull=True)


class PayoutCase(models.Model):
    """A contradiction between the gateway and the books about one withdrawal.

    Nothing is booked by itself. It is settled once, with a reason: by staff, or by the
    gateway where it takes back what it said.
    """

    class Kind(models.TextChoices):
        PAID_AFTER_RETURN = "paid_after_return", "paid after the credits were returned"
        FAILED_AFTER_PAID = "failed_after_paid", "failed after it was paid"
        OTHER_AMOUNT = "other_amount", "another amount was paid"

    class Resolution(models.TextChoices):
        # The money is with the coach: the credits are, or stay, gone.
        PAID = "paid", "The coach has the money: the credits are gone"
        # It is not: the credits are, or stay, the coach's.
        GIVEN_BACK = "given_back", "The coach has no money: give the credits back"
        # The coach has both, and the platform bears it.
        WRITTEN_OFF = "written_off", "The coach keeps both: the platform bears it"
        # Nothing is booked.
        NOTED = "noted", "The books are right: nothing is booked"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    withdrawal = models.ForeignKey(
        WithdrawalRequest, on_delete=models.PROTECT, related_name="cases"
    )
    kind = models.CharField(max_length=20, choices=Kind)
    # What the gateway said, in a sentence.
    detail = models.CharField(max_length=500)
    opened_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    # None where the gateway took it back.
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    resolution = models.CharField(
        max_length=12, choices=Resolution, blank=True, default=""
    )
    reason = models.CharField(max_length=500, blank=True, default="")
    # What settling it booked.
    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    objects = PayoutCaseQuerySet.as_manager()

    class Meta:
        db_table = "payout_cases"
        verbose_name = "payout case"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="withdrawals_payoutcase_kind_known",
                condition=Q(
                    kind__in=["paid_after_return", "failed_after_paid", "other_amount"]
                ),
            ),
            models.CheckConstraint(
                name="withdrawals_payoutcase_settled_with_reason",
                condition=Q(
                    settled_at__isnull=True,
                    settled_by__isnull=True,
                    resolution="",
                    transfer__isnull=True,
                )
                | (
                    Q(
                        settled_at__isnull=False,
                        resolution__in=["paid", "given_back", "written_off", "noted"],
                    )
                    & ~Q(reason="")
                ),
            ),
            models.CheckConstraint(
                # What the gateway takes back moves no credits; people answer for those.
                name="withdrawals_payoutcase_booked_by_staff",
                condition=Q(transfer__isnull=True) | Q(settled_by__isnull=False),
            ),
            models.UniqueConstraint(
                name="withdrawals_payoutcase_one_open",
                fields=["withdrawal", "kind"],
                condition=Q(settled_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"case of withdrawal {self.withdrawal_id}: {self.get_kind_display()}"
