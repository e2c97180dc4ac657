"""Money out in the staff console: to be seen by staff, and acted on by actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from credits_project.console import (
    ModelAdmin,
    ReadOnlyAdmin,
    TabularInline,
    ask_for_reason,
)
from credits_project.exceptions import DomainError
from withdrawals import services
from withdrawals.encryption import UnreadableNumber
from withdrawals.models import (
    Payout,
    PayoutAttempt,
    PayoutMethod,
    PayoutRate,
    PayoutSwitch,
    WithdrawalRequest,
)

_SEALED = ("account_number_encrypted",)


class NumberAdmin(ReadOnlyAdmin):
    """Rows with an account number: masked, and whole on a page of its own.

    Whoever looks at the page of a number leaves an entry in the log, so it is asked for
    by a POST: no browser fetches it unasked.
    """

    # `account_number_last` is shown masked.
    exclude = (*_SEALED, "account_number_last", "fingerprint")

    @admin.display(description="number")
    def number(self, row: PayoutMethod | WithdrawalRequest) -> str:
        return row.masked_number

    @admin.display(description="full number")
    def full_number(self, row: PayoutMethod | WithdrawalRequest) -> str:
        opts = self.model._meta
        address = reverse(
            f"admin:{opts.app_label}_{opts.model_name}_number", args=[row.pk]
        )
        return format_html('<a href="{}">Show the full number …</a>', address)

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses, with that of the full number."""
        opts = self.model._meta
        own = path(
            "<uuid:pk>/account-number/",
            self.admin_site.admin_view(self.number_page),
            name=f"{opts.app_label}_{opts.model_name}_number",
        )
        return [own, *super().get_urls()]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Any = None
    ) -> tuple[Any, ...]:
        """Return all fields; the link for those who may follow it."""
        fields = [
            field.name
            for field in self.model._meta.fields
            if field.name not in (self.exclude or ())
        ]
        may_see = request.user.has_perm("withdrawals.see_account_number")
        return (*fields, "number", *(["full_number"] if may_see else []))

    def number_page(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Show the full number once it is asked for."""
        row = get_object_or_404(self.model, pk=pk)
        number = error = ""
        if not request.user.has_perm("withdrawals.see_account_number"):
            return HttpResponse(status=403)
        if request.method == "POST":
            try:
                number = services.see_account_number(row=row, actor=request.user)
            except UnreadableNumber:
                error = "The number cannot be decrypted with the present key."
        context = {
            **self.admin_site.each_context(request),
            "title": "Full account number",
            "opts": self.model._meta,
            "row": row,
            "number": number,
            "error": error,
        }
        page = "admin/withdrawals/account_number.html"
        return TemplateResponse(request, page, context)


class FlaggedFilter(admin.SimpleListFilter):
    """Withdrawals that staff have to look at."""

    title = "flagged"
    parameter_name = "flagged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> QuerySet[WithdrawalRequest]:
        if self.value() == "yes":
            return queryset.exclude(flag="")
        if self.value() == "no":
            return queryset.filter(flag="")
        return queryset


@admin.register(WithdrawalRequest)
class WithdrawalRequestAdmin(NumberAdmin):
    """Withdrawals, with what staff decide about them."""

    list_display = (
        "requested_at",
        "user",
        "credits",
        "net",
        "currency",
        "status",
        "is_flagged",
        "destination_name",
        "account_name",
        "number",
        "approvals",
    )
    list_filter = ("status", FlaggedFilter, "kind", "requested_at")
    list_select_related = ("user", "decided_by", "second_decided_by")
    search_fields = ("id", "user__email", "user__username", "payout__charge_id")
    search_help_text = "Id, e-mail or user name of the coach, or charge id"
    ordering = ("-id",)
    actions = ("approve", "reject", "cancel", "confirm_not_sent", "clear_flag")

    @admin.display(boolean=True, description="flagged")
    def is_flagged(self, withdrawal: WithdrawalRequest) -> bool:
        return withdrawal.flag != ""

    @admin.display(description="approvals")
    def approvals(self, withdrawal: WithdrawalRequest) -> str:
        given = [withdrawal.decided_by_id, withdrawal.second_decided_by_id]
        count = sum(decided is not None for decided in given)
        return f"{count} of {withdrawal.approvals_required}"

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return whether the caller may decide on withdrawals."""
        return request.user.has_perm("withdrawals.decide_withdrawal")

    @admin.action(description="Approve and pay out", permissions=["decide"])
    def approve(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> None:
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            try:
                withdrawal = services.approve_withdrawal(
                    withdrawal_id=pk, actor=request.user
                )
            except DomainError as error:
                self.message_user(request, f"Withdrawal {pk}: {error}", messages.ERROR)
                continue
            if withdrawal.status == WithdrawalRequest.Status.REQUESTED:
                text = f"Withdrawal {pk}: approved by you; a second person has to."
                self.message_user(request, text, messages.WARNING)
            else:
                text = (
                    f"Withdrawal {pk}: approved, {withdrawal.net} {withdrawal.currency}"
                    f" to {withdrawal.destination_name} {withdrawal.masked_number}."
                )
                self.message_user(request, text, messages.SUCCESS)

    @admin.action(
        description="Reject and give the credits back", permissions=["decide"]
    )
    def reject(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> HttpResponse | None:
        return self._with_reason(
            request,
            queryset,
            services.reject_withdrawal,
            action="reject",
            title="Reject withdrawals",
        )

    @admin.action(
        description="Cancel before it is sent, and give the credits back",
        permissions=["decide"],
    )
    def cancel(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> None:
        self._each(
            request,
            queryset,
            lambda pk: services.cancel_withdrawal(withdrawal_id=pk, actor=request.user),
            done="cancelled",
        )

    @admin.action(
        description="Confirm that it was not sent, and give the credits back",
        permissions=["decide"],
    )
    def confirm_not_sent(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> None:
        self._each(
            request,
            queryset,
            lambda pk: services.confirm_not_sent(withdrawal_id=pk, actor=request.user),
            done="given back",
        )

    @admin.action(description="Clear the flag", permissions=["decide"])
    def clear_flag(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> HttpResponse | None:
        return self._with_reason(
            request,
            queryset,
            services.clear_flag,
            action="clear_flag",
            title="Clear flags",
        )

    def _with_reason(
        self,
        request: HttpRequest,
        queryset: QuerySet[WithdrawalRequest],
        service: Callable[..., WithdrawalRequest],
        *,
        action: str,
        title: str,
    ) -> HttpResponse | None:
        reason = ask_for_reason(self, request, queryset, action=action, title=title)
        if isinstance(reason, HttpResponse):
            return reason
        self._each(
            request,
            queryset,
            lambda pk: service(withdrawal_id=pk, actor=request.user, reason=reason),
            done="rejected" if action == "reject" else "cleared",
        )
        return None

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[WithdrawalRequest],
        service: Callable[[Any], WithdrawalRequest],
        *,
        done: str,
    ) -> None:
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            try:
                service(pk)
            except DomainError as error:
                self.message_user(request, f"Withdrawal {pk}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"Withdrawal {pk}: {done}.")


@admin.register(PayoutMethod)
class PayoutMethodAdmin(NumberAdmin):
    """Where coaches are paid."""

    list_display = (
        "user",
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


class AttemptInline(TabularInline):
    """The exchanges with the gateway about a payout."""

    model = PayoutAttempt
    fields = ("created_at", "kind", "outcome", "http_status", "response")
    readonly_fields = fields
    ordering = ("id",)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is changed here."""
        return False


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

    list_display = ("__str__", "frozen_at", "reason", "changed_by")
    list_select_related = ("changed_by",)
    actions = ("freeze", "unfreeze")

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
