"""Identifiers of public rows."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): milliseconds first, then 74 random bits.

    Rows made one after the other lie beside each other in the index, so that inserts
    into a table of millions touch few pages; the random part cannot be guessed.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | (random >> 62) << 64
    value |= 0b10 << 62 | (random & (2**62 - 1))
    return uuid.UUID(int=value)
