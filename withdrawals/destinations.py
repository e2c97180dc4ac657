"""Where the gateway can send money: its operators and banks, kept for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.cache import cache

from credits_project.exceptions import UnknownReference
from payments.gateway import Destination, GatewayUnavailable, from_settings
from withdrawals.models import MethodKind

# Lists change a few times a year. Asked again after an hour; while the gateway is
# silent, an older one is better than none for a day.
_FRESH_SECONDS: Final = 3600
_USABLE_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    destinations: list[Destination]
    # Of the epoch: the cache may be shared between machines.
    asked_at: float


def all_destinations() -> list[Destination]:
    """Return every operator and bank that money can be sent to now.

    Those that do not support withdrawals are left out. Not to be called inside a
    transaction: it may ask the gateway.

    Raises:
        GatewayUnavailable: the gateway does not answer, and no recent list is kept.
    """
    # A list belongs to the gateway that gave it.
    key = f"withdrawals.destinations.{settings.PAYCHANGU_BASE_URL}"
    kept: _Kept | None = cache.get(key)
    if kept is not None and time.time() - kept.asked_at < _FRESH_SECONDS:
        return kept.destinations
    try:
        found = _ask()
    except GatewayUnavailable:
        if kept is None:
            raise
        return kept.destinations
    kept = _Kept(destinations=found, asked_at=time.time())
    cache.set(key, kept, timeout=_USABLE_SECONDS)
    return found


def destination(*, kind: str, destination_id: str) -> Destination:
    """Return the operator or bank that has this id.

    Raises:
        UnknownReference: money cannot be sent there.
        GatewayUnavailable: see `all_destinations`.
    """
    for found in all_destinations():
        if found.kind.value == kind and found.id == destination_id:
            return found
    name = "bank" if kind == MethodKind.BANK else "operator"
    raise UnknownReference("destination", f"Money cannot be sent to this {name}.")


def _ask() -> list[Destination]:
    gateway = from_settings()
    found = [*gateway.mobile_money_operators(), *gateway.banks()]
    return [destination for destination in found if destination.supports_withdrawals]
