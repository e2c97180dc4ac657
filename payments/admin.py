"""Money in, in the staff console: to be seen, and acted upon through the services."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from credits_project.console import (
    ModelAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ask_for_reason,
    person,
)
from credits_project.money import CENT
from payments import services
from payments.console import ask_with_form, number_of, only_one, report
from payments.models import (
    CreditPackage,
    CreditPurchase,
    GatewayEvent,
    PurchaseRefund,
)


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


class ReviewFilter(admin.SimpleListFilter):
    """Purchases that staff are asked to look at, the paid ones among them too."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "In review"), ("closed", "Reviewed")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CreditPurchase]
    ) -> QuerySet[CreditPurchase]:
        if self.value() == "open":
            asked = CreditPurchase.objects.in_review().values("pk")
            return queryset.filter(pk__in=asked)
        if self.value() == "closed":
            return queryset.filter(reviewed_at__isnull=False)
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


class CloseForm(forms.Form):
    """How a review ends."""

    money_returned = forms.BooleanField(
        required=False,
        label="The payer got the money back",
        help_text="Ends what has no credits as refunded instead of expired.",
    )


class RefundInline(ReadOnlyInline):
    """What was refunded of a purchase."""

    model = PurchaseRefund
    fields = (
        "number",
        "credits",
        "bonus_credits",
        "money",
        "reason",
        "actor",
        "created_at",
        "returned_at",
    )
    readonly_fields = fields
    ordering = ("number",)


@admin.register(CreditPurchase)
class CreditPurchaseAdmin(ReadOnlyAdmin):
    """Purchases: asking the gateway again, refunding, closing reviews."""

    list_display = (
        "tx_ref",
        "buyer",
        "total",
        "cost",
        "status",
        "review_reason",
        "created_at",
        "paid_at",
    )
    list_filter = (ReviewFilter, "status", "currency", "created_at")
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
    inlines = (RefundInline,)
    actions = ("recheck", "refund", "close_review")

    @admin.display(description="credits")
    def total(self, purchase: CreditPurchase) -> str:
        return f"{purchase.total_credits}"

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
            queryset,
            form=RefundForm,
            action="refund",
            title="Refund a purchase",
            template="admin/payments/refund.html",
            context={
                "number": number,
                "left": purchase.credits - purchase.refunded_credits,
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
            return (
                f"{made.credits} credits and {made.bonus_credits} bonus taken back,"
                f" {made.money} {purchase.currency} due to the payer"
            )

        report(self, request, f"Purchase {purchase.tx_ref}", refund)
        return None

    @admin.action(description="Close the review", permissions=["refund"])
    def close_review(
        self, request: HttpRequest, queryset: QuerySet[CreditPurchase]
    ) -> HttpResponse | None:
        """Note what was done about purchases that are in review."""
        answer = ask_with_form(
            self,
            request,
            queryset,
            form=CloseForm,
            action="close_review",
            title="Close reviews",
            template="admin/payments/close_review.html",
        )
        if isinstance(answer, HttpResponse):
            return answer
        reason, wishes = answer
        for pk, tx_ref in list(queryset.order_by("pk").values_list("pk", "tx_ref")):

            def close(pk: Any = pk) -> str:
                closed = services.close_review(
                    purchase_id=pk,
                    actor=request.user,
                    reason=reason,
                    money_returned=wishes["money_returned"],
                )
                return f"reviewed, {closed.status}"

            report(self, request, f"Purchase {tx_ref}", close)
        return None


@admin.register(PurchaseRefund)
class PurchaseRefundAdmin(ReadOnlyAdmin):
    """Refunds, and the note that the money went back to the payer."""

    list_display = (
        "purchase",
        "number",
        "credits",
        "bonus_credits",
        "money",
        "actor",
        "created_at",
        "returned_at",
        "returned_how",
    )
    list_filter = (("returned_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("purchase", "actor")
    search_fields = ("purchase__tx_ref", "purchase__user__email", "id")
    search_help_text = "tx_ref, the buyer's e-mail, or id"
    ordering = ("-id",)
    actions = ("note_returned",)

    def has_note_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_purchaserefund")

    @admin.action(description="Note that the money went back", permissions=["note"])
    def note_returned(
        self, request: HttpRequest, queryset: QuerySet[PurchaseRefund]
    ) -> HttpResponse | None:
        """Note how the money of refunds was returned."""
        how = ask_for_reason(
            self,
            request,
            queryset.select_related("purchase"),
            action="note_returned",
            title="Note how the money went back",
        )
        if isinstance(how, HttpResponse):
            return how
        for pk in list(queryset.order_by("pk").values_list("pk", flat=True)):

            def note(pk: Any = pk) -> str:
                services.note_money_returned(refund_id=pk, actor=request.user, how=how)
                return "noted"

            report(self, request, f"Refund {pk}", note)
        return None


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
        text = bytes(event.body).decode("utf-8", "replace")
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
