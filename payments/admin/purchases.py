"""Purchases and their refunds, in the staff console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits_project.console import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    person,
)
from credits_project.money import CENT
from payments import services
from payments.console import ask_with_form, number_of, only_one, report
from payments.models import CreditPurchase, PurchaseRefund, ReviewCase


class ReviewFilter(admin.SimpleListFilter):
    """Purchases that staff are asked to look at, the paid ones among them too."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "In review"), ("decided", "Was in review")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CreditPurchase]
    ) -> QuerySet[CreditPurchase]:
        if self.value() == "open":
            asked = CreditPurchase.objects.in_review().values("pk")
            return queryset.filter(pk__in=asked)
        if self.value() == "decided":
            return queryset.filter(
                pk__in=ReviewCase.objects.exclude(status="open").values("purchase_id")
            )
        return queryset


class RefundForm(forms.Form):
    """What staff decide about a refund besides the reason."""

    credits = forms.DecimalField(
        required=False,
        max_digits=14,
        decimal_places=2,
        min_value=CENT,
        label="Credits to take back",
        help_text="Of those sold, bonus not counted. Empty: all that are left.",
    )


class ReturnForm(forms.Form):
    """How money went back."""

    via = forms.ChoiceField(
        choices=PurchaseRefund.Way.choices,
        label="By",
        help_text="The gateway itself refunds direct card charges only.",
    )


class CaseInline(ReadOnlyInline):
    """What staff were asked about a purchase."""

    model = ReviewCase
    fk_name = "purchase"
    fields = ("kind", "expected", "came", "status", "opened_at", "decided_by", "reason")
    readonly_fields = fields
    ordering = ("id",)
    show_change_link = True


class RefundInline(ReadOnlyInline):
    """What was refunded of a purchase."""

    model = PurchaseRefund
    fields = (
        "number",
        "credits",
        "bonus_credits",
        "money",
        "currency",
        "status",
        "reason",
        "actor",
        "created_at",
    )
    readonly_fields = fields
    ordering = ("number",)


@admin.register(CreditPurchase)
class CreditPurchaseAdmin(ReadOnlyAdmin):
    """Purchases: asking the gateway again, refunding."""

    list_display = (
        "tx_ref",
        "buyer",
        "total",
        "given",
        "cost",
        "status",
        "mode",
        "created_at",
        "paid_at",
    )
    list_filter = (ReviewFilter, "status", "currency", "mode", "created_at")
    list_select_related = ("user",)
    search_fields = (
        "tx_ref",
        "gateway_reference",
        "user__email",
        "user__username",
        "id",
    )
    search_help_text = "tx_ref, the gateway's reference, the buyer's e-mail, or id"
    ordering = ("-id",)
    exclude = ("idempotency_key", "idempotency_digest", "lease_token")
    inlines = (CaseInline, RefundInline)
    actions = ("recheck", "refund")

    @admin.display(description="credits")
    def total(self, purchase: CreditPurchase) -> str:
        return f"{purchase.total_credits}"

    @admin.display(description="credited")
    def given(self, purchase: CreditPurchase) -> str:
        # Another number where staff credited a part, or an excess.
        return f"{purchase.credited_credits + purchase.credited_bonus_credits}"

    @admin.display(description="buyer", ordering="user__email")
    def buyer(self, purchase: CreditPurchase) -> str:
        return person(purchase.user)

    @admin.display(description="price", ordering="price")
    def cost(self, purchase: CreditPurchase) -> str:
        return f"{purchase.price} {purchase.currency}"

    def has_recheck_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.recheck_creditpurchase")

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.refund_creditpurchase")

    @admin.action(description="Ask the gateway again", permissions=["recheck"])
    def recheck(self, request: HttpRequest, queryset: QuerySet[CreditPurchase]) -> None:
        """Ask the gateway about each, and do what it says."""
        for tx_ref in list(queryset.order_by("pk").values_list("tx_ref", flat=True)):

            def ask(tx_ref: str = tx_ref) -> str:
                purchase = services.settle_purchase(tx_ref=tx_ref, actor=request.user)
                return purchase.status

            report(self, request, f"Purchase {tx_ref}", ask)

    @admin.action(description="Refund", permissions=["refund"])
    def refund(
        self, request: HttpRequest, queryset: QuerySet[CreditPurchase]
    ) -> HttpResponse | None:
        """Take the credits of one purchase back."""
        purchase = only_one(self, request, queryset)
        if purchase is None:
            return None
        # The page says which refund it is for: pressed twice, it refunds once.
        sent = number_of(request.POST.get("number", ""))
        number = sent or purchase.refunds.count() + 1
        answer = ask_with_form(
            self,
            request,
            queryset.select_related("user"),
            form=RefundForm,
            action="refund",
            title="Refund a purchase",
            template="admin/payments/refund.html",
            context={
                "number": number,
                "left": purchase.credited_credits - purchase.refunded_credits,
            },
        )
        if isinstance(answer, HttpResponse):
            return answer
        reason, wishes = answer

        def refund() -> str:
            made = services.refund_purchase(
                purchase_id=purchase.pk,
                actor=request.user,
                reason=reason,
                credits=wishes["credits"],
                number=number,
            )
            return _outcome_of(made)

        report(self, request, f"Purchase {purchase.tx_ref}", refund)
        return None


def _outcome_of(refund: PurchaseRefund) -> str:
    return (
        f"{refund.credits} credits and {refund.bonus_credits} bonus taken back,"
        f" {refund.money} {refund.currency} {refund.get_status_display().lower()}"
        " to the payer"
    )


@admin.register(PurchaseRefund)
class PurchaseRefundAdmin(ReadOnlyAdmin):
    """Refunds, and the note that the money went back to the payer."""

    list_display = (
        "purchase",
        "number",
        "credits",
        "bonus_credits",
        "due",
        "status",
        "actor",
        "created_at",
        "returned_at",
        "returned_via",
        "returned_how",
    )
    list_filter = ("status", "returned_via", "created_at")
    list_select_related = ("purchase", "actor")
    search_fields = ("purchase__tx_ref", "purchase__user__email", "id")
    search_help_text = "tx_ref, the buyer's e-mail, or id"
    ordering = ("-id",)
    actions = ("note_returned",)

    @admin.display(description="money", ordering="money")
    def due(self, refund: PurchaseRefund) -> str:
        return f"{refund.money} {refund.currency}"

    def has_note_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_purchaserefund")

    @admin.action(description="Note that the money went back", permissions=["note"])
    def note_returned(
        self, request: HttpRequest, queryset: QuerySet[PurchaseRefund]
    ) -> HttpResponse | None:
        """Note how the money of refunds was returned."""
        answer = ask_with_form(
            self,
            request,
            queryset.select_related("purchase"),
            form=ReturnForm,
            action="note_returned",
            title="Note how the money went back",
            template="admin/payments/note_returned.html",
        )
        if isinstance(answer, HttpResponse):
            return answer
        how, said = answer
        for pk in list(queryset.order_by("pk").values_list("pk", flat=True)):

            def note(pk: Any = pk) -> str:
                services.note_money_returned(
                    refund_id=pk, actor=request.user, how=how, via=said["via"]
                )
                return "noted"

            report(self, request, f"Refund {pk}", note)
        return None
