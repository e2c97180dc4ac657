"""What is sold, in the staff console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from credits_project.console import ModelAdmin
from payments.models import CreditPackage


@admin.register(CreditPackage)
class CreditPackageAdmin(ModelAdmin):
    """Packages. Purchases keep the terms that they were made at."""

    list_display = (
        "name",
        "credits",
        "bonus_credits",
        "price",
        "currency",
        "active",
        "position",
    )
    list_filter = ("active", "currency")
    search_fields = ("name",)
    ordering = ("position", "pk")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that packages are taken off sale, and not deleted."""
        return False
