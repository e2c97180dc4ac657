"""Limits on how often a client may call. The limits on money stand in the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:
    # DRF's views load the throttles; the other way round would go in circles.
    from rest_framework.views import APIView


class _Throttle(SimpleRateThrottle):
    def get_rate(self) -> str | None:
        """Return the rate of the settings; none switches the limit off."""
        rest_framework: dict[str, Any] = settings.REST_FRAMEWORK
        return rest_framework["DEFAULT_THROTTLE_RATES"][self.scope] or None

    def _key(self, ident: object) -> str:
        return str(self.cache_format % {"scope": self.scope, "ident": ident})


class AnonThrottle(_Throttle):
    """Limits those who are not signed in, by their address."""

    scope = "anon"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the caller's address; none for those who are signed in."""
        if request.user.is_authenticated:
            return None
        return self._key(self.get_ident(request))


class UserThrottle(_Throttle):
    """Limits each user, from wherever they call."""

    scope = "user"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the user; none for those who are not signed in."""
        return self._key(request.user.pk) if request.user.is_authenticated else None


class MoneyThrottle(_Throttle):
    """Limits each user's POSTs to views that say `moves_money = True`."""

    scope = "money"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the user, for a request that moves money."""
        if request.method != "POST" or not getattr(view, "moves_money", False):
            return None
        return self._key(request.user.pk or self.get_ident(request))
