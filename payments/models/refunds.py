"""What was refunded, and what became of the money."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, ZERO, CreditField
from credits_project.transitions import move_to
from payments.models.purchases import CreditPurchase


class PurchaseRefund(models.Model):
    """One refund of a purchase: credits taken back, and money due to the payer.

    One about a payment that never gave credits, or about an excess, takes none. Only
    the note that the money went back is added later.
    """

    class Status(models.TextChoices):
        DUE = "due"
        RETURNED = "returned"
        # The gateway took the payment back itself, or it is less than a kwacha.
        NOT_DUE = "not-due", "not due"

    class Way(models.TextChoices):
        """How money goes back. The gateway itself refunds direct card charges only."""

        PAYOUT = "payout", "a payout"
        CARD = "card", "the gateway, to the card"
        BY_HAND = "by-hand", "by hand"

    TRANSITIONS: ClassVar = {
        Status.DUE: {Status.RETURNED},
        Status.RETURNED: set(),
        Status.NOT_DUE: set(),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    purchase = models.ForeignKey(
        CreditPurchase, on_delete=models.PROTECT, related_name="refunds"
    )
    # 1, 2, 3 … within the purchase.
    number = models.PositiveIntegerField()
    credits = CreditField()
    # Taken back along with them.
    bonus_credits = CreditField(default=ZERO)
    # What the payer gave for them, in `currency`; whether it is due says the status.
    money = models.DecimalField(max_digits=14, decimal_places=2)
    # The purchase's, unless something else was paid.
    currency = models.CharField(max_length=10)
    status = models.CharField(max_length=10, choices=Status, default=Status.DUE)
    reason = models.CharField(max_length=500)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # When and how the money went back, as staff noted it.
    returned_at = models.DateTimeField(null=True, blank=True)
    returned_via = models.CharField(max_length=10, choices=Way, blank=True, default="")
    returned_how = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "credit_purchase_refunds"
        verbose_name = "purchase refund"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="payments_purchaserefund_unique_number",
                fields=["purchase", "number"],
            ),
            models.CheckConstraint(
                name="payments_purchaserefund_amounts_in_range",
                condition=Q(
                    credits__gte=0,
                    credits__lt=MAX_CREDITS,
                    bonus_credits__gte=0,
                    bonus_credits__lt=MAX_CREDITS,
                    money__gte=0,
                    money__lt=MAX_CREDITS,
                ),
            ),
            # Credits come back by a transfer; without credits it is about money alone.
            models.CheckConstraint(
                name="payments_purchaserefund_credits_with_transfer",
                condition=Q(credits__gt=0, transfer__isnull=False)
                | Q(credits=0, bonus_credits=0, transfer__isnull=True, money__gt=0),
            ),
            models.CheckConstraint(
                name="payments_purchaserefund_returned_says_how",
                condition=Q(
                    status="due", money__gt=0, returned_at__isnull=True, returned_via=""
                )
                | Q(status="not-due", returned_at__isnull=True, returned_via="")
                | Q(
                    status="returned",
                    money__gt=0,
                    returned_at__isnull=False,
                    returned_via__in=["payout", "card", "by-hand"],
                )
                & ~Q(returned_how=""),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="purchase_refunds_due", fields=["id"], condition=Q(status="due")
            ),
        ]

    def __str__(self) -> str:
        return f"refund {self.number} of purchase {self.purchase_id}"

    move_to = move_to
