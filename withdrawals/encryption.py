"""Account numbers at rest: sealed, and found again without being read.

The keys are derived from FIELD_ENCRYPTION_KEY, one for each purpose. A sealed number is
bound to its context, the row that it belongs to: moved to another row it does not open,
so that somebody who can write to the tables cannot send a payout to an account of
theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

# The first byte of what is sealed, so that another scheme can follow this one.
_VERSION: Final = b"\x01"
_NONCE_LENGTH: Final = 12


class UnreadableNumber(Exception):
    """The number was sealed with another key, for another row, or was altered."""


@sensitive_variables("number")
def seal(number: str, *, context: str) -> bytes:
    """Return `number` encrypted (AES-256-GCM) for the row that `context` names."""
    nonce = secrets.token_bytes(_NONCE_LENGTH)
    cipher = AESGCM(_key(settings.FIELD_ENCRYPTION_KEY, "account number"))
    return _VERSION + nonce + cipher.encrypt(nonce, number.encode(), context.encode())


def unseal(sealed: bytes | memoryview, *, context: str) -> str:
    """Return the number that `seal` was given.

    Raises:
        UnreadableNumber: another key or row, or an altered value.
    """
    data = bytes(sealed)
    start = len(_VERSION) + _NONCE_LENGTH
    if data[: len(_VERSION)] != _VERSION:
        raise UnreadableNumber(context)
    cipher = AESGCM(_key(settings.FIELD_ENCRYPTION_KEY, "account number"))
    try:
        return cipher.decrypt(
            data[len(_VERSION) : start], data[start:], context.encode()
        ).decode()
    except InvalidTag as error:
        raise UnreadableNumber(context) from error


@sensitive_variables("parts")
def fingerprint(*parts: str) -> str:
    """Return a keyed digest, in hex, that is equal for equal parts and tells nothing.

    Numbers are short: without the key all of them could be tried.
    """
    return _digest("fingerprint", parts)


def approval_digest(*parts: str) -> str:
    """Return a keyed digest, in hex, of what was approved; see `approvals`."""
    return _digest("approval", parts)


@sensitive_variables("parts", "message")
def _digest(purpose: str, parts: Iterable[str]) -> str:
    message = "\0".join(parts).encode()
    key = _key(settings.FIELD_ENCRYPTION_KEY, purpose)
    return hmac.new(key, message, hashlib.sha256).hexdigest()


@lru_cache(maxsize=8)
def _key(secret: str, purpose: str) -> bytes:
    derivation = HKDF(
        algorithm=SHA256(), length=32, salt=None, info=f"withdrawals {purpose}".encode()
    )
    return derivation.derive(secret.encode())
