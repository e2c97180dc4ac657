"""What the ledger's addresses take and show."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from credits_project.fields import CreditsField, InputSerializer, MetadataField
from credits_project.filters import Filters, QueryParameters
from credits_project.money import CENT
from wallets.exceptions import NoSuchPeriod
from wallets.models import CreditTransaction, CreditTransfer
from wallets.periods import EndField, StartField
from wallets.services.transfers import TRANSFER_TYPES


class TransactionOutput(serializers.ModelSerializer[CreditTransaction]):
    """One row of a wallet."""

    transfer = serializers.UUIDField(source="transfer_id", read_only=True)
    description = serializers.CharField(source="transfer.description", read_only=True)
    metadata = serializers.DictField(source="transfer.metadata", read_only=True)
    amount = CreditsField(read_only=True)
    balance_before = CreditsField(read_only=True)
    balance_after = CreditsField(read_only=True)

    class Meta:
        model = CreditTransaction
        fields = (
            "sequence",
            "transfer",
            "transaction_type",
            "amount",
            "balance_before",
            "balance_after",
            "description",
            "metadata",
            "created_at",
        )
        read_only_fields = fields


class TransferOutput(serializers.ModelSerializer[CreditTransfer]):
    """A transfer with those of its rows that the caller may see.

    Give the rows as `context["legs"]`; `context["with_key"]` shows the key as well.
    """

    amount = serializers.SerializerMethodField()
    transactions = serializers.SerializerMethodField()
    key = serializers.CharField(read_only=True, required=False)

    class Meta:
        model = CreditTransfer
        fields = ("id", "key", "amount", "description", "transactions", "created_at")
        read_only_fields = fields

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields; the key is for those who may see everything."""
        fields = super().get_fields()
        if not self.context.get("with_key"):
            fields.pop("key", None)
        return fields

    def get_amount(self, transfer: CreditTransfer) -> str:
        """Return what moved, in credits, above zero."""
        moved = sum(leg.amount for leg in transfer.legs if leg.amount > 0)
        return f"{moved:.2f}"

    def get_transactions(self, transfer: CreditTransfer) -> list[dict[str, Any]]:
        """Return the visible rows."""
        legs = self.context["legs"]
        for leg in legs:
            leg.transfer = transfer
        return list(TransactionOutput(legs, many=True).data)


class TransferInput(InputSerializer):
    """A transfer from one user to another, named by e-mail."""

    to = serializers.EmailField(max_length=254)
    amount = CreditsField(min_value=CENT)
    note = serializers.CharField(max_length=200, allow_blank=True, default="")


class RpcTransferInput(InputSerializer):
    """A transfer between any two users."""

    from_user_id = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    to_user_id = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    amount = CreditsField(min_value=CENT)
    transaction_type = serializers.ChoiceField(
        choices=[(kind.value, kind.value) for kind in TRANSFER_TYPES],
        default="transfer",
    )
    description = serializers.CharField(max_length=500, allow_blank=True, default="")
    metadata = MetadataField(required=False, default=dict)


class BalanceOutput(serializers.Serializer[Any]):
    """A balance as it was."""

    at = serializers.DateTimeField()
    balance = CreditsField()


class BalanceParameters(QueryParameters):
    """The moment that is asked about."""

    at = serializers.DateTimeField()


class TransactionFilters(Filters):
    """Narrows a wallet's transactions down by type and time."""

    transaction_type = serializers.ChoiceField(
        choices=CreditTransaction.Type.choices, required=False
    )
    from_ = StartField(required=False)
    to = EndField(required=False)

    def narrow(self, queryset: Any, values: dict[str, Any]) -> Any:
        """Return the transactions from `from` up to the end of `to`."""
        if "transaction_type" in values:
            queryset = queryset.filter(transaction_type=values["transaction_type"])
        if "from" in values:
            queryset = queryset.filter(created_at__gte=values["from"])
        if "to" in values:
            queryset = queryset.filter(created_at__lt=values["to"])
        return queryset


class StatementParameters(QueryParameters):
    """Which statement, and in which form."""

    format = serializers.ChoiceField(choices=["csv", "pdf"], default="csv")
    from_ = StartField(required=False)
    to = EndField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise NoSuchPeriod
        return attrs
