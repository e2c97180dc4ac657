"""Tables with account numbers: masked, and whole on a page that is logged."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from credits_project.console import ReadOnlyAdmin
from withdrawals import services
from withdrawals.encryption import UnreadableNumber
from withdrawals.models import (
    PayoutMethod,
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
