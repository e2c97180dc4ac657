"""Has the caller lately proven who they are? A stolen session has not.

Sessions live for weeks by their refresh token. What leads money elsewhere takes more
than one that somebody left open: signing in, or allauth's `auth/reauthenticate`, not
long ago.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.headless.internal import sessionkit
from allauth.headless.tokens.strategies.jwt import internal as tokens
from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request

from credits_project.exceptions import DomainError


class ReauthenticationRequired(DomainError):
    """It is too long ago that the caller signed in."""

    code = "reauthentication-required"
    title = "Sign in again to do this."
    status = 403

    def __init__(self) -> None:
        super().__init__("Sign in, or authenticate, again and repeat the request.")


def check(request: Request) -> None:
    """Refuse a caller who signed in longer than REAUTHENTICATION_MINUTES ago.

    Raises:
        ReauthenticationRequired: it was longer ago, or nobody knows when.
    """
    minutes = settings.REAUTHENTICATION_MINUTES
    session = _session_of(request)
    # Whoever comes from outside has one: the token's, or the cookie's.
    if not minutes or session is None:
        return
    at = _authenticated_at(session, request.user)
    if at is None or at < timezone.now() - timedelta(minutes=minutes):
        raise ReauthenticationRequired


def _session_of(request: Request) -> Any:
    claims = request.auth
    if isinstance(claims, dict) and "sid" in claims:
        key = tokens.session_key_from_sid(claims["sid"])
        return None if key is None else sessionkit.lookup_session(key)
    session = getattr(request, "session", None)
    return session if session is not None and session.session_key else None


def _authenticated_at(session: Any, user: Any) -> datetime | None:
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY, [])
    times = [one["at"] for one in records if isinstance(one.get("at"), int | float)]
    if times:
        return datetime.fromtimestamp(max(times), UTC)
    # The console's own form leaves no record in the session.
    signed_in_at: datetime | None = user.last_login
    return signed_in_at
