"""What the gateway said too late, and how staff settle it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from credits_project.console import ReadOnlyAdmin, ask_for_reason, person
from credits_project.exceptions import DomainError
from withdrawals import services
from withdrawals.models import PayoutCase
from withdrawals.services.cases import choices


@admin.register(PayoutCase)
class PayoutCaseAdmin(ReadOnlyAdmin):
    """Cases, with settling as the one thing that staff do to them."""

    list_display = (
        "opened_at",
        "coach",
        "kind",
        "detail",
        "credits",
        "settled_at",
        "resolution",
        "settled_by",
    )
    list_filter = (("settled_at", admin.EmptyFieldListFilter), "kind", "resolution")
    list_select_related = ("withdrawal__user", "settled_by")
    search_fields = ("withdrawal__id", "withdrawal__user__email", "detail")
    search_help_text = "Id of the withdrawal, e-mail of the coach, or what was said"
    ordering = ("-id",)
    actions = ("settle",)

    @admin.display(description="coach", ordering="withdrawal__user__email")
    def coach(self, case: PayoutCase) -> str:
        return person(case.withdrawal.user)

    @admin.display(description="withdrawal")
    def credits(self, case: PayoutCase) -> str:
        withdrawal = case.withdrawal
        address = reverse(
            "admin:withdrawals_withdrawalrequest_change", args=[withdrawal.pk]
        )
        text = f"{withdrawal.credits} credits, {withdrawal.net} {withdrawal.currency}"
        return format_html('<a href="{}">{}</a>', address, text)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return whether the caller may decide on withdrawals."""
        return request.user.has_perm("withdrawals.decide_withdrawal")

    @admin.action(description="Settle, with a reason", permissions=["decide"])
    def settle(
        self, request: HttpRequest, queryset: QuerySet[PayoutCase]
    ) -> HttpResponse | None:
        cases = queryset.open().select_related("withdrawal__user", "withdrawal__payout")  # type: ignore[attr-defined] # the model's own
        possible = _possible(list(cases))
        if not possible:
            text = "Choose open cases that can be settled in the same way."
            self.message_user(request, text, messages.ERROR)
            return None
        reason = ask_for_reason(
            self,
            request,
            cases,
            action="settle",
            title="Settle cases",
            context={"choices": possible, "chosen": request.POST.get("resolution")},
            template="admin/withdrawals/settle_case.html",
        )
        if isinstance(reason, HttpResponse):
            return reason
        self._settle(request, cases, reason)
        return None

    def _settle(
        self, request: HttpRequest, cases: QuerySet[PayoutCase], reason: str
    ) -> None:
        resolution = request.POST.get("resolution", "")
        for pk in list(cases.order_by("pk").values_list("pk", flat=True)):
            try:
                case = services.settle_case(
                    case_id=pk, actor=request.user, resolution=resolution, reason=reason
                )
            except DomainError as error:
                self.message_user(request, f"Case {pk}: {error}", messages.ERROR)
            else:
                text = f"Case {pk}: {case.get_resolution_display()}."
                self.message_user(request, text)


def _possible(cases: list[PayoutCase]) -> list[Any]:
    """Return the ways to settle that all of the cases have."""
    ways = [set(choices(case, case.withdrawal.payout)) for case in cases]
    common = set.intersection(*ways) if ways else set()
    return [choice for choice in PayoutCase.Resolution if choice in common]
