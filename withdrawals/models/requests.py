"""What was asked for."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, CreditField
from credits_project.transitions import move_to
from withdrawals.models.methods import MethodKind, PayoutMethod


class WithdrawalRequestQuerySet(models.QuerySet["WithdrawalRequest"]):
    """Withdrawals, by their state."""

    def open(self) -> Self:
        """Return withdrawals whose credits are neither paid out nor given back."""
        return self.filter(status__in=[*WithdrawalRequest.OPEN])


class WithdrawalRequest(models.Model):
    """A coach's request to be paid; its credits have left the wallet."""

    class Status(models.TextChoices):
        REQUESTED = "requested"
        APPROVED = "approved"
        SENDING = "sending"
        PAID = "paid"
        FAILED = "failed"
        REJECTED = "rejected"
        CANCELLED = "cancelled"

    # The same steps stand in `sql/transitions.sql`.
    TRANSITIONS: ClassVar = {
        Status.REQUESTED: {Status.APPROVED, Status.REJECTED, Status.CANCELLED},
        Status.APPROVED: {Status.SENDING, Status.CANCELLED},
        Status.SENDING: {Status.PAID, Status.FAILED},
        Status.PAID: set(),
        Status.FAILED: set(),
        Status.REJECTED: set(),
        Status.CANCELLED: set(),
    }
    OPEN: ClassVar = (Status.REQUESTED, Status.APPROVED, Status.SENDING)
    GIVEN_BACK: ClassVar = (Status.FAILED, Status.REJECTED, Status.CANCELLED)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="withdrawals"
    )
    credits = CreditField()
    # Money per credit, and what follows from it, in `currency`: gross − fee = net. The
    # net is whole kwacha; what rounding left over is part of the fee.
    rate = models.DecimalField(max_digits=14, decimal_places=4)
    gross = models.DecimalField(max_digits=14, decimal_places=2)
    fee = models.DecimalField(max_digits=14, decimal_places=2)
    net = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, default="MWK")

    # The method as it was when requested: later changes do not redirect the money. The
    # number is sealed anew, for this row.
    payout_method = models.ForeignKey(
        PayoutMethod, on_delete=models.PROTECT, related_name="withdrawals"
    )
    kind = models.CharField(max_length=12, choices=MethodKind)
    destination_id = models.CharField(max_length=100)
    destination_name = models.CharField(max_length=200)
    account_name = models.CharField(max_length=200)
    account_number_encrypted = models.BinaryField()
    account_number_last = models.CharField(max_length=3)

    status = models.CharField(max_length=10, choices=Status, default=Status.REQUESTED)
    # For the coach: why it was rejected or failed.
    failure_reason = models.CharField(max_length=500, blank=True, default="")
    # Why staff have to look; blank where they need not.
    flag = models.CharField(max_length=500, blank=True, default="")

    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    # How many people have to approve, as policy was when it was requested: 0 where it
    # approved by itself, 2 for a large one.
    approvals_required = models.PositiveSmallIntegerField(default=1)
    # Who approved first, or else rejected or cancelled.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    # The second approver of a large one, or who rejected it after the first.
    second_decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    decision_note = models.CharField(max_length=500, blank=True, default="")
    # Keyed digest of what was approved and by whom, made with each approval: terms that
    # were changed since, by whatever way, void it. See `withdrawals.approvals`.
    approval_seal = models.CharField(max_length=64, blank=True, default="")

    transfer = models.OneToOneField(
        "wallets.CreditTransfer", on_delete=models.PROTECT, related_name="+"
    )
    # What gave the credits back, or booked them as paid out.
    closing_transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - NULL keeps requests without a key out of the unique index
    idempotency_digest = models.CharField(max_length=64, blank=True, default="")

    # The key of the request that cancelled it.
    cancel_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - the same

    requested_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = WithdrawalRequestQuerySet.as_manager()

    # Set by services where an earlier request had the same key.
    is_replay: bool = False

    class Meta:
        db_table = "withdrawal_requests"
        verbose_name = "withdrawal"
        permissions: ClassVar = [
            ("request_withdrawal", "Can withdraw earnings of one's own"),
            ("decide_withdrawal", "Can approve, reject and cancel withdrawals"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="withdrawals_withdrawalrequest_amounts_add_up",
                condition=Q(credits__gt=0, credits__lt=MAX_CREDITS)
                & Q(net__gt=0, net__lt=MAX_CREDITS)
                & Q(fee__gte=0, gross=F("fee") + F("net")),
            ),
            models.CheckConstraint(
                name="withdrawals_withdrawalrequest_status_known",
                condition=Q(
                    status__in=[
                        "requested",
                        "approved",
                        "sending",
                        "paid",
                        "failed",
                        "rejected",
                        "cancelled",
                    ]
                ),
            ),
            models.CheckConstraint(
                # Nobody sends money to themselves, whatever the console or a script
                # says. Who asked may cancel.
                name="withdrawals_withdrawalrequest_four_eyes",
                condition=Q(status="cancelled")
                | (
                    (
                        Q(decided_by__isnull=True)
                        | ~Q(decided_by=F("user")) & ~Q(decided_by=F("requested_by"))
                    )
                    & (
                        Q(second_decided_by__isnull=True)
                        | ~Q(second_decided_by=F("user"))
                        & ~Q(second_decided_by=F("requested_by"))
                        & ~Q(second_decided_by=F("decided_by"))
                    )
                ),
            ),
            models.CheckConstraint(
                name="withdrawals_withdrawalrequest_approved_by_enough",
                condition=Q(status__in=["requested", "rejected", "cancelled"])
                | Q(approvals_required=0)
                | Q(approvals_required=1, decided_by__isnull=False)
                | Q(
                    approvals_required=2,
                    decided_by__isnull=False,
                    second_decided_by__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="withdrawals_withdrawalrequest_paid_at_iff_paid",
                condition=Q(status="paid", paid_at__isnull=False)
                | (~Q(status="paid") & Q(paid_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="withdrawals_withdrawalrequest_closed_with_transfer",
                condition=Q(
                    status__in=["requested", "approved", "sending"],
                    closing_transfer__isnull=True,
                )
                | Q(
                    status__in=["paid", "failed", "rejected", "cancelled"],
                    closing_transfer__isnull=False,
                ),
            ),
            models.UniqueConstraint(
                name="withdrawals_withdrawalrequest_unique_idempotency_key",
                fields=["user", "idempotency_key"],
            ),
            models.UniqueConstraint(
                name="withdrawals_withdrawalrequest_unique_cancel_key",
                fields=["user", "cancel_key"],
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="withdrawal_requests_by_user", fields=["user", "-id"]),
            # What all coaches together have withdrawn lately.
            models.Index(name="withdrawal_requests_by_time", fields=["requested_at"]),
            models.Index(
                name="withdrawal_requests_open",
                fields=["status", "requested_at"],
                condition=Q(status__in=["requested", "approved", "sending"]),
            ),
            models.Index(
                name="withdrawal_requests_flagged",
                fields=["requested_at"],
                condition=~Q(flag=""),
            ),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"

    move_to = move_to

    @property
    def number_context(self) -> str:
        """What the sealed number is bound to."""
        return f"withdrawal:{self.pk}:{self.kind}:{self.destination_id}"

    @property
    def masked_number(self) -> str:
        """The number as it may be shown."""
        return f"••••{self.account_number_last}"
