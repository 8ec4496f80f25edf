"""Ids of rows: UUIDs that sort by the time of their making (version 7, RFC 9562)."""

import secrets
import time
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Rows made together lie together in the primary key's index, so a large table costs an insert no
    more than a small one.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | _VERSION_7 | (high << 64) | _VARIANT | low)
