"""What the gateway sent, and what was refused, in the staff console."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from credits_project.console import ReadOnlyAdmin
from payments import services
from payments.console import report
from payments.gateway import without_numbers
from payments.models import GatewayEvent, RefusedDelivery


@admin.register(GatewayEvent)
class GatewayEventAdmin(ReadOnlyAdmin):
    """The inbox. Bodies are shown as text, whatever is in them."""

    list_display = (
        "received_at",
        "event_type",
        "reference",
        "status",
        "outcome",
        "signed_by",
        "deliveries",
        "attempts",
    )
    list_filter = ("status", "event_type", "signed_by", "received_at")
    search_fields = ("reference", "digest", "id")
    search_help_text = "tx_ref or charge_id, digest, or id"
    ordering = ("-id",)
    fields = (
        "id",
        "digest",
        "signed_by",
        "deliveries",
        "received_at",
        "last_delivery_at",
        "event_type",
        "reference",
        "status",
        "outcome",
        "attempts",
        "next_attempt_at",
        "processed_at",
        "headers",
        "content",
    )
    readonly_fields = fields
    actions = ("process_again",)

    @admin.display(description="body")
    def content(self, event: GatewayEvent) -> str:
        # A plain string: the console escapes it.
        text = without_numbers(bytes(event.body)).decode("utf-8", "replace")
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return text

    def has_process_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.process_gatewayevent")

    @admin.action(description="Process again", permissions=["process"])
    def process_again(
        self, request: HttpRequest, queryset: QuerySet[GatewayEvent]
    ) -> None:
        """Process events that are parked or wait; those that are done are left."""
        for pk in list(queryset.order_by("pk").values_list("pk", flat=True)):

            def process(pk: Any = pk) -> str:
                event = services.process_event(event_id=pk, actor=request.user)
                return f"{event.status}: {event.outcome}"

            report(self, request, f"Event {pk}", process)


@admin.register(RefusedDelivery)
class RefusedDeliveryAdmin(ReadOnlyAdmin):
    """Deliveries that were refused, by day and reason. Nothing of theirs is kept."""

    list_display = ("day", "reason", "count", "last_at")
    list_display_links = None
    list_filter = ("reason", "day")
    ordering = ("-day", "reason")
