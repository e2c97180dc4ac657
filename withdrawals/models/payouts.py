"""What the gateway was asked to send, and did."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS
from credits_project.transitions import move_to
from withdrawals.models.requests import WithdrawalRequest


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
    # How often a call was begun. More than once only where each earlier one was surely
    # not made.
    sendings = models.PositiveIntegerField(default=0)
    # When it is worked on next. One that has ended is asked about a few times more: the
    # gateway may change its mind.
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
            models.Index(
                name="payouts_ended_due",
                fields=["next_check_at"],
                condition=Q(status__in=["paid", "failed"], next_check_at__isnull=False),
            ),
            # What was sent lately and may not be in the gateway's balance yet.
            models.Index(name="payouts_by_sent_at", fields=["sent_at"]),
        ]

    def __str__(self) -> str:
        return f"payout {self.charge_id}"

    move_to = move_to


class PayoutAttempt(models.Model):
    """One exchange with the gateway about a payout. Written once."""

    class Kind(models.TextChoices):
        # What is about to be sent, written down before the call.
        BEGIN = "begin"
        SEND = "send"
        LOOK_UP = "look_up"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, related_name="attempts"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # begun; accepted, rejected, not_sent, unknown; or what a look-up found.
    outcome = models.CharField(max_length=20)
    # Which sending of the payout it is about; see `Payout.sendings`.
    sending = models.PositiveIntegerField(default=0)
    http_status = models.PositiveIntegerField(null=True, blank=True)
    # What was sent and what came back, without secrets and full numbers.
    request = models.JSONField(default=dict)
    response = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payout_attempts"
        verbose_name = "payout attempt"
        indexes: ClassVar = [
            # The evidence for a payout's steps, which triggers look for.
            models.Index(
                name="payout_attempts_evidence", fields=["payout", "sending", "outcome"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of payout {self.payout_id}: {self.outcome}"


class PayoutSwitch(models.Model):
    """The one row that stops all payouts."""

    # Always 1: there is one switch.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    frozen_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    # Frozen by the program, as the database seems to be an earlier one: payouts go on
    # only after a comparison with the gateway's list.
    needs_reconciling = models.BooleanField(default=False)
    # When that was made last, and how many payouts of ours the gateway had then that
    # nobody here knows.
    reconciled_at = models.DateTimeField(null=True, blank=True)
    strangers = models.PositiveIntegerField(default=0)
    # Which database the payouts were sent from; see `sql/restored.sql`. Blank until the
    # first one.
    database = models.CharField(max_length=100, blank=True, default="")
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
