"""Ids of rows: UUIDs that sort by the time of their making (version 7, RFC 9562)."""

import secrets
import time
from datetime import datetime
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Rows made together lie together in the primary key's index, so a large table costs an insert no
    more than a small one.
    """
    return _version_7(time.time_ns() // 1_000_000, secrets.randbits(74))


def id_at(moment: datetime, random: int) -> UUID:
    """Return the id of a row made at another moment; `random` are its 74 random bits."""
    return _version_7(int(moment.timestamp() * 1000), random)


def _version_7(milliseconds: int, random: int) -> UUID:
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | _VERSION_7 | (high << 64) | _VARIANT | low)
