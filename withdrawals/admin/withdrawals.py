"""Withdrawals, and what staff decide about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits_project.console import ask_for_reason, person
from credits_project.exceptions import DomainError
from withdrawals import services
from withdrawals.admin import batches
from withdrawals.admin.numbers import NumberAdmin
from withdrawals.models import WithdrawalRequest
from withdrawals.services.listing import PayoutList


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
        "coach",
        "credits",
        "cost",
        "status",
        "flag",
        "to",
        "account_name",
        "approvals",
        "waits_for",
    )
    list_filter = ("status", FlaggedFilter, "kind", "requested_at")
    list_select_related = ("user", "decided_by", "second_decided_by", "payout")
    search_fields = ("id", "user__email", "user__username", "payout__charge_id")
    search_help_text = "Id, e-mail or user name of the coach, or charge id"
    ordering = ("-id",)
    actions = (
        "approve",
        "approve_batch",
        "reject",
        "cancel",
        "confirm_not_sent",
        "clear_flag",
    )

    @admin.display(description="coach", ordering="user__email")
    def coach(self, withdrawal: WithdrawalRequest) -> str:
        return person(withdrawal.user)

    @admin.display(description="to be paid", ordering="net")
    def cost(self, withdrawal: WithdrawalRequest) -> str:
        return f"{withdrawal.net} {withdrawal.currency}"

    @admin.display(description="to")
    def to(self, withdrawal: WithdrawalRequest) -> str:
        return f"{withdrawal.destination_name} {withdrawal.masked_number}"

    @admin.display(description="approvals")
    def approvals(self, withdrawal: WithdrawalRequest) -> str:
        given = [withdrawal.decided_by_id, withdrawal.second_decided_by_id]
        count = sum(decided is not None for decided in given)
        return f"{count} of {withdrawal.approvals_required}"

    @admin.display(description="waits for")
    def waits_for(self, withdrawal: WithdrawalRequest) -> str:
        payout = getattr(withdrawal, "payout", None)
        return payout.note if payout is not None and payout.ended_at is None else ""

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
        description="Approve and pay out many, after a preview", permissions=["decide"]
    )
    def approve_batch(
        self, request: HttpRequest, queryset: QuerySet[WithdrawalRequest]
    ) -> HttpResponse | None:
        return batches.approve(self, request, queryset)

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
        confirm = partial(
            services.confirm_not_sent,
            actor=request.user,
            payout_list=PayoutList(),
        )
        self._each(
            request,
            queryset,
            lambda pk: confirm(withdrawal_id=pk),
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
        reason = ask_for_reason(
            self,
            request,
            queryset.select_related("user"),
            action=action,
            title=title,
            template="admin/withdrawals/decide.html",
        )
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
