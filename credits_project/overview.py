"""What the staff console's first page says: what waits for staff, and the books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Model, Q, Sum
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
        found.append(_in_status("Adjustments to agree to", CreditAdjustment, waiting))
    if user.has_perm("payments.view_reviewcase"):
        found.append(
            Tile(
                label="Cases to review",
                count=ReviewCase.objects.open().count(),
                address=reverse("admin:payments_reviewcase_changelist"),
            )
        )
    if user.has_perm("payments.view_purchaserefund"):
        due = PurchaseRefund.Status.DUE
        found.append(_in_status("Refunds to pay back", PurchaseRefund, due))
    if user.has_perm("payments.view_gatewayevent"):
        parked = GatewayEvent.Status.PARKED
        found.append(_in_status("Events parked", GatewayEvent, parked))
    if user.has_perm("payments.view_gatewaydifference"):
        is_open = GatewayDifference.Status.OPEN
        label = "Differences with the gateway"
        found.append(_in_status(label, GatewayDifference, is_open))
    if user.has_perm("payments.view_refuseddelivery"):
        found.append(_forged_today())
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


def _in_status(label: str, model: type[Model], status: str) -> Tile:
    """Count the rows of a table that are in a status."""
    table = f"{model._meta.app_label}_{model._meta.model_name}"
    return Tile(
        label=label,
        count=model._default_manager.filter(status=status).count(),
        address=_list_of(table, f"status__exact={status}"),
    )


def _forged_today() -> Tile:
    forged = RefusedDelivery.objects.filter(reason="not-authenticated")
    today = forged.filter(day=timezone.now().date())
    return Tile(
        label="Forged deliveries today",
        count=today.aggregate(sum=Sum("count", default=0))["sum"],
        address=_list_of("payments_refuseddelivery", "reason=not-authenticated"),
        is_urgent=False,
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
