"""What staff have to look at, in the staff console, and what they can do about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits_project.console import ReadOnlyAdmin, ask_for_reason
from payments import services
from payments.console import report
from payments.models import ReviewCase


class OpenFilter(admin.SimpleListFilter):
    """Open cases, which is what the list shows unless asked for others."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "All"), *ReviewCase.Status.choices[1:]]

    def choices(self, changelist: Any) -> Any:
        """Yield the links; the first, without a value, is what waits for staff."""
        links = list(super().choices(changelist))
        links[0]["display"] = "Open"
        yield from links

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ReviewCase]
    ) -> QuerySet[ReviewCase]:
        if self.value() == "all":
            return queryset
        return queryset.filter(status=self.value() or ReviewCase.Status.OPEN)


@admin.register(ReviewCase)
class ReviewCaseAdmin(ReadOnlyAdmin):
    """Cases, each with what was expected and what came."""

    list_display = (
        "opened_at",
        "kind",
        "reference",
        "expected",
        "came",
        "status",
        "decided_by",
        "reason",
    )
    list_filter = (OpenFilter, "kind", "opened_at")
    list_select_related = ("decided_by",)
    search_fields = ("reference", "purchase__user__email", "id")
    search_help_text = "tx_ref or charge_id, the buyer's e-mail, or id"
    ordering = ("-id",)
    fields = (
        "id",
        "kind",
        "reference",
        "purchase",
        "event",
        "expected",
        "came",
        "amount",
        "currency",
        "status",
        "opened_at",
        "decided_at",
        "decided_by",
        "reason",
        "transfer",
    )
    readonly_fields = fields
    actions = ("recheck", "credit", "refund", "dismiss")

    def has_recheck_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.recheck_creditpurchase")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.decide_reviewcase")

    @admin.action(description="Ask the gateway again", permissions=["recheck"])
    def recheck(self, request: HttpRequest, queryset: QuerySet[ReviewCase]) -> None:
        """Ask the gateway about each, and do what it says."""
        for pk, name in _chosen(queryset):

            def ask(pk: uuid.UUID = pk) -> str:
                case = services.recheck_case(case_id=pk, actor=request.user)
                return f"asked, {case.status}"

            report(self, request, name, ask)

    @admin.action(description="Credit what was paid", permissions=["decide"])
    def credit(
        self, request: HttpRequest, queryset: QuerySet[ReviewCase]
    ) -> HttpResponse | None:
        """Give the credits that the money of each is worth."""
        return self._decide(
            request,
            queryset,
            services.credit_case,
            action="credit",
            title="Credit what was paid",
            told="credited",
        )

    @admin.action(description="Give the money back", permissions=["decide"])
    def refund(
        self, request: HttpRequest, queryset: QuerySet[ReviewCase]
    ) -> HttpResponse | None:
        """Note the money of each as due to the payer; take credits for it back."""
        return self._decide(
            request,
            queryset,
            services.refund_case,
            action="refund",
            title="Give the money back",
            told="the money is noted under purchase refunds",
        )

    @admin.action(description="Dismiss", permissions=["decide"])
    def dismiss(
        self, request: HttpRequest, queryset: QuerySet[ReviewCase]
    ) -> HttpResponse | None:
        """Leave each as it is."""
        return self._decide(
            request,
            queryset,
            services.dismiss_case,
            action="dismiss",
            title="Dismiss",
            told="dismissed",
        )

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[ReviewCase],
        decide: Any,
        *,
        action: str,
        title: str,
        told: str,
    ) -> HttpResponse | None:
        reason = ask_for_reason(
            self,
            request,
            queryset,
            action=action,
            title=title,
            template="admin/payments/decide_case.html",
        )
        if isinstance(reason, HttpResponse):
            return reason
        chosen = _chosen(queryset)
        if not chosen:
            # Pressed twice: the list from which they were chosen shows open ones.
            self.message_user(request, "These are decided already.", messages.WARNING)
        for pk, name in chosen:

            def act(pk: uuid.UUID = pk) -> str:
                decide(case_id=pk, actor=request.user, reason=reason)
                return told

            report(self, request, name, act)
        return None


def _chosen(queryset: QuerySet[ReviewCase]) -> list[tuple[uuid.UUID, str]]:
    rows = queryset.order_by("pk").values_list("pk", "kind", "reference")
    return [(pk, f"{kind} of {reference}") for pk, kind, reference in rows]
