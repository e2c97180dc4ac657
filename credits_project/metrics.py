"""How much work is waiting and what the ledger holds, for Prometheus to fetch."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from credits_project.problems import problem_response
from payments import services
from payments.models import (
    CreditPurchase,
    GatewayDifference,
    GatewayEvent,
    RefusedDelivery,
    ReviewCase,
)
from wallets.models import CreditAdjustment, CreditHold
from wallets.selectors import family_balances
from withdrawals.models import Payout, PayoutCase, PayoutSwitch, WithdrawalRequest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LOOPBACK = {"127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A name with its values, each under its labels."""

    name: str
    help: str
    values: dict[tuple[tuple[str, str], ...], object]

    def lines(self) -> Iterator[str]:
        """Yield the lines of Prometheus's text format."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.values.items():
            inner = ",".join(f'{label}="{word}"' for label, word in labels)
            yield f"{self.name}{{{inner}}} {value}" if inner else f"{self.name} {value}"


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus's text format, to those who may ask."""
    if not _may_ask(request):
        return problem_response(request, "not-found")
    lines = [line for gauge in gauges() for line in gauge.lines()]
    return HttpResponse("\n".join(lines) + "\n", content_type=CONTENT_TYPE)


def gauges() -> Iterator[Gauge]:
    """Yield all gauges. Each query reads an index of open rows, or a few rows."""
    yield Gauge(
        name="credits_open_work",
        help="Rows that wait for the program or for staff.",
        values={
            (("table", table), ("state", state)): count
            for table, states in _open_work().items()
            for state, count in states.items()
        },
    )
    yield Gauge(
        name="credits_system_balance",
        help="Credits in each family of system wallets.",
        values={(("family", f),): balance for f, balance in family_balances().items()},
    )
    # What this process has counted since is added before it is told.
    services.keep_refused()
    refused = RefusedDelivery.objects.values_list("reason").annotate(Sum("count"))
    yield Gauge(
        name="credits_refused_deliveries",
        help="Deliveries of the gateway that were refused, all in all.",
        values={(("reason", reason),): count for reason, count in refused},
    )
    frozen = PayoutSwitch.objects.filter(frozen_at__isnull=False).exists()
    yield Gauge(
        name="credits_payouts_frozen",
        help="1 while all payouts are frozen.",
        values={(): int(frozen)},
    )


def _open_work() -> dict[str, dict[str, int]]:
    now = timezone.now()
    events = GatewayEvent.objects.aggregate(
        received=Count("pk", filter=Q(status=GatewayEvent.Status.RECEIVED)),
        parked=Count("pk", filter=Q(status=GatewayEvent.Status.PARKED)),
    )
    payouts = Payout.objects.filter(
        status__in=[Payout.Status.READY, Payout.Status.SENT]
    ).aggregate(
        ready=Count("pk", filter=Q(status=Payout.Status.READY)),
        sent=Count("pk", filter=Q(status=Payout.Status.SENT)),
    )
    adjustments = CreditAdjustment.objects.filter(
        status=CreditAdjustment.Status.REQUESTED
    )
    holds = CreditHold.objects.open().filter(releases_at__isnull=False)
    return {
        "credit_purchases": _open_purchases(),
        "gateway_events": events,
        "review_cases": {"open": ReviewCase.objects.open().count()},
        "gateway_differences": {
            "open": GatewayDifference.objects.filter(
                status=GatewayDifference.Status.OPEN
            ).count()
        },
        "withdrawal_requests": _open_withdrawals(),
        "payout_cases": {"open": PayoutCase.objects.open().count()},
        "credit_adjustments": {"requested": adjustments.count()},
        "payouts": payouts,
        "credit_holds": {"overdue": holds.filter(releases_at__lt=now).count()},
    }


def _open_purchases() -> dict[str, int]:
    waiting = [*CreditPurchase.OPEN, CreditPurchase.Status.REVIEW]
    return CreditPurchase.objects.filter(status__in=waiting).aggregate(
        open=Count("pk", filter=Q(status__in=CreditPurchase.OPEN)),
        review=Count("pk", filter=Q(status=CreditPurchase.Status.REVIEW)),
    )


def _open_withdrawals() -> dict[str, int]:
    counts = WithdrawalRequest.objects.open().aggregate(
        requested=Count("pk", filter=Q(status=WithdrawalRequest.Status.REQUESTED)),
        approved=Count("pk", filter=Q(status=WithdrawalRequest.Status.APPROVED)),
        sending=Count("pk", filter=Q(status=WithdrawalRequest.Status.SENDING)),
    )
    # What the gateway says too late is often of a withdrawal that has ended.
    flagged = WithdrawalRequest.objects.exclude(flag="").count()
    return {**counts, "flagged": flagged}


def _may_ask(request: HttpRequest) -> bool:
    """Return whether the caller has the token; without one, is on this machine."""
    if settings.METRICS_TOKEN:
        sent = request.headers.get("Authorization", "")
        wanted = f"Bearer {settings.METRICS_TOKEN}"
        if hmac.compare_digest(sent.encode(), wanted.encode()):
            return True
    # Through a proxy on this machine everybody seems to be on it.
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return request.META.get("REMOTE_ADDR") in _LOOPBACK and not forwarded
