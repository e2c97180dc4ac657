"""What is sold, and what was ordered."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Floor

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, ZERO, CreditField
from credits_project.transitions import move_to


class Currency(models.TextChoices):
    """The currencies that the gateway collects."""

    MWK = "MWK", "MWK"
    USD = "USD", "USD"


class CreditPackageQuerySet(models.QuerySet["CreditPackage"]):
    """Packages, by what can be done with them."""

    def on_sale(self) -> Self:
        """Return packages that can be bought now."""
        return self.filter(active=True)


class CreditPackage(models.Model):
    """A number of credits that is sold for a price. Staff edit it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    credits = CreditField()
    # Given on top, out of `promotions`.
    bonus_credits = CreditField(default=ZERO)
    # In `currency`.
    price = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, choices=Currency, default=Currency.MWK)
    active = models.BooleanField(default=True)
    # Packages are shown in this order, smallest first.
    position = models.PositiveIntegerField(default=0)

    objects = CreditPackageQuerySet.as_manager()

    class Meta:
        db_table = "credit_packages"
        verbose_name = "package"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="payments_creditpackage_credits_in_range",
                condition=Q(credits__gt=0, credits__lt=MAX_CREDITS),
                violation_error_message=(
                    "The credits must be above zero and below 1000000000000."
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpackage_bonus_in_range",
                condition=Q(bonus_credits__gte=0, bonus_credits__lt=MAX_CREDITS),
                violation_error_message=(
                    "The bonus must not be below zero and must be below 1000000000000."
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpackage_price_in_range",
                condition=Q(price__gt=0, price__lt=MAX_CREDITS),
                violation_error_message=(
                    "The price must be above zero and below 1000000000000."
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpackage_currency_known",
                condition=Q(currency__in=["MWK", "USD"]),
            ),
            models.CheckConstraint(
                # The gateway takes kwacha without decimals, so a price with some could
                # never be asked for, nor be found equal to what was paid.
                name="payments_creditpackage_whole_kwacha",
                condition=Q(currency="USD") | Q(price=Floor("price")),
                violation_error_message="A price in kwacha has no decimals.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CreditPurchaseQuerySet(models.QuerySet["CreditPurchase"]):
    """Purchases, by their state."""

    def open(self) -> Self:
        """Return purchases that the gateway is asked about until it says paid."""
        return self.filter(status__in=[*CreditPurchase.OPEN])

    def unsettled(self) -> Self:
        """Return purchases that would be paid if the gateway said so."""
        return self.filter(transfer__isnull=True).exclude(
            status=CreditPurchase.Status.REFUNDED
        )

    def in_review(self) -> Self:
        """Return purchases that staff have yet to look at, paid ones included."""
        return self.filter(cases__status="open").distinct()


class CreditPurchase(models.Model):
    """One order for a package, at the terms it was sold at."""

    class Status(models.TextChoices):
        CREATED = "created"
        PENDING = "pending"
        PAID = "paid"
        REFUNDED = "refunded"
        EXPIRED = "expired"
        REVIEW = "review"

    # The same steps stand in `sql/transitions.sql`.
    TRANSITIONS: ClassVar = {
        Status.CREATED: {Status.PENDING, Status.PAID, Status.EXPIRED, Status.REVIEW},
        Status.PENDING: {Status.PAID, Status.EXPIRED, Status.REVIEW},
        Status.EXPIRED: {Status.PAID, Status.REVIEW},
        Status.REVIEW: {Status.PAID, Status.EXPIRED, Status.REFUNDED},
        Status.PAID: {Status.REFUNDED},
        Status.REFUNDED: set(),
    }
    OPEN: ClassVar = (Status.CREATED, Status.PENDING)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="purchases"
    )
    package = models.ForeignKey(
        CreditPackage, on_delete=models.PROTECT, related_name="purchases"
    )
    credits = CreditField()
    bonus_credits = CreditField(default=ZERO)
    # What was ordered, in `currency`.
    price = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, choices=Currency)
    # The gateway's mode at the order, `test` or `live`: only a payment in it counts.
    mode = models.CharField(max_length=4)
    # Our name for the payment at the gateway, unique for ever.
    tx_ref = models.CharField(max_length=100, unique=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.CREATED)
    checkout_url = models.CharField(max_length=2000, blank=True, default="")

    # What the gateway said of the payment when it was asked last; the status is its own
    # word, in lower case.
    gateway_status = models.CharField(max_length=50, blank=True, default="")
    gateway_reference = models.CharField(max_length=255, blank=True, default="")
    gateway_channel = models.CharField(max_length=100, blank=True, default="")
    gateway_fee = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, blank=True
    )
    # What was paid, in `currency`; more than the price where the payer gave too much.
    amount_paid = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, blank=True
    )
    # In which mode, as the gateway said when the credits were given.
    paid_mode = models.CharField(max_length=10, blank=True, default="")
    # What was given for how much of the money: what was ordered for the price, unless
    # staff gave less for a payment that fell short, or more for one in excess.
    credited_credits = CreditField(default=ZERO)
    credited_bonus_credits = CreditField(default=ZERO)
    credited_money = models.DecimalField(max_digits=14, decimal_places=2, default=ZERO)

    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    # What refunds took back of the credits and of the bonus, and the money due for it
    # to the payer, in `currency`.
    refunded_credits = CreditField(default=ZERO)
    refunded_bonus_credits = CreditField(default=ZERO)
    refunded_money = models.DecimalField(max_digits=14, decimal_places=2, default=ZERO)

    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - NULL keeps requests without a key out of the unique index
    idempotency_digest = models.CharField(max_length=64, blank=True, default="")

    created_at = models.DateTimeField(auto_now_add=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    refunded_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    # When the poller asks next; none where it has stopped asking.
    next_check_at = models.DateTimeField(null=True, blank=True)
    checks = models.PositiveIntegerField(default=0)
    # Who works on it, and until when nobody else may.
    leased_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)

    objects = CreditPurchaseQuerySet.as_manager()

    class Meta:
        db_table = "credit_purchases"
        verbose_name = "purchase"
        permissions: ClassVar = [
            ("recheck_creditpurchase", "Can ask the gateway about a purchase again"),
            ("refund_creditpurchase", "Can refund purchases"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="payments_creditpurchase_amounts_in_range",
                condition=Q(
                    credits__gt=0,
                    credits__lt=MAX_CREDITS,
                    bonus_credits__gte=0,
                    bonus_credits__lt=MAX_CREDITS,
                    price__gt=0,
                    price__lt=MAX_CREDITS,
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpurchase_status_known",
                condition=Q(
                    status__in=[
                        "created",
                        "pending",
                        "paid",
                        "refunded",
                        "expired",
                        "review",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpurchase_whole_kwacha",
                condition=Q(currency="USD") | Q(price=Floor("price")),
            ),
            # Credits exist exactly where the purchase says so. One under review is
            # refunded without ever having had any.
            models.CheckConstraint(
                name="payments_creditpurchase_paid_with_transfer",
                condition=Q(
                    status__in=["paid", "refunded"],
                    transfer__isnull=False,
                    paid_at__isnull=False,
                    credited_credits__gt=0,
                    credited_bonus_credits__gte=0,
                    credited_bonus_credits__lte=F("bonus_credits"),
                    credited_money__gt=0,
                )
                | Q(
                    status__in=["created", "pending", "expired", "review", "refunded"],
                    transfer__isnull=True,
                    paid_at__isnull=True,
                    credited_credits=0,
                    credited_bonus_credits=0,
                    credited_money=0,
                    refunded_credits=0,
                    refunded_bonus_credits=0,
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpurchase_refund_within_credits",
                condition=Q(
                    refunded_credits__gte=0,
                    refunded_credits__lte=F("credited_credits"),
                    refunded_bonus_credits__gte=0,
                    refunded_bonus_credits__lte=F("credited_bonus_credits"),
                    refunded_money__gte=0,
                    refunded_money__lt=MAX_CREDITS,
                ),
            ),
            # Refunded says that all is, and all being refunded says so.
            models.CheckConstraint(
                name="payments_creditpurchase_refunded_iff_all",
                condition=Q(status="refunded", refunded_at__isnull=False)
                & (
                    Q(transfer__isnull=True)
                    | Q(
                        refunded_credits=F("credited_credits"),
                        refunded_bonus_credits=F("credited_bonus_credits"),
                    )
                )
                | ~Q(status="refunded")
                & Q(refunded_at__isnull=True)
                & (
                    Q(transfer__isnull=True)
                    | Q(refunded_credits__lt=F("credited_credits"))
                ),
            ),
            models.CheckConstraint(
                name="payments_creditpurchase_mode_known",
                condition=Q(mode__in=["test", "live"]),
            ),
            # A payment in test mode never gives credits to an order of a live system.
            models.CheckConstraint(
                name="payments_creditpurchase_paid_in_its_mode",
                condition=Q(transfer__isnull=True) | Q(paid_mode=F("mode")),
            ),
            models.UniqueConstraint(
                name="payments_creditpurchase_unique_idempotency_key",
                fields=["user", "idempotency_key"],
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="credit_purchases_by_user", fields=["user", "-id"]),
            models.Index(
                name="credit_purchases_due",
                fields=["next_check_at"],
                condition=Q(next_check_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"purchase {self.tx_ref}"

    move_to = move_to

    @property
    def total_credits(self) -> Decimal:
        """Credits and bonus together."""
        return self.credits + self.bonus_credits
