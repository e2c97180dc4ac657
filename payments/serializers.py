"""What the API takes and shows of money in."""

from __future__ import annotations

from rest_framework import serializers

from credits_project.fields import CreditsField, InputSerializer, StrictDecimalField
from payments.models import CreditPackage, CreditPurchase


class PackageOutput(serializers.ModelSerializer[CreditPackage]):
    """A package that is on sale."""

    credits = CreditsField(read_only=True)
    bonus_credits = CreditsField(read_only=True, help_text="Given on top.")
    price = StrictDecimalField(read_only=True, help_text="In `currency`.")

    class Meta:
        model = CreditPackage
        fields = ["id", "name", "credits", "bonus_credits", "price", "currency"]
        read_only_fields = fields


class PurchaseInput(InputSerializer):
    """What is ordered."""

    package = serializers.UUIDField(help_text="The `id` of a package that is on sale.")


class PurchaseOutput(serializers.ModelSerializer[CreditPurchase]):
    """A purchase at the terms it was ordered at."""

    credits = CreditsField(read_only=True)
    bonus_credits = CreditsField(read_only=True)
    price = StrictDecimalField(read_only=True, help_text="In `currency`.")
    checkout_url = serializers.SerializerMethodField(
        help_text="Where the payer pays; null while there is no page."
    )
    transfer = serializers.UUIDField(
        source="transfer_id",
        read_only=True,
        allow_null=True,
        help_text="The transfer that brought the credits; null until it is paid.",
    )

    class Meta:
        model = CreditPurchase
        fields = [
            "id",
            "tx_ref",
            "status",
            "credits",
            "bonus_credits",
            "price",
            "currency",
            "checkout_url",
            "transfer",
            "created_at",
            "paid_at",
        ]
        read_only_fields = fields

    def get_checkout_url(self, purchase: CreditPurchase) -> str | None:
        """Return the address of the page to pay on."""
        return purchase.checkout_url or None
