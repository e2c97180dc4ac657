"""Comparisons with the gateway, in the staff console."""

from __future__ import annotations

import uuid

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits_project.console import ReadOnlyAdmin, ReadOnlyInline, ask_for_reason
from payments import services
from payments.console import report
from payments.models import GatewayDifference, ReconciliationRun


@admin.register(GatewayDifference)
class GatewayDifferenceAdmin(ReadOnlyAdmin):
    """What the gateway says otherwise. It is mended at its purchase or payout."""

    list_display = (
        "found_at",
        "subject",
        "reference",
        "detail",
        "status",
        "decided_by",
        "reason",
    )
    list_filter = ("status", "subject", "found_at")
    list_select_related = ("decided_by",)
    search_fields = ("reference", "id")
    search_help_text = "tx_ref or charge_id, or id"
    ordering = ("-id",)
    actions = ("recheck", "dismiss")

    def has_recheck_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.recheck_creditpurchase")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.decide_gatewaydifference")

    @admin.action(description="Ask the gateway again", permissions=["recheck"])
    def recheck(
        self, request: HttpRequest, queryset: QuerySet[GatewayDifference]
    ) -> None:
        """Ask the gateway about the purchases, and do what it says."""
        rows = queryset.filter(subject=GatewayDifference.Subject.PURCHASE)
        for tx_ref in list(rows.order_by("pk").values_list("reference", flat=True)):

            def ask(tx_ref: str = tx_ref) -> str:
                purchase = services.settle_purchase(tx_ref=tx_ref, actor=request.user)
                return f"{purchase.status}; the next comparison looks again"

            report(self, request, f"Purchase {tx_ref}", ask)
        for charge_id in queryset.exclude(
            subject=GatewayDifference.Subject.PURCHASE
        ).values_list("reference", flat=True):
            self.message_user(
                request, f"Payout {charge_id}: look at it under payouts.", "WARNING"
            )

    @admin.action(description="Dismiss", permissions=["decide"])
    def dismiss(
        self, request: HttpRequest, queryset: QuerySet[GatewayDifference]
    ) -> HttpResponse | None:
        """Note that each is as it should be."""
        reason = ask_for_reason(
            self, request, queryset, action="dismiss", title="Dismiss differences"
        )
        if isinstance(reason, HttpResponse):
            return reason
        rows = queryset.order_by("pk").values_list("pk", "reference")
        for pk, reference in list(rows):

            def dismiss(pk: uuid.UUID = pk) -> str:
                services.dismiss_difference(
                    difference_id=pk, actor=request.user, reason=reason
                )
                return "dismissed"

            report(self, request, reference, dismiss)
        return None


class FoundInline(ReadOnlyInline):
    """What a comparison found, or found again."""

    model = GatewayDifference
    fk_name = "last_run"
    fields = ("subject", "reference", "detail", "status", "found_at")
    readonly_fields = fields
    ordering = ("id",)
    verbose_name_plural = "differences that this was the last to find"


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    """Comparisons, each for a period."""

    list_display = (
        "began_at",
        "starts_at",
        "ends_at",
        "outcome",
        "differences",
        "detail",
        "ended_at",
    )
    list_filter = ("outcome", "began_at")
    ordering = ("-id",)
    inlines = (FoundInline,)
