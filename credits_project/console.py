"""What the staff console's pages have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

# A reason is kept with what was done; longer than this nobody reads.
_LONGEST_REASON = 500

# Generic for the type checker only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline


class ReadOnlyAdmin(ModelAdmin):
    """A table that services own: staff look, and act through actions."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return that nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is changed here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is deleted here."""
        return False


def person(user: Any) -> str:
    """Return how staff know a user: by the e-mail address, or else the username."""
    return str(user.email or user.get_username())


class ReadOnlyInline(TabularInline):
    """Rows of a table that services own, shown with what they belong to."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is changed here."""
        return False


def ask_for_reason(
    model_admin: ModelAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any, Any],
    *,
    action: str,
    title: str,
    context: dict[str, Any] | None = None,
    template: str = "admin/ask_for_reason.html",
) -> str | HttpResponse:
    """Return the reason that staff gave for an action, or the page that asks for it.

    An action calls it first, and returns the answer where that is a page. `context` is
    for a `template` of one's own, which extends the one here.
    """
    reason = request.POST.get("reason", "").replace("\x00", "").strip()
    if request.POST.get("confirmed"):
        if reason and len(reason) <= _LONGEST_REASON:
            return reason
        model_admin.message_user(
            request,
            f"Give a reason of 1 to {_LONGEST_REASON} characters.",
            messages.ERROR,
        )
    rows: list[Model] = list(queryset.order_by("pk"))
    return TemplateResponse(
        request,
        template,
        {
            **model_admin.admin_site.each_context(request),
            "title": title,
            "opts": model_admin.model._meta,
            "rows": rows,
            "action": action,
            "reason": reason,
            "selected": [str(row.pk) for row in rows],
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "longest_reason": _LONGEST_REASON,
            **(context or {}),
        },
    )
