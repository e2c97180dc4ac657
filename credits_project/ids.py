"""Identifiers of public rows."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): the time first, then 62 random bits.

    Rows made one after the other lie beside each other in the index, so that inserts
    into a table of millions touch few pages, and lists by id are in the order of time:
    the 12 bits after the milliseconds are their fraction. The rest cannot be guessed.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | (nanoseconds * 4096 // 1_000_000) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=value)
