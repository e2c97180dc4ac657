"""What staff have to look at, because no machine can settle it."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from credits_project.ids import new_id
from credits_project.transitions import move_to
from payments.models.events import GatewayEvent
from payments.models.purchases import CreditPurchase

# Together they are indexed, and PostgreSQL's pages hold no more in one entry.
TEXT_LENGTH_MAX: Final = 200


class ReviewCaseQuerySet(models.QuerySet["ReviewCase"]):
    """Cases, by their state."""

    def open(self) -> Self:
        """Return cases that staff have yet to decide."""
        return self.filter(status=ReviewCase.Status.OPEN)


class ReviewCase(models.Model):
    """Something about a payment that does not fit: what was expected, and what came.

    The same thing about the same payment is one case for ever, however often it is
    seen, and also after staff decided it.
    """

    class Kind(models.TextChoices):
        SHORT = "short", "paid too little"
        EXCESS = "excess", "paid too much"
        CURRENCY = "currency", "another currency"
        MODE = "mode", "another mode"
        AMOUNT = "amount", "no amount"
        OTHER_PAYMENT = "other-payment", "an answer about another payment"
        WALLET = "wallet", "more than the wallet can hold"
        UNKNOWN_WORD = "unknown-word", "a word that is not known"
        LATE = "late", "paid after it had expired"
        CONTRADICTED = "contradicted", "said to be paid, and later otherwise"
        AFTER_REFUND = "after-refund", "success of a refunded order"
        UNKNOWN_REFERENCE = "unknown-reference", "about nothing of ours"
        UNCONFIRMED = "unconfirmed", "an event that was never confirmed"
        MALFORMED = "malformed", "an event that is not as documented"

    class Status(models.TextChoices):
        OPEN = "open"
        # Settled itself: what did not fit does so now.
        SETTLED = "settled"
        # Something else came of the same payment, which is a case of its own.
        SUPERSEDED = "superseded"
        CREDITED = "credited"
        REFUNDED = "refunded"
        DISMISSED = "dismissed"

    # The same steps stand in `sql/reviews.sql`.
    TRANSITIONS: ClassVar = {
        Status.OPEN: {status for status in Status if status != "open"},
        **{status: set() for status in Status if status != "open"},
    }
    BY_STAFF: ClassVar = (Status.CREDITED, Status.REFUNDED, Status.DISMISSED)
    # What can be done about a case beside asking again and dismissing it.
    CREDITABLE: ClassVar = (Kind.SHORT, Kind.EXCESS)
    REFUNDABLE: ClassVar = (
        Kind.SHORT,
        Kind.EXCESS,
        Kind.CURRENCY,
        Kind.WALLET,
        Kind.LATE,
        Kind.CONTRADICTED,
    )

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    # Our name for the payment, or for the payout, or what an event named instead; an
    # event that names nothing is known by its digest.
    reference = models.CharField(max_length=255)
    purchase = models.ForeignKey(
        CreditPurchase,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="cases",
    )
    event = models.ForeignKey(
        GatewayEvent,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="cases",
    )
    expected = models.CharField(max_length=TEXT_LENGTH_MAX)
    came = models.CharField(max_length=TEXT_LENGTH_MAX)
    # The money that it is about, as far as the gateway told: what was paid, or of an
    # excess what is too much.
    amount: models.DecimalField[Decimal | None, Decimal | None] = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, blank=True
    )
    currency = models.CharField(max_length=10, blank=True, default="")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    opened_at = models.DateTimeField(auto_now_add=True)
    # When, by whom (nobody where it settled itself) and why it was decided.
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    reason = models.CharField(max_length=500, blank=True, default="")
    # The credits that staff's decision gave.
    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    objects = ReviewCaseQuerySet.as_manager()

    class Meta:
        db_table = "review_cases"
        verbose_name = "review case"
        permissions: ClassVar = [("decide_reviewcase", "Can decide review cases")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="payments_reviewcase_once", fields=["reference", "kind", "came"]
            ),
            models.CheckConstraint(
                name="payments_reviewcase_kind_known",
                condition=Q(
                    kind__in=[
                        "short",
                        "excess",
                        "currency",
                        "mode",
                        "amount",
                        "other-payment",
                        "wallet",
                        "unknown-word",
                        "late",
                        "contradicted",
                        "after-refund",
                        "unknown-reference",
                        "unconfirmed",
                        "malformed",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="payments_reviewcase_says_what",
                condition=~Q(reference="") & ~Q(expected="") & ~Q(came=""),
            ),
            models.CheckConstraint(
                name="payments_reviewcase_about_something",
                condition=Q(purchase__isnull=False) | Q(event__isnull=False),
            ),
            # Whoever decides says why; what settles itself has nobody.
            models.CheckConstraint(
                name="payments_reviewcase_decided_by_whom",
                condition=Q(
                    status="open",
                    decided_at__isnull=True,
                    decided_by__isnull=True,
                    reason="",
                )
                | Q(
                    status__in=["settled", "superseded"],
                    decided_at__isnull=False,
                    decided_by__isnull=True,
                )
                | Q(
                    status__in=["credited", "refunded", "dismissed"],
                    decided_at__isnull=False,
                    decided_by__isnull=False,
                )
                & ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="payments_reviewcase_credited_with_transfer",
                condition=Q(status="credited", transfer__isnull=False)
                | ~Q(status="credited") & Q(transfer__isnull=True),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="review_cases_open", fields=["id"], condition=Q(status="open")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.reference}"

    move_to = move_to
