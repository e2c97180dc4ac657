"""Bearer tokens, as allauth's headless API hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.headless.contrib.rest_framework.authentication import (
    JWTTokenAuthentication,
)
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    # DRF's views load what is here; the other way round would go in circles.
    from rest_framework.views import APIView


class AccessTokenAuthentication(JWTTokenAuthentication):  # type: ignore[misc]
    """`Authorization: Bearer <access token>`.

    The session behind the token is looked up on each request and its user must be
    active: signing out, or being deactivated, ends the token at once.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the token's user and its claims; none where no token was sent.

        Raises:
            AuthenticationFailed: the token is not valid, whatever is in it.
        """
        try:
            found: tuple[Any, Any] | None = super().authenticate(request)
        except AuthenticationFailed:
            request.token_refused = True  # type: ignore[attr-defined]
            raise
        except ValueError as error:
            # Text that no token consists of: wrong base64, characters beyond Latin-1.
            request.token_refused = True  # type: ignore[attr-defined]
            raise AuthenticationFailed("Invalid token.") from error
        return found

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge (RFC 6750), with the reason where a token was sent."""
        challenge = 'Bearer realm="api"'
        if getattr(request, "token_refused", False):
            challenge += ', error="invalid_token"'
        return challenge


def lacks_second_factor(user: Any) -> bool:
    """Return whether the user is staff without the second factor that they need."""
    return bool(
        settings.STAFF_MFA_REQUIRED and user.is_staff and not is_mfa_enabled(user)
    )


class HasSecondFactor(BasePermission):
    """For what staff do beyond what users may: a stolen password is not enough for it.

    The same as the console asks for. An account of a program is not staff.
    """

    message = "Staff need a second factor for this. Set one up at /accounts/2fa/."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller is no staff, or has a second factor."""
        return not lacks_second_factor(request.user)
