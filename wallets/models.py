"""The ledger's tables. Written by `wallets.services` and by nobody else.

The rules that a check constraint cannot say stand in `wallets/sql`, and there shorter
forms of some that one can (`checks.sql`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, ZERO, CreditField
from wallets.adjustments import CreditAdjustment as CreditAdjustment

# System wallets that stand for the world outside and owe what was given out of them.
MAY_BE_NEGATIVE = ("issued", "promotions", "adjustments", "opening")
_NEGATIVE_CODES = rf"^({'|'.join(MAY_BE_NEGATIVE)})(:[0-9]+)?$"


class CreditWalletQuerySet(models.QuerySet["CreditWallet"]):
    """Wallets, by what they are."""

    def of_users(self) -> Self:
        """Return wallets that belong to a person."""
        return self.filter(user__isnull=False)

    def family(self, code: str) -> Self:
        """Return the system wallet `code` with all of its parts, `code:0` and so on."""
        return self.filter(Q(code=code) | Q(code__startswith=f"{code}:"))


class CreditWallet(models.Model):
    """One holder's credits: a user's, or a system wallet's that has a code instead."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="wallet",
    )
    code = models.CharField(max_length=40, null=True, blank=True, unique=True)
    balance = CreditField(default=ZERO)
    # In the balance and not to be spent. The database keeps it equal to the open holds.
    held = CreditField(default=ZERO)
    # Number of the wallet's transactions, and so of its last one.
    sequence = models.BigIntegerField(default=0)
    frozen_at = models.DateTimeField(null=True, blank=True)
    # For staff.
    frozen_reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now_add=True)

    objects = CreditWalletQuerySet.as_manager()

    class Meta:
        db_table = "credit_wallets"
        verbose_name = "wallet"
        permissions: ClassVar = [
            ("transfer_credits", "Can transfer credits between wallets"),
            ("freeze_wallet", "Can freeze and unfreeze wallets"),
            ("adjust_wallet", "Can grant and adjust credits"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="wallets_creditwallet_user_or_code",
                condition=Q(user__isnull=False, code__isnull=True)
                | Q(user__isnull=True, code__isnull=False),
            ),
            models.CheckConstraint(
                name="wallets_creditwallet_balance_in_range",
                condition=Q(balance__gt=-MAX_CREDITS, balance__lt=MAX_CREDITS),
            ),
            models.CheckConstraint(
                name="wallets_creditwallet_balance_not_negative",
                condition=Q(balance__gte=0)
                | Q(code__isnull=False, code__regex=_NEGATIVE_CODES),
            ),
            models.CheckConstraint(
                name="wallets_creditwallet_held_within_balance",
                condition=Q(held=0) | Q(held__gt=0, held__lte=F("balance")),
            ),
            models.CheckConstraint(
                name="wallets_creditwallet_frozen_with_reason",
                condition=Q(frozen_at__isnull=True) | ~Q(frozen_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return self.code or f"wallet of user {self.user_id}"

    @property
    def available(self) -> Decimal:
        """What may be spent, in credits."""
        return self.balance - self.held


class CreditTransfer(models.Model):
    """One movement of credits: two or more transactions that add up to zero.

    Never changed or deleted; undone by a transfer that names it in `reverses`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The cause, by the row that makes it: "purchase:<id>", "withdrawal:<id>:request".
    key = models.CharField(max_length=255)
    description = models.CharField(max_length=500, blank=True, default="")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    reverses = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversals",
        db_index=False,
    )
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    # Set by `services.post`: how to have `legs`, and whether the key had been booked
    # before.
    make_legs: Callable[[], list[CreditTransaction]]
    is_replay: bool = False

    class Meta:
        db_table = "credit_transfers"
        verbose_name = "transfer"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="wallets_credittransfer_unique_key", fields=["key"]
            ),
            # Partial, as are the indexes: most transfers reverse nothing and have no
            # actor, and would only make the index larger.
            models.UniqueConstraint(
                name="wallets_credittransfer_reversed_once",
                fields=["reverses"],
                condition=Q(reverses__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="credit_transfers_by_actor",
                fields=["actor"],
                condition=Q(actor__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"transfer {self.key}"

    @cached_property
    def legs(self) -> list[CreditTransaction]:
        """The transactions of what `services.post` gave, in the order of its legs."""
        return self.make_legs()


class CreditTransaction(models.Model):
    """One wallet's side of a transfer. Never changed or deleted."""

    class Type(models.TextChoices):
        PURCHASE = "purchase"
        PURCHASE_REFUND = "purchase_refund"
        COURSE_PAYMENT = "course_payment"
        COURSE_REFUND = "course_refund"
        PLATFORM_FEE = "platform_fee"
        WITHDRAWAL = "withdrawal"
        WITHDRAWAL_REVERSAL = "withdrawal_reversal"
        PAYOUT = "payout"
        TRANSFER = "transfer"
        BONUS = "bonus"
        ADJUSTMENT = "adjustment"
        OPENING_BALANCE = "opening_balance"

    id = models.BigAutoField(primary_key=True)
    transfer = models.ForeignKey(
        CreditTransfer,
        on_delete=models.PROTECT,
        related_name="transactions",
        # The unique constraint below begins with it.
        db_index=False,
    )
    wallet = models.ForeignKey(
        CreditWallet,
        on_delete=models.PROTECT,
        related_name="transactions",
        db_index=False,
    )
    # 1, 2, 3 … within the wallet, with no gap.
    sequence = models.BigIntegerField()
    transaction_type = models.CharField(max_length=20, choices=Type)
    # Above zero: credits come in. Below zero: credits go out.
    amount = CreditField()
    balance_before = CreditField()
    balance_after = CreditField()
    # Within a wallet never earlier than the transaction before.
    created_at = models.DateTimeField()

    class Meta:
        db_table = "credit_transactions"
        verbose_name = "transaction"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="wallets_credittransaction_type_known",
                condition=Q(
                    transaction_type__in=[
                        "purchase",
                        "purchase_refund",
                        "course_payment",
                        "course_refund",
                        "platform_fee",
                        "withdrawal",
                        "withdrawal_reversal",
                        "payout",
                        "transfer",
                        "bonus",
                        "adjustment",
                        "opening_balance",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="wallets_credittransaction_amount_in_range",
                condition=Q(amount__gt=-MAX_CREDITS, amount__lt=MAX_CREDITS)
                & ~Q(amount=0),
            ),
            models.CheckConstraint(
                # Only the range; "not below zero" is the wallet's rule, as some system
                # wallets are negative by design.
                name="wallets_credittransaction_balance_in_range",
                condition=Q(
                    balance_after__gt=-MAX_CREDITS, balance_after__lt=MAX_CREDITS
                ),
            ),
            models.CheckConstraint(
                name="wallets_credittransaction_balance_adds_up",
                condition=Q(balance_after=F("balance_before") + F("amount")),
            ),
            models.CheckConstraint(
                name="wallets_credittransaction_sequence_starts_at_one",
                condition=Q(sequence__gte=1),
            ),
            # Also the index for a wallet's statement.
            models.UniqueConstraint(
                name="wallets_credittransaction_unique_sequence",
                fields=["wallet", "sequence"],
            ),
            models.UniqueConstraint(
                name="wallets_credittransaction_once_per_transfer",
                fields=["transfer", "wallet"],
            ),
        ]
        indexes: ClassVar = [
            # The balance at a past moment, a statement's first and last row, and the
            # proof that no row is earlier than the one before.
            models.Index(
                name="credit_transactions_by_time",
                fields=["wallet", "created_at", "sequence"],
            ),
        ]

    def __str__(self) -> str:
        return f"transaction {self.sequence} of wallet {self.wallet_id}"


class CreditHoldQuerySet(models.QuerySet["CreditHold"]):
    """Holds, by their state."""

    def open(self) -> Self:
        """Return holds that still keep credits from being spent."""
        return self.filter(released_at__isnull=True)


class CreditHold(models.Model):
    """Credits that are in a wallet and may not be spent until the hold is released."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    wallet = models.ForeignKey(
        CreditWallet, on_delete=models.PROTECT, related_name="holds", db_index=False
    )
    # The cause: "enrollment:<id>".
    key = models.CharField(max_length=255)
    amount = CreditField()
    reason = models.CharField(max_length=200)
    # When a sweep releases it by itself; never, where there is none.
    releases_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CreditHoldQuerySet.as_manager()

    class Meta:
        db_table = "credit_holds"
        verbose_name = "hold"
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="wallets_credithold_unique_key", fields=["key"]
            ),
            models.CheckConstraint(
                name="wallets_credithold_amount_in_range",
                condition=Q(amount__gt=0, amount__lt=MAX_CREDITS),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="credit_holds_by_wallet", fields=["wallet", "created_at"]
            ),
            models.Index(
                name="credit_holds_due",
                fields=["releases_at"],
                condition=Q(released_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"hold {self.key}"


class CreditSeal(models.Model):
    """A keyed digest over what was posted since the seal before. See `wallets.seals`.

    Written by `seal_ledger` alone. Never changed or deleted.
    """

    # 1, 2, 3 … with no gap.
    number = models.PositiveBigIntegerField(primary_key=True)
    # It covers the transactions above the one id up to the other; the first seal
    # everything up to it.
    after_id = models.PositiveBigIntegerField()
    last_id = models.PositiveBigIntegerField()
    # How many rows of each kind it covers, and their digests, all in hex.
    transactions = models.PositiveBigIntegerField()
    transfers = models.PositiveBigIntegerField()
    wallets = models.PositiveBigIntegerField()
    transactions_digest = models.CharField(max_length=64)
    transfers_digest = models.CharField(max_length=64)
    wallets_digest = models.CharField(max_length=64)
    previous_digest = models.CharField(max_length=64)
    # Over all of the above and the time.
    digest = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "credit_seals"
        verbose_name = "seal"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="wallets_creditseal_covers_something",
                condition=Q(last_id__gt=F("after_id"), transactions__gte=1),
            ),
            # Nothing follows one seal twice.
            models.UniqueConstraint(
                name="wallets_creditseal_no_fork", fields=["previous_digest"]
            ),
        ]

    def __str__(self) -> str:
        return f"seal {self.number}"
