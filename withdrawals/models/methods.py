"""Where earnings are sent, and what a credit pays out."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from credits_project.ids import new_id


class MethodKind(models.TextChoices):
    """How the gateway pays out."""

    MOBILE_MONEY = "mobile_money"
    BANK = "bank"


class PayoutMethodQuerySet(models.QuerySet["PayoutMethod"]):
    """Payout methods, by their state."""

    def current(self) -> Self:
        """Return methods that their owners have not removed."""
        return self.filter(removed_at__isnull=True)


class PayoutMethod(models.Model):
    """Where a user's earnings are sent. Changed by removing it and adding another."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="payout_methods",
    )
    kind = models.CharField(max_length=12, choices=MethodKind)
    # The operator's or bank's id and name at the gateway.
    destination_id = models.CharField(max_length=100)
    destination_name = models.CharField(max_length=200)
    account_name = models.CharField(max_length=200)
    # Encrypted for this row (see `number_context`), and its last three digits to be
    # shown.
    account_number_encrypted = models.BinaryField()
    account_number_last = models.CharField(max_length=3)
    # Keyed digest of destination and number: finds the same account without reading it.
    fingerprint = models.CharField(max_length=64)
    usable_from = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = PayoutMethodQuerySet.as_manager()

    class Meta:
        db_table = "payout_methods"
        verbose_name = "payout method"
        permissions: ClassVar = [
            ("see_account_number", "Can see full payout numbers"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="withdrawals_payoutmethod_kind_known",
                condition=Q(kind__in=["mobile_money", "bank"]),
            ),
            models.UniqueConstraint(
                name="withdrawals_payoutmethod_once_per_user",
                fields=["user", "fingerprint"],
                condition=Q(removed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.destination_name} {self.masked_number}"

    @property
    def number_context(self) -> str:
        """What the sealed number is bound to."""
        return f"method:{self.pk}:{self.kind}:{self.destination_id}"

    @property
    def masked_number(self) -> str:
        """The number as it may be shown."""
        return f"••••{self.account_number_last}"


class PayoutRate(models.Model):
    """How much money one credit pays out. Staff change it by adding a row."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    currency = models.CharField(max_length=3, default="MWK")
    # Money per credit, in `currency`.
    rate = models.DecimalField(max_digits=14, decimal_places=4)
    effective_from = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        db_table = "payout_rates"
        verbose_name = "payout rate"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="withdrawals_payoutrate_rate_in_range",
                condition=Q(rate__gt=0, rate__lt=1_000_000),
            ),
            models.CheckConstraint(
                # The gateway pays out in kwacha only.
                name="withdrawals_payoutrate_currency_known",
                condition=Q(currency="MWK"),
            ),
            models.UniqueConstraint(
                name="withdrawals_payoutrate_unique_start",
                fields=["currency", "effective_from"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rate} {self.currency} per credit from {self.effective_from}"
