"""A machine that tries codes is stopped; people with real codes never are.

Only misses count: by user, by address and, for the short codes of the earlier service, by all
together. They are kept in PostgreSQL, so all processes and replicas count as one. A hit costs one
look at a primary key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import F

from credits.errors import DomainError
from gifts import code_format
from gifts.models import GiftMisses

WINDOW = timedelta(minutes=10)
KEPT = timedelta(days=1)  # for support to see
IPV6_NETWORK_BITS = 64

_COUNT = """
    INSERT INTO gifts.gift_misses AS m (bucket, misses, since)
    SELECT unnest(%(buckets)s::text[]), 1, %(now)s
    ON CONFLICT (bucket) DO UPDATE SET
        misses = CASE WHEN m.since <= %(start)s THEN 1 ELSE m.misses + 1 END,
        refused = CASE WHEN m.since <= %(start)s THEN 0 ELSE m.refused END,
        since = CASE WHEN m.since <= %(start)s THEN excluded.since ELSE m.since END
    RETURNING bucket, misses, since
"""


class Guesser(NamedTuple):
    """Who tries a code: from which address, and with whose token if with any."""

    address: str
    user_id: str | None = None


class TooManyMisses(DomainError):
    """Too many codes were tried that are none. `retry_after` says when it is worth trying again."""

    code = "too_many_attempts"
    status = 429
    message = "Too many wrong codes were tried; please try again later"


@contextmanager
def counting(
    miss: type[DomainError], *, text: str, guesser: Guesser, now: datetime
) -> Iterator[None]:
    """Refuse whoever has tried too much; count it when the block raises `miss`.

    `text` is the code as it was typed. The count is kept whatever becomes of the block's own
    transaction. Raises TooManyMisses, also in place of a `miss` that is one too many.
    """
    limits = _limits(text, guesser)
    _refuse(limits, _counted(limits, now), now)
    try:
        yield
    except miss:
        _refuse({bucket: limit + 1 for bucket, limit in limits.items()}, _count(limits, now), now)
        raise


def forget(now: datetime) -> None:
    """Remove the counts that began more than a day ago; after ten minutes they hold nobody up."""
    GiftMisses.objects.filter(since__lte=now - KEPT).delete()


def forget_user(user_id: str) -> int:
    """Remove the count of a user; return how many there were."""
    return GiftMisses.objects.filter(pk=_bucket(user_id)).delete()[0]


def _bucket(user_id: str) -> str:
    return f"user:{user_id}"


def _limits(text: str, guesser: Guesser) -> dict[str, int]:
    allowed: Mapping[str, int] = settings.GIFT_MISS_LIMITS
    limits = {f"address:{network(guesser.address)}": allowed["address"]}
    if guesser.user_id is not None:
        limits[_bucket(guesser.user_id)] = allowed["user"]
    code = code_format.read(text)
    if code is not None and code_format.is_short(code):
        limits["short codes"] = allowed["short codes"]
    return limits


def network(address: str) -> str:
    """Return what counts as one address: of IPv6 the network that one customer gets."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "unknown"
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, IPV6_NETWORK_BITS), strict=False))


def _refuse(
    limits: Mapping[str, int], counted: Mapping[str, tuple[int, datetime]], now: datetime
) -> None:
    ends = {
        bucket: since + WINDOW
        for bucket, (misses, since) in counted.items()
        if misses >= limits[bucket]
    }
    if ends:
        for bucket in sorted(ends):
            GiftMisses.objects.filter(pk=bucket).update(refused=F("refused") + 1)
        refusal = TooManyMisses()
        refusal.retry_after = max(1, ceil((max(ends.values()) - now).total_seconds()))
        raise refusal


def _counted(limits: Mapping[str, int], now: datetime) -> dict[str, tuple[int, datetime]]:
    rows = GiftMisses.objects.filter(bucket__in=list(limits), since__gt=now - WINDOW)
    return {
        bucket: (n, since) for bucket, n, since in rows.values_list("bucket", "misses", "since")
    }


def _count(limits: Mapping[str, int], now: datetime) -> dict[str, tuple[int, datetime]]:
    # In one order always, so that two who miss at once do not wait for each other.
    values: dict[str, Any] = {"buckets": sorted(limits), "now": now, "start": now - WINDOW}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        return {bucket: (misses, since) for bucket, misses, since in cursor.fetchall()}
