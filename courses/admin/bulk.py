"""Lists in the staff console: given in as CSV, carried out, reported on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from courses.models import BulkRow, BulkRun
from credits_project.console import ReadOnlyAdmin, ReadOnlyInline


class BulkRowInline(ReadOnlyInline):
    """The lines of a list, and what came of each."""

    model = BulkRow
    fields = (
        "line",
        "person",
        "user",
        "amount",
        "status",
        "detail",
        "enrollment",
        "transfer",
        "decided_at",
    )
    readonly_fields = fields
    ordering = ("line",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkRow]:
        """Return the lines with all that a line shows."""
        rows: QuerySet[BulkRow] = super().get_queryset(request)
        return rows.select_related("user", "enrollment", "transfer")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the list may be seen, of which they are a part."""
        return request.user.has_perm("courses.view_bulkrun")


@admin.register(BulkRun)
class BulkRunAdmin(ReadOnlyAdmin):
    """Lists that staff gave in."""

    list_display = (
        "name",
        "kind",
        "all_or_nothing",
        "created_by",
        "created_at",
        "finished_at",
    )
    list_filter = ("kind", ("finished_at", admin.EmptyFieldListFilter))
    list_select_related = ("created_by",)
    search_fields = ("name", "id", "rows__person")
    search_help_text = "Name or id of the list, or somebody on it as written there"
    ordering = ("-id",)
    inlines = (BulkRowInline,)
