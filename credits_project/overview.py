"""What the staff console's first page says: what waits for staff, and the books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Q, Sum
from django.urls import reverse
from django.utils import timezone

from credits_project.money import ZERO
from payments.models import (
    GatewayDifference,
    GatewayEvent,
    PurchaseRefund,
    RefusedDelivery,
    ReviewCase,
)
from wallets.models import CreditAdjustment, CreditSeal
from wallets.selectors import family_balances
from withdrawals.models import PayoutSwitch, WithdrawalRequest

_FAMILIES: Final = {
    "issued": "Sold: minus the credits that were bought",
    "promotions": "Given away: bonuses and grants",
    "adjustments": "Corrections made by staff",
    "opening": "Brought along from an earlier system",
    "withdrawals": "Requested by coaches, not yet paid out",
    "paid_out": "Paid out to coaches",
    "revenue": "The platform's commission",
}
_Status = WithdrawalRequest.Status
_DUE: Final = PurchaseRefund.Status.DUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A number with the list of what it counts."""

    label: str
    count: int
    address: str
    # In credits, where it is about any.
    credits: Decimal | None = None
    # Somebody has to do something while the number is not zero.
    is_urgent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The balance of a family of wallets, in credits."""

    name: str
    meaning: str
    balance: Decimal
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All credits by where they are; the total is zero unless something is wrong."""

    lines: list[Line]
    last_seal: CreditSeal | None


def tiles(user: Any) -> list[Tile]:
    """Return what waits for staff, as far as the user may see it."""
    found: list[Tile] = []
    if user.has_perm("withdrawals.view_withdrawalrequest"):
        found += _withdrawals()
    if user.has_perm("wallets.view_creditadjustment"):
        waiting = CreditAdjustment.Status.REQUESTED
        found.append(
            Tile(
                label="Adjustments to agree to",
                count=CreditAdjustment.objects.filter(status=waiting).count(),
                address=_list_of(
                    "wallets_creditadjustment", f"status__exact={waiting}"
                ),
            )
        )
    if user.has_perm("payments.view_reviewcase"):
        found.append(
            Tile(
                label="Cases to review",
                count=ReviewCase.objects.open().count(),
                address=reverse("admin:payments_reviewcase_changelist"),
            )
        )
    if user.has_perm("payments.view_purchaserefund"):
        found.append(
            Tile(
                label="Refunds to pay back",
                count=PurchaseRefund.objects.filter(status=_DUE).count(),
                address=_list_of("payments_purchaserefund", f"status__exact={_DUE}"),
            )
        )
    if user.has_perm("payments.view_gatewayevent"):
        parked = GatewayEvent.Status.PARKED
        found.append(
            Tile(
                label="Events parked",
                count=GatewayEvent.objects.filter(status=parked).count(),
                address=_list_of("payments_gatewayevent", f"status__exact={parked}"),
            )
        )
    if user.has_perm("payments.view_gatewaydifference"):
        is_open = GatewayDifference.Status.OPEN
        found.append(
            Tile(
                label="Differences with the gateway",
                count=GatewayDifference.objects.filter(status=is_open).count(),
                address=_list_of(
                    "payments_gatewaydifference", f"status__exact={is_open}"
                ),
            )
        )
    if user.has_perm("payments.view_refuseddelivery"):
        forged = RefusedDelivery.objects.filter(reason="not-authenticated")
        today = forged.filter(day=timezone.now().date())
        found.append(
            Tile(
                label="Forged deliveries today",
                count=today.aggregate(sum=Sum("count", default=0))["sum"],
                address=_list_of(
                    "payments_refuseddelivery", "reason=not-authenticated"
                ),
                is_urgent=False,
            )
        )
    return found


def payouts_are_frozen(user: Any) -> PayoutSwitch | None:
    """Return the switch where payouts are stopped and the user may know it."""
    if not user.has_perm("withdrawals.view_payoutswitch"):
        return None
    return PayoutSwitch.objects.filter(frozen_at__isnull=False).first()


def books(user: Any) -> Books | None:
    """Return where all credits are, if the user may see wallets."""
    if not user.has_perm("wallets.view_creditwallet"):
        return None
    lines = list(_lines())
    people = Line(
        name="people",
        meaning="In the wallets of learners and coaches",
        # The ledger adds up to zero, which the proof sees to; adding millions of
        # wallets up for each visit of this page would say the same.
        balance=-sum((line.balance for line in lines), ZERO),
        address=_list_of("wallets_creditwallet", "holder=user"),
    )
    seal = None
    if user.has_perm("wallets.view_creditseal"):
        seal = CreditSeal.objects.order_by("-number").first()
    return Books(lines=[people, *lines], last_seal=seal)


def _withdrawals() -> Iterator[Tile]:
    table = "withdrawals_withdrawalrequest"
    waiting = Q(status=_Status.REQUESTED)
    counts = WithdrawalRequest.objects.open().aggregate(
        waiting=Count("pk", filter=waiting),
        waiting_credits=Sum("credits", filter=waiting, default=ZERO),
        paying=Count("pk", filter=~waiting),
        paying_credits=Sum("credits", filter=~waiting, default=ZERO),
    )
    yield Tile(
        label="Withdrawals to decide",
        count=counts["waiting"],
        credits=counts["waiting_credits"],
        address=_list_of(table, f"status__exact={_Status.REQUESTED}"),
    )
    yield Tile(
        label="Being paid out",
        count=counts["paying"],
        credits=counts["paying_credits"],
        address=_list_of(table, f"status__in={_Status.APPROVED},{_Status.SENDING}"),
        is_urgent=False,
    )
    yield Tile(
        label="Payouts flagged",
        count=WithdrawalRequest.objects.exclude(flag="").count(),
        address=_list_of(table, "flagged=yes"),
    )


def _lines() -> Iterator[Line]:
    for family, balance in family_balances().items():
        yield Line(
            name=family,
            meaning=_FAMILIES[family],
            balance=balance,
            address=_list_of("wallets_creditwallet", f"family={family}"),
        )


def _list_of(table: str, query: str) -> str:
    return f"{reverse(f'admin:{table}_changelist')}?{query}"
