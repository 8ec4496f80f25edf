"""Row ids: UUIDs that sort by creation time (version 7, RFC 9562)."""

import secrets
import time
from datetime import datetime
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def new_id(ending: bytes = b"") -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    `ending`, at most 7 bytes, replaces the last random bits. Rows created together are adjacent in
    the primary key's index, so an insert into a large table costs no more than into a small one.
    """
    given = 8 * len(ending)
    random = secrets.randbits(74 - given) << given | int.from_bytes(ending)
    return _version_7(time.time_ns() // 1_000_000, random)


def id_at(moment: datetime, random: int) -> UUID:
    """Return the UUIDv7 of a row created at `moment`; `random` supplies its 74 random bits."""
    return _version_7(int(moment.timestamp() * 1000), random)


def _version_7(milliseconds: int, random: int) -> UUID:
    # The version and the variant split the 74 random bits into 12 and 62 (RFC 9562, section 5.7).
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | _VERSION_7 | (high << 64) | _VARIANT | low)
