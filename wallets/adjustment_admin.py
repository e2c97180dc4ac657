"""Credits by hand in the console: asked for on a page, agreed to by an action."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from credits_project.console import ReadOnlyAdmin, ask_for_reason, person
from credits_project.exceptions import DomainError
from wallets import services
from wallets.adjustments import CreditAdjustment
from wallets.management.arguments import user_of

_PERMISSION = "wallets.adjust_wallet"


class AdjustmentForm(forms.Form):
    """What is asked for; whether it may be is the service's to judge."""

    user = forms.CharField(help_text="E-mail address, user name or id", max_length=254)
    kind = forms.ChoiceField(choices=CreditAdjustment.Kind.choices)
    amount = forms.DecimalField(
        max_digits=14, decimal_places=2, help_text="Credits; below zero to take them"
    )
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 3, "cols": 60})
    )

    def clean_user(self) -> Any:
        """Return the one user who is named so."""
        try:
            return user_of(self.cleaned_data["user"])
        except CommandError as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(CreditAdjustment)
class CreditAdjustmentAdmin(ReadOnlyAdmin):
    """What staff gave or took by hand, and what waits for a second person."""

    list_display = (
        "requested_at",
        "holder",
        "transaction_type",
        "amount",
        "reason",
        "status",
        "needs_second",
        "requested_by",
        "decided_by",
    )
    list_filter = ("status", "needs_second", "transaction_type", "requested_at")
    list_select_related = ("user", "requested_by", "decided_by")
    search_fields = ("id", "user__email", "user__username", "reason")
    ordering = ("-id",)
    actions = ("approve", "reject")

    @admin.display(description="holder", ordering="user__email")
    def holder(self, adjustment: CreditAdjustment) -> str:
        return person(adjustment.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the caller may ask for an adjustment."""
        return request.user.has_perm(_PERMISSION)

    def has_adjust_permission(self, request: HttpRequest) -> bool:
        """Return whether the caller may agree to one."""
        return request.user.has_perm(_PERMISSION)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Ask for an adjustment; the service opens the one transaction."""
        if not self.has_add_permission(request):
            return HttpResponse(status=403)
        form = AdjustmentForm(request.POST or None)
        if request.method == "POST" and form.is_valid() and self._ask(request, form):
            return redirect(reverse("admin:wallets_creditadjustment_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Give or take credits",
            "opts": self.model._meta,
            "form": form,
        }
        return TemplateResponse(request, "admin/wallets/adjust.html", context)

    def _ask(self, request: HttpRequest, form: AdjustmentForm) -> bool:
        asked = form.cleaned_data
        try:
            adjustment = services.request_adjustment(
                user_id=asked["user"].pk,
                amount=asked["amount"],
                reason=asked["reason"],
                actor=request.user,
                transaction_type=asked["kind"],
            )
        except DomainError as error:
            form.add_error(None, str(error))
            return False
        if adjustment.status == CreditAdjustment.Status.BOOKED:
            self.message_user(request, f"{adjustment.amount:+} credits are booked.")
        else:
            text = "Asked for; a second person has to agree."
            self.message_user(request, text, messages.WARNING)
        return True

    @admin.action(description="Agree, and book it", permissions=["adjust"])
    def approve(
        self, request: HttpRequest, queryset: QuerySet[CreditAdjustment]
    ) -> None:
        for pk in list(queryset.order_by("pk").values_list("pk", flat=True)):
            try:
                services.approve_adjustment(adjustment_id=pk, actor=request.user)
            except DomainError as error:
                self.message_user(request, f"Adjustment {pk}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"Adjustment {pk}: booked.")

    @admin.action(description="Turn down", permissions=["adjust"])
    def reject(
        self, request: HttpRequest, queryset: QuerySet[CreditAdjustment]
    ) -> HttpResponse | None:
        title = "Turn adjustments down"
        reason = ask_for_reason(self, request, queryset, action="reject", title=title)
        if isinstance(reason, HttpResponse):
            return reason
        for pk in list(queryset.order_by("pk").values_list("pk", flat=True)):
            try:
                services.reject_adjustment(
                    adjustment_id=pk, actor=request.user, reason=reason
                )
            except DomainError as error:
                self.message_user(request, f"Adjustment {pk}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"Adjustment {pk}: turned down.")
        return None
