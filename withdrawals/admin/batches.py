"""The page on which staff approve many withdrawals, having seen what that takes."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from credits_project.console import ModelAdmin
from credits_project.exceptions import DomainError
from withdrawals import services
from withdrawals.models import WithdrawalRequest
from withdrawals.services.batches import Preview, Result


def approve(
    model_admin: ModelAdmin,
    request: HttpRequest,
    queryset: QuerySet[WithdrawalRequest],
) -> HttpResponse | None:
    """Show totals, fees and float; approve and send once that is confirmed."""
    ids = list(queryset.values_list("pk", flat=True))
    try:
        preview = services.preview_batch(withdrawal_ids=ids, actor=request.user)
    except DomainError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return None
    if not request.POST.get("confirmed"):
        return _page(model_admin, request, preview)
    if request.POST.get("stamp") != preview.stamp:
        text = "The withdrawals have changed meanwhile. Look again."
        model_admin.message_user(request, text, messages.WARNING)
        return _page(model_admin, request, preview)
    results = services.approve_batch(
        withdrawal_ids=[row.withdrawal.pk for row in preview.included],
        actor=request.user,
        note=request.POST.get("note", "").replace("\x00", "")[:500],
    )
    _tell(model_admin, request, results)
    return None


def _page(
    model_admin: ModelAdmin, request: HttpRequest, preview: Preview
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Approve and pay out",
        "opts": model_admin.model._meta,
        "preview": preview,
        "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/withdrawals/approve_batch.html", context)


def _tell(model_admin: ModelAdmin, request: HttpRequest, results: list[Result]) -> None:
    waiting = [one for one in results if one.status == "requested"]
    for result in results:
        if result.error:
            text = f"Withdrawal {result.withdrawal_id}: {result.error}"
            model_admin.message_user(request, text, messages.ERROR)
    if waiting:
        text = f"{len(waiting)} approved by you; a second person has to."
        model_admin.message_user(request, text, messages.WARNING)
    if done := len([one for one in results if not one.error]) - len(waiting):
        text = f"{done} withdrawal(s) approved; they are being paid out."
        model_admin.message_user(request, text, messages.SUCCESS)
