"""Commissions in the staff console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from courses import services
from courses.models import CommissionRate
from credits_project.console import (
    ModelAdmin,
    ReadOnlyInline,
    ask_for_reason,
    person,
)
from credits_project.exceptions import DomainError


class CommissionInline(ReadOnlyInline):
    """The commissions that a course has had of its own."""

    model = CommissionRate
    fk_name = "course"
    verbose_name_plural = "commissions of its own"
    fields = ("rate", "effective_from", "cancelled_at", "created_by", "created_at")
    readonly_fields = fields
    ordering = ("-effective_from",)


class CommissionForm(forms.ModelForm):  # type: ignore[type-arg] # has no parameter when it runs
    """A commission to be added: for a course, for a coach, or for the platform."""

    class Meta:
        model = CommissionRate
        fields = ("course", "coach", "rate", "effective_from")
        help_texts = {
            "course": "The most specific one wins: the course's, its coach's, the"
            " platform's, the setting COMMISSION_RATE.",
            "coach": "Neither course nor coach: it is the platform's.",
            "rate": "A fraction, 0.15 for 15 %. Empty: none of its own from then on.",
            "effective_from": "In UTC. Empty: from now on. Never earlier.",
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.now = timezone.now()
        # Absent where somebody only looks.
        if "effective_from" in self.fields:
            self.fields["effective_from"].required = False

    def clean(self) -> dict[str, Any]:
        """Refuse a moment that has passed, and both a course and a coach."""
        given: dict[str, Any] = super().clean() or {}
        begins = given.get("effective_from")
        if begins is None:
            given["effective_from"] = self.now
        elif begins < self.now:
            self.add_error("effective_from", "A commission begins now or later.")
        if given.get("course") and given.get("coach"):
            self.add_error("coach", "Name a course or a coach, not both.")
        return given


@admin.register(CommissionRate)
class CommissionRateAdmin(ModelAdmin):
    """Commissions. One is changed by adding another, from a moment on."""

    form = CommissionForm
    list_display = (
        "about",
        "rate",
        "effective_from",
        "cancelled_at",
        "created_by",
        "created_at",
    )
    list_filter = (
        ("course", admin.EmptyFieldListFilter),
        ("coach", admin.EmptyFieldListFilter),
    )
    list_select_related = ("course", "coach", "created_by")
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("course__title", "course__id", "coach__email", "coach__username")
    search_help_text = "The course's title or id, the coach's e-mail or username"
    autocomplete_fields = ("course", "coach")
    ordering = ("-effective_from", "-id")
    actions = ("cancel",)

    @admin.display(description="for")
    def about(self, commission: CommissionRate) -> str:
        """Return what the commission is for."""
        if commission.course is not None:
            return f"course: {commission.course}"
        if commission.coach is not None:
            return f"coach: {person(commission.coach)}"
        return "the platform"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that no commission is changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that no commission is deleted."""
        return False

    def save_model(
        self, request: HttpRequest, obj: CommissionRate, form: Any, change: bool
    ) -> None:
        """Add the commission by the service, which notes who did."""
        made = services.add_commission_rate(
            rate=form.cleaned_data["rate"],
            course_id=obj.course_id,
            coach_id=obj.coach_id,
            effective_from=form.cleaned_data["effective_from"],
            actor=request.user,
            now=form.now,
        )
        # What Django goes on with is the row that there is now.
        obj.__dict__.update(made.__dict__)

    @admin.action(description="Cancel: has not begun yet", permissions=["add"])
    def cancel(
        self, request: HttpRequest, queryset: QuerySet[CommissionRate]
    ) -> HttpResponse | None:
        """Call commissions off."""
        reason = ask_for_reason(
            self, request, queryset, action="cancel", title="Cancel commissions"
        )
        if isinstance(reason, HttpResponse):
            return reason
        done = 0
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            try:
                services.cancel_commission_rate(
                    commission_id=pk, actor=request.user, reason=reason
                )
            except DomainError as error:
                self.message_user(request, f"Commission {pk}: {error}", messages.ERROR)
            else:
                done += 1
        if done:
            self.message_user(request, f"{done} commission(s) cancelled.")
        return None
