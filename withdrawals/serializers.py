"""What the addresses of money out take and show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits_project.fields import CreditsField, InputSerializer, StrictDecimalField
from credits_project.filters import QueryParameters
from credits_project.money import CENT
from withdrawals.models import MethodKind, PayoutMethod, WithdrawalRequest

# Two characters or more that are neither blank nor control characters.
_CONTROL = "\\x00-\\x1f\\x7f-\\x9f"
_BLANK = "\\x20\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_NAME = f"^([^{_CONTROL}]*[^{_CONTROL}{_BLANK}]){{2}}[^{_CONTROL}]*$"


class DestinationOutput(serializers.Serializer[Any]):
    """An operator or a bank."""

    id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)


class DestinationsOutput(serializers.Serializer[Any]):
    """Where money can be sent to."""

    mobile_money = DestinationOutput(many=True, read_only=True)
    bank = DestinationOutput(many=True, read_only=True)


class PayoutMethodInput(InputSerializer):
    """Where one's earnings shall be sent."""

    # What `services.add_payout_method` takes, for the document.
    json_schema = {
        "allOf": [{"properties": {"account_name": {"pattern": _NAME}}}],
        "oneOf": [
            {
                "properties": {
                    "kind": {"const": "mobile_money"},
                    "account_number": {
                        "pattern": "^([+]?265|0)?(9[89]|8[89])[0-9]{7}$",
                    },
                }
            },
            {
                "properties": {
                    "kind": {"const": "bank"},
                    "account_number": {"pattern": "^[0-9]{5,20}$"},
                }
            },
        ],
    }

    kind = serializers.ChoiceField(choices=MethodKind.choices)
    # The operator's or bank's id, as /payout-destinations shows it.
    destination = serializers.CharField(max_length=100)
    account_name = serializers.CharField(max_length=200)
    account_number = serializers.CharField(max_length=30)


class PayoutMethodOutput(serializers.ModelSerializer[PayoutMethod]):
    """A payout method, its number masked."""

    destination = serializers.SerializerMethodField()
    account_number = serializers.CharField(source="masked_number", read_only=True)

    class Meta:
        model = PayoutMethod
        fields = (
            "id",
            "kind",
            "destination",
            "account_name",
            "account_number",
            "usable_from",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(DestinationOutput)
    def get_destination(self, method: PayoutMethod) -> dict[str, str]:
        """Return the operator or bank."""
        return {"id": method.destination_id, "name": method.destination_name}


class WithdrawalQuoteParameters(QueryParameters):
    """What a quote is asked for."""

    credits = CreditsField(min_value=CENT)


class WithdrawalLimitsOutput(serializers.Serializer[Any]):
    """What may be withdrawn now, in credits; null where there is no such limit.

    What is left within a day or a week counts the platform's own caps as well.
    """

    minimum = CreditsField(read_only=True, allow_null=True)
    maximum = CreditsField(read_only=True, allow_null=True)
    daily_cap = CreditsField(read_only=True, allow_null=True)
    daily_left = CreditsField(read_only=True, allow_null=True)
    weekly_cap = CreditsField(read_only=True, allow_null=True)
    weekly_left = CreditsField(read_only=True, allow_null=True)
    withdrawable = CreditsField(read_only=True)


class WithdrawalQuoteOutput(serializers.Serializer[Any]):
    """What a withdrawal would pay: gross = fee + net."""

    credits = CreditsField(source="terms.credits", read_only=True)
    rate = StrictDecimalField(source="terms.rate", decimal_places=4, read_only=True)
    gross = CreditsField(source="terms.gross", read_only=True)
    fee = CreditsField(source="terms.fee", read_only=True)
    net = CreditsField(source="terms.net", read_only=True)
    currency = serializers.CharField(source="terms.currency", read_only=True)
    limits = serializers.SerializerMethodField()

    @extend_schema_field(WithdrawalLimitsOutput)
    def get_limits(self, quote: Any) -> dict[str, Any]:
        """Return what may be withdrawn now."""
        limits = {
            **asdict(quote.limits),
            "daily_left": quote.limits.daily_allowed,
            "weekly_left": quote.limits.weekly_allowed,
            "withdrawable": quote.withdrawable,
        }
        return dict(WithdrawalLimitsOutput(limits).data)


class WithdrawalInput(InputSerializer):
    """How many credits to withdraw, and where to."""

    credits = CreditsField(min_value=CENT)
    payout_method = serializers.UUIDField()


class WithdrawalMethodOutput(serializers.Serializer[Any]):
    """The payout method as it was when the withdrawal was requested."""

    id = serializers.UUIDField(read_only=True)
    kind = serializers.ChoiceField(choices=MethodKind.choices, read_only=True)
    destination = DestinationOutput(read_only=True)
    account_name = serializers.CharField(read_only=True)
    account_number = serializers.CharField(read_only=True)


class WithdrawalOutput(serializers.ModelSerializer[WithdrawalRequest]):
    """A withdrawal; give rows of `selectors.withdrawals_of`."""

    credits = CreditsField(read_only=True)
    rate = StrictDecimalField(decimal_places=4, read_only=True)
    gross = CreditsField(read_only=True)
    fee = CreditsField(read_only=True)
    net = CreditsField(read_only=True)
    payout_method = serializers.SerializerMethodField()
    transfer = serializers.UUIDField(source="transfer_id", read_only=True)
    balance_after = CreditsField(read_only=True)

    class Meta:
        model = WithdrawalRequest
        fields = (
            "id",
            "status",
            "credits",
            "rate",
            "gross",
            "fee",
            "net",
            "currency",
            "payout_method",
            "requested_at",
            "decided_at",
            "paid_at",
            "failure_reason",
            "transfer",
            "balance_after",
        )
        read_only_fields = fields

    @extend_schema_field(WithdrawalMethodOutput)
    def get_payout_method(self, withdrawal: WithdrawalRequest) -> dict[str, Any]:
        """Return the method as it was, its number masked."""
        return {
            "id": str(withdrawal.payout_method_id),
            "kind": withdrawal.kind,
            "destination": {
                "id": withdrawal.destination_id,
                "name": withdrawal.destination_name,
            },
            "account_name": withdrawal.account_name,
            "account_number": withdrawal.masked_number,
        }
