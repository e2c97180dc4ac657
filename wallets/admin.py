"""The ledger in the staff console: everything to be seen, nothing to be edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from credits_project.console import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    ask_for_reason,
    person,
)
from credits_project.exceptions import DomainError
from wallets import services
from wallets.adjustment_admin import CreditAdjustmentAdmin as CreditAdjustmentAdmin
from wallets.explain import explain
from wallets.models import (
    CreditHold,
    CreditSeal,
    CreditTransaction,
    CreditTransfer,
    CreditWallet,
)
from wallets.system import PARTS, family_codes


class HolderFilter(admin.SimpleListFilter):
    """Users' wallets or system wallets."""

    title = "holder"
    parameter_name = "holder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("user", "Users"), ("system", "System")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CreditWallet]
    ) -> QuerySet[CreditWallet]:
        if self.value() == "user":
            return queryset.filter(user__isnull=False)
        if self.value() == "system":
            return queryset.filter(code__isnull=False)
        return queryset


class FamilyFilter(admin.SimpleListFilter):
    """System wallets by what they stand for, all parts together."""

    title = "family"
    parameter_name = "family"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(family, family) for family in PARTS]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CreditWallet]
    ) -> QuerySet[CreditWallet]:
        family: Any = self.value()
        if family not in PARTS:
            return queryset
        return queryset.filter(code__in=family_codes(family))


def holder_of(wallet: CreditWallet) -> str:
    """Return whose wallet it is: a person's, or a system wallet's code."""
    return wallet.code or person(wallet.user)


@admin.register(CreditWallet)
class CreditWalletAdmin(ReadOnlyAdmin):
    """Wallets, with freezing as the one thing that staff do to them."""

    list_display = (
        "holder",
        "balance",
        "held",
        "available",
        "sequence",
        "frozen_at",
        "updated_at",
    )
    list_filter = (
        HolderFilter,
        FamilyFilter,
        ("frozen_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("user",)
    search_fields = ("user__email", "user__username", "code", "id")
    search_help_text = "E-mail, username, code or id"
    ordering = ("-updated_at", "pk")
    fields = (
        "id",
        "holder",
        "balance",
        "held",
        "available",
        "sequence",
        "frozen_at",
        "frozen_reason",
        "created_at",
        "updated_at",
        "statement",
        "explanation",
    )
    readonly_fields = fields
    actions = ("freeze", "unfreeze")

    @admin.display(description="holder", ordering="user__email")
    def holder(self, wallet: CreditWallet) -> str:
        return holder_of(wallet)

    @admin.display(description="transactions")
    def statement(self, wallet: CreditWallet) -> str:
        rows = reverse("admin:wallets_credittransaction_changelist")
        holds = reverse("admin:wallets_credithold_changelist")
        return format_html(
            '<a href="{}?wallet__exact={}">All transactions</a>,'
            ' <a href="{}?wallet__exact={}">all holds</a>',
            rows,
            wallet.pk,
            holds,
            wallet.pk,
        )

    @admin.display(description="what it is made of")
    def explanation(self, wallet: CreditWallet) -> str:
        """Return what a person's figures are made of."""
        if wallet.user_id is None:
            # Of millions of rows, and each of one or two types.
            return "its transactions"
        explained = explain(wallet_id=wallet.pk, user_id=wallet.user_id)
        return render_to_string(
            "admin/wallets/explanation.html",
            {"explanation": explained, "figures": explained.figures.values()},
        )

    def has_freeze_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("wallets.freeze_wallet")

    @admin.action(
        description="Freeze: pays nothing, still receives", permissions=["freeze"]
    )
    def freeze(
        self, request: HttpRequest, queryset: QuerySet[CreditWallet]
    ) -> HttpResponse | None:
        return self._with_reason(request, queryset, services.freeze_wallet, "freeze")

    @admin.action(description="Unfreeze", permissions=["freeze"])
    def unfreeze(
        self, request: HttpRequest, queryset: QuerySet[CreditWallet]
    ) -> HttpResponse | None:
        return self._with_reason(
            request, queryset, services.unfreeze_wallet, "unfreeze"
        )

    def _with_reason(
        self,
        request: HttpRequest,
        queryset: QuerySet[CreditWallet],
        service: Any,
        action: str,
    ) -> HttpResponse | None:
        reason = ask_for_reason(
            self,
            request,
            queryset.select_related("user"),
            action=action,
            title=f"{action} wallets".capitalize(),
            template="admin/wallets/freeze.html",
        )
        if isinstance(reason, HttpResponse):
            return reason
        done = 0
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            try:
                service(wallet_id=pk, actor=request.user, reason=reason)
            except DomainError as error:
                self.message_user(request, f"Wallet {pk}: {error}", messages.ERROR)
            else:
                done += 1
        if done:
            self.message_user(request, f"{done} wallet(s): {action} done.")
        return None


class TransactionInline(ReadOnlyInline):
    """The rows of a transfer."""

    model = CreditTransaction
    fields = (
        "holder",
        "sequence",
        "transaction_type",
        "amount",
        "balance_before",
        "balance_after",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditTransaction]:
        """Return the rows with whose wallets they are, in the order of the wallets."""
        rows: QuerySet[CreditTransaction] = super().get_queryset(request)
        return rows.select_related("wallet__user").order_by("pk")

    @admin.display(description="wallet")
    def holder(self, row: CreditTransaction) -> str:
        address = reverse("admin:wallets_creditwallet_change", args=[row.wallet_id])
        return format_html('<a href="{}">{}</a>', address, holder_of(row.wallet))


@admin.register(CreditTransfer)
class CreditTransferAdmin(ReadOnlyAdmin):
    """Transfers with their rows."""

    list_display = ("id", "key", "description", "actor", "created_at")
    list_select_related = ("actor",)
    search_fields = ("id", "key", "description")
    ordering = ("-id",)
    inlines = (TransactionInline,)


@admin.register(CreditTransaction)
class CreditTransactionAdmin(ReadOnlyAdmin):
    """Transactions of all wallets, newest first."""

    list_display = (
        "created_at",
        "holder",
        "sequence",
        "transaction_type",
        "amount",
        "balance_before",
        "balance_after",
        "cause",
    )
    list_filter = ("transaction_type",)
    list_select_related = ("wallet__user", "transfer")
    search_fields = ("wallet__user__email", "wallet__code", "transfer__key")
    search_help_text = "E-mail or code of the wallet, or key of the transfer"
    ordering = ("-id",)

    @admin.display(description="wallet")
    def holder(self, row: CreditTransaction) -> str:
        return holder_of(row.wallet)

    @admin.display(description="transfer")
    def cause(self, row: CreditTransaction) -> str:
        transfer = row.transfer
        address = reverse("admin:wallets_credittransfer_change", args=[transfer.pk])
        text = transfer.description or transfer.key
        return format_html('<a href="{}">{}</a>', address, text)


@admin.register(CreditHold)
class CreditHoldAdmin(ReadOnlyAdmin):
    """What wallets hold back, and since when."""

    list_display = (
        "key",
        "holder",
        "amount",
        "reason",
        "releases_at",
        "released_at",
    )
    list_filter = (("released_at", admin.EmptyFieldListFilter),)
    list_select_related = ("wallet__user",)
    search_fields = ("key", "wallet__user__email")
    ordering = ("-id",)

    @admin.display(description="wallet")
    def holder(self, hold: CreditHold) -> str:
        return holder_of(hold.wallet)


@admin.register(CreditSeal)
class CreditSealAdmin(ReadOnlyAdmin):
    """Seals: what each covers, to be compared by eye with the file's lines."""

    list_display = (
        "number",
        "sealed_at",
        "last_id",
        "transactions",
        "transfers",
        "wallets",
        "digest",
    )
    ordering = ("-number",)
