"""What the addresses of courses and enrollments take and show."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from courses.models import Course, Enrollment
from credits_project.fields import CreditsField, InputSerializer
from credits_project.filters import Filters, QueryParameters
from credits_project.money import ZERO

_BEGINNINGS = (Course.Status.DRAFT, Course.Status.PUBLISHED)


class CoachOutput(serializers.Serializer[Any]):
    """Who teaches a course, as everybody may see it."""

    id = serializers.IntegerField(read_only=True)
    name = serializers.SerializerMethodField()

    def get_name(self, coach: Any) -> str:
        """Return the name; no address and no login name, which may be one."""
        return coach.get_full_name() or f"Coach {coach.pk}"


class CourseOutput(serializers.ModelSerializer[Course]):
    """A course. `enrolled` says whether the caller is in it; null for a visitor."""

    price = CreditsField(read_only=True)
    coach = CoachOutput(read_only=True)
    enrolled = serializers.BooleanField(read_only=True, allow_null=True)

    class Meta:
        model = Course
        fields = (
            "id",
            "title",
            "slug",
            "summary",
            "description",
            "price",
            "status",
            "coach",
            "enrolled",
        )
        read_only_fields = fields


class CourseInput(InputSerializer):
    """A new course."""

    title = serializers.CharField(max_length=200)
    summary = serializers.CharField(max_length=500, allow_blank=True, required=False)
    description = serializers.CharField(
        max_length=20_000, allow_blank=True, required=False
    )
    price = CreditsField(min_value=ZERO)
    status = serializers.ChoiceField(
        choices=[(status.value, status.value) for status in _BEGINNINGS],
        required=False,
    )


class CourseChanges(InputSerializer):
    """What changes about a course; what is left out stays as it is."""

    title = serializers.CharField(max_length=200, required=False)
    summary = serializers.CharField(max_length=500, allow_blank=True, required=False)
    description = serializers.CharField(
        max_length=20_000, allow_blank=True, required=False
    )
    price = CreditsField(min_value=ZERO, required=False)
    status = serializers.ChoiceField(
        choices=[(status.value, status.value) for status in Course.Status],
        required=False,
    )


class CourseParameters(Filters):
    """`mine` lists the caller's own courses, drafts and archived ones too."""

    mine = serializers.BooleanField(required=False, default=False)

    def narrow(self, queryset: Any, values: dict[str, Any]) -> Any:
        """Return the rows as they are: the view chose them by the parameter."""
        return queryset


class QuoteOutput(serializers.Serializer[Any]):
    """What enrolling now would do. `available` is what the caller can spend."""

    price = CreditsField()
    fee = CreditsField()
    earnings = CreditsField()
    available = CreditsField()
    enough = serializers.BooleanField()


class EnrollInput(InputSerializer):
    """The price that the caller saw; enrolling at another one is refused."""

    price = CreditsField(min_value=ZERO, required=False)


class EnrolledCourseOutput(serializers.ModelSerializer[Course]):
    """The course of an enrollment."""

    class Meta:
        model = Course
        fields = ("id", "title")
        read_only_fields = fields


class EnrollmentOutput(serializers.ModelSerializer[Enrollment]):
    """A learner's place in a course.

    `balance_after` is the caller's balance right after `transfer`; null where that did
    not touch the caller's wallet. `refundable_until` is null where the learner may not
    take the price back.
    """

    course = EnrolledCourseOutput(read_only=True)
    price = CreditsField(read_only=True)
    refundable_until = serializers.DateTimeField(read_only=True, allow_null=True)
    transfer = serializers.UUIDField(
        source="transfer_id", read_only=True, allow_null=True
    )
    balance_after = CreditsField(read_only=True, allow_null=True)

    class Meta:
        model = Enrollment
        fields = (
            "id",
            "course",
            "status",
            "price",
            "refundable_until",
            "transfer",
            "balance_after",
            "enrolled_at",
            "refunded_at",
        )
        read_only_fields = fields


class EnrollmentParameters(Filters):
    """`role=coach` lists the enrollments in the caller's courses."""

    role = serializers.ChoiceField(
        choices=[("learner", "learner"), ("coach", "coach")],
        required=False,
        default="learner",
    )

    def narrow(self, queryset: Any, values: dict[str, Any]) -> Any:
        """Return the rows as they are: the view chose them by the parameter."""
        return queryset


class RefundInput(InputSerializer):
    """Why the learner wants the price back, if they care to say."""

    reason = serializers.CharField(
        max_length=500, allow_blank=True, required=False, default=""
    )


class EarningsParameters(QueryParameters):
    """Which month (UTC), this one unless said, and in which form."""

    month = serializers.RegexField(
        r"^2\d{3}-(0[1-9]|1[0-2])$",
        required=False,
        error_messages={"invalid": "A month like 2026-11."},
    )
    format = serializers.ChoiceField(choices=["csv", "pdf"], default="csv")
