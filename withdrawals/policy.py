"""What a withdrawal pays out, and how much may be withdrawn.

The caps, of each coach and of all together, count what was requested within the last 24
hours and the last 7 days, rolling: with calendar days, twice the cap could leave around
midnight. Withdrawals that were rejected, cancelled or failed do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet, Sum

from credits_project.money import CENT, MAX_CREDITS, ZERO, positive_amount, split_fee
from withdrawals.exceptions import Limit, PayoutRateMissing, WithdrawalLimit
from withdrawals.models import PayoutRate, WithdrawalRequest

CURRENCY: Final = "MWK"
_KWACHA: Final = Decimal(1)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
# Names the lock; any number that nothing else uses.
_SYSTEM_LOCK: Final = 0x77697468647261


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
    # How many more withdrawals may be requested.
    count_left: int | None
    # What all coaches together may still withdraw.
    system_daily_left: Decimal | None
    system_weekly_left: Decimal | None

    @property
    def daily_allowed(self) -> Decimal | None:
        """What the user may still withdraw within 24 hours, every limit considered."""
        if self.count_left == 0:
            return ZERO
        return _least_of(self.daily_left, self.system_daily_left)

    @property
    def weekly_allowed(self) -> Decimal | None:
        """What the user may still withdraw within 7 days, every limit considered."""
        return _least_of(self.weekly_left, self.system_weekly_left)


def terms_of(credits: Decimal, *, now: datetime) -> Terms:
    """Return what `credits` would pay out at the rate in effect at `now`.

    Raises:
        InvalidInput: not an amount above zero.
        WithdrawalLimit: the fee would leave less than one kwacha, or the amount is
            beyond all sums of money.
        PayoutRateMissing: no rate is in effect.
    """
    credits = positive_amount(credits, field="credits")
    rate = _rate(now)
    gross = (credits * rate).quantize(CENT, rounding=ROUND_DOWN)
    if gross >= MAX_CREDITS:
        most = ((MAX_CREDITS - CENT) / rate).quantize(CENT, rounding=ROUND_DOWN)
        raise WithdrawalLimit(limit="maximum", allowed=most)
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

    Exact for whoever holds the lock of the user's wallet, which every request takes,
    and of all together for whoever called `lock_system`.
    """
    minimum = settings.WITHDRAWAL_MINIMUM.quantize(CENT)
    maximum = settings.WITHDRAWAL_MAXIMUM.quantize(CENT)
    everyone = WithdrawalRequest.objects.exclude(
        status__in=[*WithdrawalRequest.GIVEN_BACK]
    )
    own = everyone.filter(user_id=user_id)
    daily_cap, daily_left = _cap(settings.WITHDRAWAL_DAILY_CAP, own, now - _DAY)
    weekly_cap, weekly_left = _cap(settings.WITHDRAWAL_WEEKLY_CAP, own, now - _WEEK)
    return Limits(
        minimum=minimum or None,
        maximum=maximum or None,
        daily_cap=daily_cap,
        daily_left=daily_left,
        weekly_cap=weekly_cap,
        weekly_left=weekly_left,
        count_left=_count_left(user_id, now - _DAY),
        system_daily_left=_cap(
            settings.WITHDRAWAL_SYSTEM_DAILY_CAP, everyone, now - _DAY
        )[1],
        system_weekly_left=_cap(
            settings.WITHDRAWAL_SYSTEM_WEEKLY_CAP, everyone, now - _WEEK
        )[1],
    )


def lock_system() -> None:
    """Queue up with all other requests, where there is a cap on all together.

    Held until the transaction ends; to be taken before the wallets.
    """
    caps = (
        settings.WITHDRAWAL_SYSTEM_DAILY_CAP,
        settings.WITHDRAWAL_SYSTEM_WEEKLY_CAP,
    )
    if any(caps):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [_SYSTEM_LOCK])


def check_limits(credits: Decimal, limits: Limits) -> None:
    """Refuse an amount that policy does not allow.

    Raises:
        WithdrawalLimit: naming the first limit that it does not keep.
    """
    if limits.minimum is not None and credits < limits.minimum:
        raise WithdrawalLimit(limit="minimum", allowed=limits.minimum)
    if limits.count_left == 0:
        raise WithdrawalLimit(limit="daily_count", allowed=ZERO)
    most: tuple[tuple[Limit, Decimal | None], ...] = (
        ("maximum", limits.maximum),
        ("daily", limits.daily_left),
        ("weekly", limits.weekly_left),
        ("system_daily", limits.system_daily_left),
        ("system_weekly", limits.system_weekly_left),
    )
    for limit, allowed in most:
        if allowed is not None and credits > allowed:
            raise WithdrawalLimit(limit=limit, allowed=allowed)


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


def _count_left(user_id: int, since: datetime) -> int | None:
    """Return how many more the user may request; those that came back count as well.

    Each costs staff a decision, or the gateway a call.
    """
    if not settings.WITHDRAWAL_DAILY_COUNT:
        return None
    requests = WithdrawalRequest.objects.filter(user_id=user_id, requested_at__gt=since)
    return max(0, settings.WITHDRAWAL_DAILY_COUNT - requests.count())


def _least_of(*amounts: Decimal | None) -> Decimal | None:
    return min((amount for amount in amounts if amount is not None), default=None)


def _least(rate: Decimal) -> Decimal:
    """Return the fewest credits that pay out a kwacha; zero where none do."""
    share = 1 - settings.WITHDRAWAL_FEE_RATE
    if not share:
        return ZERO
    least = (settings.WITHDRAWAL_FEE_FLAT + _KWACHA) / (rate * share)
    return Decimal(least).quantize(CENT, rounding=ROUND_CEILING)
