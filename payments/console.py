"""What the console's actions on purchases, refunds and events have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits_project.console import ModelAdmin, ask_for_reason
from credits_project.exceptions import DomainError
from payments.models import CreditPurchase


def report(
    model_admin: ModelAdmin, request: HttpRequest, name: str, act: Callable[[], str]
) -> None:
    """Do one thing and tell what came of it, or why it was refused."""
    try:
        told = act()
    except DomainError as error:
        model_admin.message_user(request, f"{name}: {error}", messages.ERROR)
    else:
        model_admin.message_user(request, f"{name}: {told}.", messages.SUCCESS)


def only_one(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[CreditPurchase]
) -> CreditPurchase | None:
    """Return the one purchase that was chosen; none and a message if several were."""
    chosen = list(queryset[:2])
    if len(chosen) == 1:
        return chosen[0]
    model_admin.message_user(request, "Choose one purchase.", messages.ERROR)
    return None


def number_of(text: str) -> int | None:
    """Return the number that a form sent; none where it is no small whole number."""
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return int(text) if is_number else None


def ask_with_form(
    model_admin: ModelAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    *,
    form: type[forms.Form],
    action: str,
    title: str,
    template: str,
    context: dict[str, Any] | None = None,
) -> tuple[str, dict[str, Any]] | HttpResponse:
    """Return the reason and the form's values, or the page that asks for them."""
    is_confirmed = bool(request.POST.get("confirmed"))
    filled = form(request.POST if is_confirmed else None)
    if is_confirmed and not filled.is_valid():
        # Back to the page, which says what is wrong.
        sent = request.POST.copy()
        del sent["confirmed"]
        request.POST = sent  # type: ignore[assignment]
    reason = ask_for_reason(
        model_admin,
        request,
        queryset,
        action=action,
        title=title,
        template=template,
        context={"form": filled, **(context or {})},
    )
    if isinstance(reason, HttpResponse):
        return reason
    return reason, filled.cleaned_data
