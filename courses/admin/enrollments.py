"""Enrollments in the staff console."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from courses import earnings_files, services
from courses.models import Enrollment, EnrollmentRefund
from courses.people import named
from courses.refund_previews import preview_refunds
from credits_project.console import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    ask_for_reason,
    person,
)
from credits_project.exceptions import DomainError
from credits_project.money import CENT, ZERO

_FORM_KEY: Final = re.compile(r"[0-9a-f]{32}")


class RefundForm(forms.Form):
    """How much goes back, and who pays what the coach no longer has."""

    amount = forms.DecimalField(
        required=False,
        min_value=CENT,
        max_digits=14,
        decimal_places=2,
        help_text="In credits; empty gives back all that is left.",
    )
    shortfall_from_revenue = forms.BooleanField(
        required=False,
        label="The platform pays what the coach no longer has",
        help_text="Out of the revenue. Without it such a refund is refused.",
    )


class RefundInline(ReadOnlyInline):
    """What was given back of an enrollment."""

    model = EnrollmentRefund
    fields = (
        "number",
        "amount",
        "fee",
        "earnings",
        "shortfall",
        "reason",
        "actor",
        "transfer",
        "created_at",
    )
    readonly_fields = fields
    ordering = ("number",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the enrollment may be seen, of which they are a part."""
        return request.user.has_perm("courses.view_enrollment")


class EarningsForm(forms.Form):
    """Whose earnings, of which month."""

    coach = forms.CharField(max_length=254, help_text="E-mail address, username or id")
    month = forms.RegexField(
        r"\A2\d{3}-(0[1-9]|1[0-2])\Z", help_text="In UTC, like 2026-11"
    )
    format = forms.ChoiceField(
        choices=[("csv", "CSV: every sale"), ("pdf", "PDF: by course")]
    )

    def clean_coach(self) -> Any:
        """Return the user who is named."""
        name = self.cleaned_data["coach"].strip()
        found = named([name])[name.lower()]
        if len(found) != 1:
            told = "more than one user" if found else "no user"
            raise forms.ValidationError(f"This names {told}.")
        return get_user_model()._default_manager.get(pk=found[0])


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    """Enrollments, with refunding as the one thing that staff do to them."""

    change_list_template = "admin/courses/lists.html"

    list_display = (
        "course",
        "learner_email",
        "price",
        "refunded_amount",
        "status",
        "enrolled_at",
        "matures_at",
    )
    list_filter = ("status", "enrolled_at")
    list_select_related = ("course", "learner")
    search_fields = ("course__title", "learner__email", "learner__username", "id")
    search_help_text = "Course, the learner's e-mail or username, or id"
    ordering = ("-id",)
    exclude = ("idempotency_key", "idempotency_digest")
    inlines = (RefundInline,)
    actions = ("refund",)

    @admin.display(description="learner", ordering="learner__email")
    def learner_email(self, enrollment: Enrollment) -> str:
        """Return the learner's address, or the username of who has none."""
        return person(enrollment.learner)

    def get_urls(self) -> list[URLPattern]:
        """Return Django's addresses and that of the earnings statements."""
        view = self.admin_site.admin_view(self.earnings)
        return [
            path("earnings/", view, name="courses_enrollment_earnings"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Return the enrollments, with where coaches' statements are had."""
        address = reverse("admin:courses_enrollment_earnings")
        offered = [(address, "Statement of a coach's earnings")]
        return super().changelist_view(
            request, {**(extra_context or {}), "offered": offered}
        )

    def earnings(self, request: HttpRequest) -> HttpResponseBase:
        """Show the page that asks for a coach and a month; answer with the file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = EarningsForm(
            request.GET or None, initial={"month": f"{timezone.now():%Y-%m}"}
        )
        if form.is_valid():
            asked = form.cleaned_data
            return earnings_files.answer(
                coach=asked["coach"], month=asked["month"], form=asked["format"]
            )
        context = {
            **self.admin_site.each_context(request),
            "title": "Statement of a coach's earnings",
            "opts": self.model._meta,
            "form": form,
            "submit": "Save the file",
        }
        return TemplateResponse(request, "admin/courses/earnings.html", context)

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may refund."""
        return request.user.has_perm("courses.refund_enrollment")

    @admin.action(description="Refund", permissions=["refund"])
    def refund(
        self, request: HttpRequest, queryset: QuerySet[Enrollment]
    ) -> HttpResponse | None:
        """Give learners their credits back, whole or, of one enrollment, in part."""
        is_confirmed = bool(request.POST.get("confirmed"))
        form = RefundForm(request.POST if is_confirmed else None)
        if queryset.count() != 1:
            del form.fields["amount"]
        # Each page has a key of its own: pressed twice, or sent again, it refunds once.
        form_key = request.POST.get("form_key", "")
        is_valid = is_confirmed and form.is_valid() and _FORM_KEY.fullmatch(form_key)
        if not is_valid:
            form_key = uuid.uuid4().hex
        if is_confirmed and not is_valid:
            # Back to the page, which says what is wrong.
            again = request.POST.copy()
            del again["confirmed"]
            request.POST = again  # type: ignore[assignment]
        rows = queryset.select_related("course__coach", "learner", "payer")
        previews = preview_refunds(list(rows.order_by("pk")))
        reason = ask_for_reason(
            self,
            request,
            rows,
            action="refund",
            title="Refund enrollments",
            template="admin/courses/refund.html",
            context={
                "form": form,
                "form_key": form_key,
                "previews": previews,
                "shortfall": sum((one.shortfall for one in previews), ZERO),
            },
        )
        if isinstance(reason, HttpResponse):
            return reason
        self._refund_each(request, queryset, form.cleaned_data, reason, form_key)
        return None

    def _refund_each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Enrollment],
        wishes: dict[str, Any],
        reason: str,
        form_key: str,
    ) -> None:
        refunded = 0
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            try:
                services.refund_enrollment(
                    enrollment_id=pk,
                    actor=request.user,
                    reason=reason,
                    amount=wishes.get("amount"),
                    shortfall_from_revenue=wishes["shortfall_from_revenue"],
                    idempotency_key=f"{form_key}-{pk}",
                )
            except DomainError as error:
                self.message_user(request, f"Enrollment {pk}: {error}", messages.ERROR)
            else:
                refunded += 1
        if refunded:
            self.message_user(
                request, f"{refunded} enrollment(s) refunded.", messages.SUCCESS
            )
