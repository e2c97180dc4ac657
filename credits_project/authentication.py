"""Bearer tokens, as allauth's headless API hands them out."""

from __future__ import annotations

from typing import Any

from allauth.headless.contrib.rest_framework.authentication import (
    JWTTokenAuthentication,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


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
