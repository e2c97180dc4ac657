"""Payouts with their exchanges, methods, rates and the switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from credits_project.console import (
    ModelAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ask_for_reason,
    person,
)
from credits_project.exceptions import DomainError
from payments.gateway import GatewayUnavailable
from withdrawals import services
from withdrawals.admin.numbers import NumberAdmin
from withdrawals.models import (
    Payout,
    PayoutAttempt,
    PayoutMethod,
    PayoutRate,
    PayoutSwitch,
)

# More lines than this are read with `reconcile_gateway`.
_LINES_MAX: Final = 50


@admin.register(PayoutMethod)
class PayoutMethodAdmin(NumberAdmin):
    """Where coaches are paid."""

    list_display = (
        "coach",
        "kind",
        "destination_name",
        "account_name",
        "number",
        "usable_from",
        "created_at",
        "removed_at",
    )
    list_filter = ("kind", ("removed_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("id", "user__email", "user__username", "account_name")
    ordering = ("-id",)

    @admin.display(description="coach", ordering="user__email")
    def coach(self, method: PayoutMethod) -> str:
        return person(method.user)


class AttemptInline(ReadOnlyInline):
    """The exchanges with the gateway about a payout."""

    model = PayoutAttempt
    fields = ("created_at", "kind", "outcome", "http_status", "request", "response")
    readonly_fields = fields
    ordering = ("id",)


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    """Payouts, with what was said to the gateway and what it answered."""

    list_display = (
        "created_at",
        "charge_id",
        "amount",
        "currency",
        "status",
        "note",
        "sent_at",
        "ended_at",
        "checks",
        "next_check_at",
    )
    list_filter = ("status",)
    search_fields = ("charge_id", "gateway_reference", "withdrawal__user__email")
    ordering = ("-id",)
    inlines = (AttemptInline,)


@admin.register(PayoutAttempt)
class PayoutAttemptAdmin(ReadOnlyAdmin):
    """All exchanges with the gateway about payouts."""

    list_display = ("created_at", "payout", "kind", "outcome", "http_status")
    list_filter = ("kind", "outcome")
    list_select_related = ("payout",)
    search_fields = ("payout__charge_id",)
    ordering = ("-id",)


class PayoutRateForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """A new rate, in effect from a moment that has not passed."""

    class Meta:
        model = PayoutRate
        fields = ("rate", "effective_from")

    def clean_effective_from(self) -> Any:
        """Take an earlier moment for now: what was quoted stays true."""
        return max(self.cleaned_data["effective_from"], timezone.now())


@admin.register(PayoutRate)
class PayoutRateAdmin(ModelAdmin):
    """Rates. One is changed by adding another."""

    form = PayoutRateForm
    list_display = ("rate", "currency", "effective_from", "created_by", "created_at")
    list_select_related = ("created_by",)
    ordering = ("-effective_from",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Propose that the rate is in effect at once."""
        return {"effective_from": timezone.now()}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that no rate is changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that no rate is deleted."""
        return False

    def save_model(
        self, request: HttpRequest, obj: PayoutRate, form: Any, change: bool
    ) -> None:
        """Note who added it; the console keeps the log."""
        obj.created_by = request.user  # type: ignore[assignment] # staff are signed in
        super().save_model(request, obj, form, change)


@admin.register(PayoutSwitch)
class PayoutSwitchAdmin(ReadOnlyAdmin):
    """The one switch that stops all payouts."""

    list_display = (
        "__str__",
        "frozen_at",
        "reason",
        "changed_by",
        "needs_reconciling",
        "reconciled_at",
    )
    list_select_related = ("changed_by",)
    actions = ("freeze", "unfreeze", "reconcile")

    def has_freeze_permission(self, request: HttpRequest) -> bool:
        """Return whether the caller may stop all payouts."""
        return request.user.has_perm("withdrawals.freeze_payouts")

    @admin.action(description="Freeze all payouts", permissions=["freeze"])
    def freeze(
        self, request: HttpRequest, queryset: QuerySet[PayoutSwitch]
    ) -> HttpResponse | None:
        return self._turn(request, queryset, services.freeze_payouts, "freeze")

    @admin.action(description="Unfreeze payouts", permissions=["freeze"])
    def unfreeze(
        self, request: HttpRequest, queryset: QuerySet[PayoutSwitch]
    ) -> HttpResponse | None:
        return self._turn(request, queryset, services.unfreeze_payouts, "unfreeze")

    @admin.action(
        description="Compare all payouts with the gateway", permissions=["freeze"]
    )
    def reconcile(
        self, request: HttpRequest, queryset: QuerySet[PayoutSwitch]
    ) -> HttpResponse | None:
        title = "Compare all payouts with the gateway"
        reason = ask_for_reason(
            self, request, queryset, action="reconcile", title=title
        )
        if isinstance(reason, HttpResponse):
            return reason
        try:
            lines = services.reconcile_all(actor=request.user, reason=reason)
        except (DomainError, GatewayUnavailable) as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        for line in lines[:_LINES_MAX]:
            self.message_user(request, line.capitalize(), messages.WARNING)
        self.message_user(request, f"Compared: {len(lines)} difference(s).")
        return None

    def _turn(
        self,
        request: HttpRequest,
        queryset: QuerySet[PayoutSwitch],
        service: Callable[..., PayoutSwitch],
        action: str,
    ) -> HttpResponse | None:
        title = f"{action} all payouts".capitalize()
        reason = ask_for_reason(self, request, queryset, action=action, title=title)
        if isinstance(reason, HttpResponse):
            return reason
        try:
            switch = service(actor=request.user, reason=reason)
        except DomainError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, f"{switch}.".capitalize())
        return None
