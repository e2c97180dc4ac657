"""Repeating a request safely: `Idempotency-Key`, kept for ever with the row it made.

A view reads the key (`key_of`) and hands it to its service. The service, inside its
transaction, first claims the key (`claim`) and looks for the row of an earlier request
(`earlier`); it stores key and digest on the row that it creates, so that both exist or
neither does. The view answers with `answer`, which tells a replay by its header.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from credits_project.exceptions import (
    DomainError,
    IdempotencyKeyReused,
    RequestInProgress,
)

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_Row = TypeVar("_Row", bound=Model)


class InvalidIdempotencyKey(DomainError):
    """The `Idempotency-Key` header is empty, too long, or not visible ASCII."""

    code = "invalid-request"
    title = "The request does not have the expected form."
    status = 400

    def __init__(self) -> None:
        detail = "An Idempotency-Key has 1 to 255 visible ASCII characters."
        super().__init__(
            detail, errors=[{"pointer": HEADER, "code": "invalid", "detail": detail}]
        )


def key_of(request: Request) -> str | None:
    """Return the request's key; none where it sent none.

    Raises:
        InvalidIdempotencyKey: it is empty, too long, or not visible ASCII.
    """
    key: str | None = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    return key


def digest_of(**arguments: Any) -> str:
    """Return the SHA-256, in hex, of what a request asks for.

    Computed by the service from its own arguments, in the form in which it acts on
    them: "10", 10 and "10.00" are one amount once they are `Decimal` with two places.
    """
    canonical = json.dumps(
        arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def claim(*, user_id: int, scope: str, key: str) -> None:
    """Have the key to oneself until the open transaction ends.

    `scope` names the endpoint: the same key at another one is another key.

    Raises:
        RequestInProgress: another transaction has it now.
    """
    assert transaction.get_connection().in_atomic_block, "the claim ends with it"
    name = hashlib.sha256(f"{scope}\0{user_id}\0{key}".encode()).digest()
    number = int.from_bytes(name[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s::bigint)", [number])
        (claimed,) = cursor.fetchone() or (False,)
    if not claimed:
        raise RequestInProgress


def earlier(rows: QuerySet[_Row], *, key: str, digest: str) -> _Row | None:
    """Return the row that an earlier request made under the key; none if it is new.

    `rows` are the user's own, of the endpoint's table. The row that is found says so:
    see `is_replay`. Call it after `claim`.

    Raises:
        IdempotencyKeyReused: the earlier request asked for something else.
    """
    row = rows.filter(idempotency_key=key).first()
    if row is None:
        return None
    if getattr(row, "idempotency_digest") != digest:  # noqa: B009 - of several models
        raise IdempotencyKeyReused
    row.is_replay = True  # type: ignore[attr-defined]
    return row


def is_replay(row: Any) -> bool:
    """Return whether the row was made by an earlier request under the same key."""
    return bool(getattr(row, "is_replay", False))


def answer(row: Any, data: Any, *, status: int = 201) -> Response:
    """Answer with `data`, which shows `row`; the header tells that it is a repeat."""
    headers = {REPLAY_HEADER: "true"} if is_replay(row) else None
    return Response(data, status=status, headers=headers)
