"""Who is in which course, what was paid for it, and what was given back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from courses.models.catalog import Course
from courses.models.commission import CommissionRate
from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, ZERO, CreditField
from credits_project.transitions import move_to


class EnrollmentQuerySet(models.QuerySet["Enrollment"]):
    """Enrollments, by their state."""

    def active(self) -> Self:
        """Return enrollments whose learners are in the course now."""
        return self.filter(status=Enrollment.Status.ACTIVE)


class Enrollment(models.Model):
    """One learner's place in one course, and what was paid for it."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        REFUNDED = "refunded"

    # The same steps stand in `sql/transitions.sql`.
    TRANSITIONS: ClassVar = {
        Status.ACTIVE: {Status.REFUNDED},
        Status.REFUNDED: set(),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    course = models.ForeignKey(
        Course,
        on_delete=models.PROTECT,
        related_name="enrollments",
        # An index below begins with it, as with the learner.
        db_index=False,
    )
    learner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="enrollments",
        db_index=False,
    )
    # In credits: what the learner paid, the platform's part of it, the coach's part.
    price = CreditField()
    fee = CreditField()
    earnings = CreditField()
    # The rate that the fee came of, a fraction, and the row that it stood in; none
    # where it was the setting's.
    commission_rate = models.DecimalField(max_digits=5, decimal_places=4)
    commission = models.ForeignKey(
        CommissionRate,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    # The sponsor whose wallet paid, and gets refunds; none where the learner paid.
    payer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    # None for a free course.
    transfer = models.OneToOneField(
        "wallets.CreditTransfer",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    # Credits given back to the learner by refunds.
    refunded_amount = CreditField(default=ZERO)
    # 1, 2, 3 …: how often something was refunded.
    refunds = models.PositiveIntegerField(default=0)

    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - NULL keeps requests without a key out of the unique index
    idempotency_digest = models.CharField(max_length=64, blank=True, default="")

    enrolled_at = models.DateTimeField()
    # When the refund window closes and the earnings are the coach's to spend. The same
    # as `enrolled_at` where there was no window.
    matures_at = models.DateTimeField()
    # When the last of the price was given back.
    refunded_at = models.DateTimeField(null=True, blank=True)

    objects = EnrollmentQuerySet.as_manager()

    # Set by services: whether an earlier request had done what was asked for.
    is_replay: bool = False

    class Meta:
        db_table = "enrollments"
        permissions: ClassVar = [
            ("refund_enrollment", "Can refund enrollments"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="courses_enrollment_one_active",
                fields=["course", "learner"],
                condition=Q(status="active"),
            ),
            models.CheckConstraint(
                name="courses_enrollment_parts_add_up",
                condition=Q(price=F("fee") + F("earnings"))
                & Q(price__gte=0, price__lt=MAX_CREDITS)
                & Q(fee__gte=0, earnings__gte=0),
            ),
            models.CheckConstraint(
                # Nobody is in a paid course without having paid, by whatever path.
                name="courses_enrollment_transfer_iff_paid",
                condition=Q(price=0, transfer__isnull=True)
                | Q(price__gt=0, transfer__isnull=False),
            ),
            models.CheckConstraint(
                name="courses_enrollment_status_known",
                condition=Q(status__in=["active", "refunded"]),
            ),
            models.CheckConstraint(
                name="courses_enrollment_refunded_at_iff_refunded",
                condition=Q(status="active", refunded_at__isnull=True)
                | Q(status="refunded", refunded_at__isnull=False),
            ),
            models.CheckConstraint(
                name="courses_enrollment_refund_within_price",
                condition=Q(refunded_amount__gte=0, refunded_amount__lte=F("price")),
            ),
            models.CheckConstraint(
                # Who got everything back has left the course, and nobody else has. What
                # cost nothing cannot be refunded.
                name="courses_enrollment_refunded_iff_whole",
                condition=Q(status="refunded", price__gt=0, refunded_amount=F("price"))
                | Q(status="active", price=0)
                | Q(status="active", refunded_amount__lt=F("price")),
            ),
            models.CheckConstraint(
                name="courses_enrollment_matures_after_enrolling",
                condition=Q(matures_at__gte=F("enrolled_at")),
            ),
            models.CheckConstraint(
                # Who pays for oneself is no sponsor.
                name="courses_enrollment_payer_is_another",
                condition=Q(payer__isnull=True) | ~Q(payer=F("learner")),
            ),
            models.UniqueConstraint(
                name="courses_enrollment_unique_idempotency_key",
                fields=["learner", "idempotency_key"],
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="enrollments_by_learner", fields=["learner", "-id"]),
            models.Index(name="enrollments_by_course", fields=["course", "-id"]),
        ]

    def __str__(self) -> str:
        return f"enrollment {self.pk}"

    move_to = move_to

    @property
    def paid_by_id(self) -> int:
        """Whose wallet paid: the sponsor's or else the learner's."""
        return self.learner_id if self.payer_id is None else self.payer_id

    @property
    def refundable_until(self) -> datetime | None:
        """Until when the learner may take the price back; None where they never may."""
        had_window = self.matures_at > self.enrolled_at
        if self.status == self.Status.ACTIVE and self.price and had_window:
            return self.matures_at
        return None

    @property
    def refundable_amount(self) -> Decimal:
        """What has not been given back yet, in credits."""
        return self.price - self.refunded_amount


class EnrollmentRefund(models.Model):
    """One refund of an enrollment, whole or in part. Never changed or deleted."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrollment = models.ForeignKey(
        Enrollment,
        on_delete=models.PROTECT,
        related_name="refund_rows",
        # The unique constraint below begins with it.
        db_index=False,
    )
    # 1, 2, 3 … within the enrollment.
    number = models.PositiveIntegerField()
    # In credits: what the learner got back, of it the platform's and the coach's part.
    amount = CreditField()
    fee = CreditField()
    earnings = CreditField()
    # How much of the coach's part the platform paid, as the coach no longer had it.
    shortfall = CreditField(default=ZERO)
    reason = models.CharField(max_length=500, blank=True, default="")
    # None where a program did it by itself.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        # The unique constraint on the key begins with it.
        db_index=False,
    )
    transfer = models.OneToOneField(
        "wallets.CreditTransfer", on_delete=models.PROTECT, related_name="+"
    )
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - NULL keeps requests without a key out of the unique index
    idempotency_digest = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "enrollment_refunds"
        # Seen as a part of its enrollment and in no other place.
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="courses_enrollmentrefund_unique_number",
                fields=["enrollment", "number"],
            ),
            models.CheckConstraint(
                name="courses_enrollmentrefund_parts_add_up",
                condition=Q(amount=F("fee") + F("earnings"))
                & Q(amount__gt=0, amount__lt=MAX_CREDITS)
                & Q(fee__gte=0, earnings__gte=0)
                & Q(shortfall__gte=0, shortfall__lte=F("earnings")),
            ),
            models.UniqueConstraint(
                name="courses_enrollmentrefund_unique_idempotency_key",
                fields=["actor", "idempotency_key"],
            ),
        ]

    def __str__(self) -> str:
        return f"refund {self.number} of enrollment {self.enrollment_id}"
