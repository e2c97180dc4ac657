"""Money out: where it goes, what was asked for, and what the gateway did."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from credits_project.exceptions import InvalidTransition
from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, CreditField


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

    requested_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = WithdrawalRequestQuerySet.as_manager()

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
        ]
        indexes: ClassVar = [
            models.Index(name="withdrawal_requests_by_user", fields=["user", "-id"]),
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

    def move_to(self, status: str) -> None:
        """Set the status in memory; the caller holds the row's lock and saves it.

        Raises:
            InvalidTransition: `TRANSITIONS` has no such step.
        """
        if status not in self.TRANSITIONS[self.Status(self.status)]:
            raise InvalidTransition(current=self.status, wanted=status)
        self.status = status

    @property
    def number_context(self) -> str:
        """What the sealed number is bound to."""
        return f"withdrawal:{self.pk}:{self.kind}:{self.destination_id}"

    @property
    def masked_number(self) -> str:
        """The number as it may be shown."""
        return f"••••{self.account_number_last}"


class Payout(models.Model):
    """The one sending of a withdrawal's money, written down before it is asked for.

    `ready` has not been sent. From `sent` on the call may have reached the gateway, and
    is never repeated: what became of it is only ever looked up.
    """

    class Status(models.TextChoices):
        READY = "ready"
        SENT = "sent"
        PAID = "paid"
        FAILED = "failed"
        DROPPED = "dropped"

    # The same steps stand in `sql/transitions.sql`. `sent` to `ready` is for a call
    # that surely was not made; `dropped` is for a withdrawal cancelled before sending.
    TRANSITIONS: ClassVar = {
        Status.READY: {Status.SENT, Status.DROPPED},
        Status.SENT: {Status.READY, Status.PAID, Status.FAILED},
        Status.PAID: set(),
        Status.FAILED: set(),
        Status.DROPPED: set(),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    withdrawal = models.OneToOneField(
        WithdrawalRequest, on_delete=models.PROTECT, related_name="payout"
    )
    # Our name for the payout at the gateway, unique for ever.
    charge_id = models.CharField(max_length=100, unique=True)
    # Whole kwacha.
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, default="MWK")
    status = models.CharField(max_length=10, choices=Status, default=Status.READY)
    gateway_reference = models.CharField(max_length=100, blank=True, default="")
    # Why it waits or why staff have to look; blank where neither.
    note = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # How often it was tried or looked up in the present state, for the pauses.
    checks = models.PositiveIntegerField(default=0)
    # When it is worked on next; none once it has ended.
    next_check_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)

    class Meta:
        db_table = "payouts"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="withdrawals_payout_amount_in_range",
                condition=Q(amount__gt=0, amount__lt=MAX_CREDITS),
            ),
            models.CheckConstraint(
                name="withdrawals_payout_status_known",
                condition=Q(status__in=["ready", "sent", "paid", "failed", "dropped"]),
            ),
            models.CheckConstraint(
                name="withdrawals_payout_ended_at_iff_ended",
                condition=Q(status__in=["ready", "sent"], ended_at__isnull=True)
                | Q(
                    status__in=["paid", "failed", "dropped"],
                    ended_at__isnull=False,
                ),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="payouts_due",
                fields=["next_check_at"],
                condition=Q(status__in=["ready", "sent"]),
            ),
        ]

    def __str__(self) -> str:
        return f"payout {self.charge_id}"

    def move_to(self, status: str) -> None:
        """Set the status in memory; the caller holds the row's lock and saves it.

        Raises:
            InvalidTransition: `TRANSITIONS` has no such step.
        """
        if status not in self.TRANSITIONS[self.Status(self.status)]:
            raise InvalidTransition(current=self.status, wanted=status)
        self.status = status


class PayoutAttempt(models.Model):
    """One exchange with the gateway about a payout. Written once."""

    class Kind(models.TextChoices):
        SEND = "send"
        LOOK_UP = "look_up"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, related_name="attempts"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # accepted, rejected, not_sent, unknown, or what a look-up found.
    outcome = models.CharField(max_length=20)
    http_status = models.PositiveIntegerField(null=True, blank=True)
    # What was sent and what came back, without secrets and full numbers.
    request = models.JSONField(default=dict)
    response = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payout_attempts"
        verbose_name = "payout attempt"

    def __str__(self) -> str:
        return f"{self.kind} of payout {self.payout_id}: {self.outcome}"


class PayoutSwitch(models.Model):
    """The one row that stops all payouts."""

    # Always 1: there is one switch.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    frozen_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        db_table = "payout_switch"
        verbose_name = "payout switch"
        verbose_name_plural = "payout switch"
        permissions: ClassVar = [
            ("freeze_payouts", "Can freeze and unfreeze all payouts"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="withdrawals_payoutswitch_only_one", condition=Q(id=1)
            ),
        ]

    def __str__(self) -> str:
        return "payouts are frozen" if self.frozen_at else "payouts run"
