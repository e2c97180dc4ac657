"""What a withdrawal pays out, and how much may be withdrawn.

The caps count what was requested within the last 24 hours and the last 7 days, rolling:
with calendar days, twice the cap could leave around midnight. Withdrawals that were
rejected, cancelled or failed do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final

from django.conf import settings
from django.db.models import QuerySet, Sum

from credits_project.exceptions import InvalidInput
from credits_project.money import CENT, MAX_CREDITS, ZERO, positive_amount, split_fee
from withdrawals.exceptions import PayoutRateMissing, WithdrawalLimit
from withdrawals.models import PayoutRate, WithdrawalRequest

CURRENCY: Final = "MWK"
_KWACHA: Final = Decimal(1)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What `credits` pay out. Money is in `currency`; gross = fee + net."""

    credits: Decimal
    # Money per credit.
    rate: Decimal
    gross: Decimal
    fee: Decimal
    # Whole kwacha.
    net: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What policy allows a user now, in credits. None where there is no such limit."""

    minimum: Decimal | None
    maximum: Decimal | None
    daily_cap: Decimal | None
    daily_left: Decimal | None
    weekly_cap: Decimal | None
    weekly_left: Decimal | None


def terms_of(credits: Decimal, *, now: datetime) -> Terms:
    """Return what `credits` would pay out at the rate in effect at `now`.

    Raises:
        InvalidInput: not an amount above zero, or one beyond all sums of money.
        WithdrawalLimit: the fee would leave less than one kwacha.
        PayoutRateMissing: no rate is in effect.
    """
    credits = positive_amount(credits, field="credits")
    rate = _rate(now)
    gross = (credits * rate).quantize(CENT, rounding=ROUND_DOWN)
    if gross >= MAX_CREDITS:
        raise InvalidInput("credits", "The amount is too large.", reason="max_value")
    _, rest = split_fee(gross, fee_rate=settings.WITHDRAWAL_FEE_RATE)
    # What rounding down leaves over is part of the fee.
    net = (rest - settings.WITHDRAWAL_FEE_FLAT).quantize(_KWACHA, rounding=ROUND_DOWN)
    if net < _KWACHA:
        raise WithdrawalLimit(limit="minimum", allowed=_least(rate))
    net = net.quantize(CENT)
    return Terms(
        credits=credits,
        rate=rate,
        gross=gross,
        fee=gross - net,
        net=net,
        currency=CURRENCY,
    )


def limits_of(*, user_id: int, now: datetime) -> Limits:
    """Return what policy allows the user now.

    Exact for whoever holds the lock of the user's wallet, which every request takes.
    """
    minimum = settings.WITHDRAWAL_MINIMUM.quantize(CENT)
    maximum = settings.WITHDRAWAL_MAXIMUM.quantize(CENT)
    counted = WithdrawalRequest.objects.filter(user_id=user_id).exclude(
        status__in=[*WithdrawalRequest.GIVEN_BACK]
    )
    daily_cap, daily_left = _cap(settings.WITHDRAWAL_DAILY_CAP, counted, now - _DAY)
    weekly_cap, weekly_left = _cap(settings.WITHDRAWAL_WEEKLY_CAP, counted, now - _WEEK)
    return Limits(
        minimum=minimum or None,
        maximum=maximum or None,
        daily_cap=daily_cap,
        daily_left=daily_left,
        weekly_cap=weekly_cap,
        weekly_left=weekly_left,
    )


def check_limits(credits: Decimal, limits: Limits) -> None:
    """Refuse an amount that policy does not allow.

    Raises:
        WithdrawalLimit: naming the first limit that it does not keep.
    """
    if limits.minimum is not None and credits < limits.minimum:
        raise WithdrawalLimit(limit="minimum", allowed=limits.minimum)
    if limits.maximum is not None and credits > limits.maximum:
        raise WithdrawalLimit(limit="maximum", allowed=limits.maximum)
    if limits.daily_left is not None and credits > limits.daily_left:
        raise WithdrawalLimit(limit="daily", allowed=limits.daily_left)
    if limits.weekly_left is not None and credits > limits.weekly_left:
        raise WithdrawalLimit(limit="weekly", allowed=limits.weekly_left)


def approvals_for(credits: Decimal) -> int:
    """Return how many people have to approve a withdrawal of `credits`."""
    if credits < settings.WITHDRAWAL_AUTO_APPROVE_BELOW:
        return 0
    above = settings.WITHDRAWAL_TWO_APPROVERS_ABOVE
    return 2 if above and credits > above else 1


def _rate(now: datetime) -> Decimal:
    rates = PayoutRate.objects.filter(currency=CURRENCY, effective_from__lte=now)
    rate = rates.order_by("-effective_from").values_list("rate", flat=True).first()
    if rate is None:
        raise PayoutRateMissing
    return rate


def _cap(
    setting: Decimal, counted: QuerySet[WithdrawalRequest], since: datetime
) -> tuple[Decimal | None, Decimal | None]:
    if not setting:
        return None, None
    used = counted.filter(requested_at__gt=since).aggregate(
        total=Sum("credits", default=ZERO)
    )["total"]
    cap = setting.quantize(CENT)
    return cap, max(ZERO, cap - used)


def _least(rate: Decimal) -> Decimal:
    """Return the fewest credits that pay out a kwacha; zero where none do."""
    share = 1 - settings.WITHDRAWAL_FEE_RATE
    if not share:
        return ZERO
    least = (settings.WITHDRAWAL_FEE_FLAT + _KWACHA) / (rate * share)
    return Decimal(least).quantize(CENT, rounding=ROUND_CEILING)
