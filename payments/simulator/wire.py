"""How things look on the wire: PHP's JSON, sums, times, signatures, replies."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote


def php_json(value: Any) -> str:
    r"""Return `value` as PHP's json_encode writes it: no spaces, `\/`, `\u00e9`."""
    text = json.dumps(value, separators=(",", ":"))
    # A slash can only stand inside a string, so it can be replaced anywhere.
    return text.replace("/", "\\/")


def signature(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of the raw body in lower-case hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def number(amount: str | Decimal) -> int | float:
    """Return a sum as PHP sends it: an int where it is whole, a float otherwise."""
    exact = Decimal(amount)
    whole = int(exact)
    return whole if whole == exact else float(exact)


def now() -> str:
    """Return the time in the form of PHP's Carbon."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


@dataclass(kw_only=True, slots=True)
class Request:
    """A request as the handlers see it."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)
    # The JSON body: None where there is none or it cannot be read.
    document: Any = None
    # Names of the faults that apply to this request; handlers know some of them.
    faults: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class Reply:
    """An answer, and what is to go wrong while it is sent."""

    status: int = 200
    document: Any = None
    body: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    # Seconds to wait before anything is sent.
    wait_seconds: float = 0
    # Close the connection after this share of the body (0 with no status line).
    cut_after: float | None = None
    # Seconds between two bytes of the body.
    drip_seconds: float = 0

    def encoded(self) -> bytes:
        """Return the body's bytes."""
        if self.body is not None:
            return self.body
        return b"" if self.document is None else php_json(self.document).encode()


def success(message: str, data: Any) -> Reply:
    """Return the envelope of a request that worked."""
    document = {"status": "success", "message": message, "data": data}
    return Reply(document=document)


def failure(message: Any, *, status: int = 400, data: Any = None) -> Reply:
    """Return the envelope of a request that did not; `message` is text or by field."""
    document = {"status": "failed", "message": message, "data": data}
    return Reply(status=status, document=document)


def redirect(location: str, *, status: int = 302) -> Reply:
    """Send the browser elsewhere."""
    return Reply(
        status=status,
        body=b"",
        content_type="text/plain",
        headers={"Location": location},
    )


class Refused(Exception):
    """The request is not acceptable; `errors` is the envelope's message."""

    def __init__(self, errors: str | Mapping[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


def unquoted(segment: str) -> str:
    """Return a segment of a path as it was before it was quoted."""
    return unquote(segment)
