"""The throttle for invalid gift codes: limits guessing without limiting people with valid codes.

Only misses are counted: per user, per network and, for the short codes of the earlier service, for
all callers together. The counts are in PostgreSQL, so all processes and replicas share them. A
valid code costs one lookup by primary key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import F, Q

from credits import due_rows
from credits.client_ip import network_of
from credits.errors import DomainError
from gifts import code_format
from gifts.models import GiftMisses

WINDOW = timedelta(minutes=10)
KEPT = timedelta(days=1)  # longer than the window, so that support can see the counts
# `gifts.redeem_gift` has the same rules, with the same numbers.
FORGIVEN = 2  # misses after which others' misses at the same address count against a user too
SHORT_CODES = "short codes"

# A window that has ended starts again, and so does one in the future, from a wrong clock.
_COUNT = """
    INSERT INTO gifts.gift_misses AS m (bucket, misses, since)
    SELECT unnest(%(buckets)s::text[]), 1, %(now)s
    ON CONFLICT (bucket) DO UPDATE SET
        misses = CASE WHEN m.since > %(start)s AND m.since <= %(end)s THEN m.misses + 1 ELSE 1 END,
        refused = CASE WHEN m.since > %(start)s AND m.since <= %(end)s THEN m.refused ELSE 0 END,
        since = CASE WHEN m.since > %(start)s AND m.since <= %(end)s
            THEN m.since ELSE excluded.since END
    RETURNING bucket, misses, since
"""


class Attempt(NamedTuple):
    """The caller who tries a code: the IP address, and the user id if there is a token."""

    address: str
    user_id: str | None = None


class Allowance(NamedTuple):
    """The maximum number of invalid codes per bucket since a given time."""

    limits: Mapping[str, int]
    since: datetime


class TooManyMisses(DomainError):
    """Too many invalid codes were tried. `retry_after` is the number of seconds to wait."""

    code = "too_many_attempts"
    status = 429
    message = "Too many invalid codes were tried; please try again later"


@contextmanager
def counting(
    miss: type[DomainError], *, text: str, guesser: Attempt, now: datetime
) -> Iterator[None]:
    """Raise TooManyMisses if a limit is reached; count an invalid code if the block raises `miss`.

    `text` is the code as it was typed. The count is kept even if the block's own transaction is
    rolled back. TooManyMisses also replaces the `miss` that exceeds the limit.
    """
    allowed = allowance(text, guesser, now=now)
    _refuse(_checked(allowed, guesser, now), _counted(allowed), now)
    try:
        yield
    except miss:
        count_miss(allowed, now=now)
        raise


def allowance(text: str, guesser: Attempt, *, now: datetime) -> Allowance:
    """Return the limits that apply to the caller for the code `text`."""
    allowed: Mapping[str, int] = settings.GIFT_MISS_LIMITS
    limits = {f"address:{network_of(guesser.address)}": allowed["address"]}
    if guesser.user_id is not None:
        limits[GiftMisses.bucket_of(guesser.user_id)] = allowed["user"]
    code = code_format.read(text)
    # Only imported codes are short enough that many callers together could guess one.
    if code is not None and code_format.is_short(code):
        limits[SHORT_CODES] = allowed[SHORT_CODES]
    return Allowance(limits, now - WINDOW)


def count_miss(allowed: Allowance, *, now: datetime) -> None:
    """Count an invalid code. Raises TooManyMisses if it exceeds a limit."""
    # The miss that reaches the limit is still answered. Only the next one is refused.
    beyond = {bucket: limit + 1 for bucket, limit in allowed.limits.items()}
    _refuse(beyond, _count(allowed, now), now)


def error_until(since: datetime | None, *, now: datetime) -> TooManyMisses:
    """Return the error for a count that began at `since`, with the time to wait."""
    refusal = TooManyMisses()
    end = (since or now) + WINDOW
    refusal.retry_after = max(1, ceil((end - now).total_seconds()))
    return refusal


def _checked(allowed: Allowance, guesser: Attempt, now: datetime) -> dict[str, int]:
    """Return the limits that apply. Others' misses do not stop a user with few of their own."""
    if guesser.user_id is None:
        return dict(allowed.limits)
    own = GiftMisses.objects.filter(
        pk=GiftMisses.bucket_of(guesser.user_id), since__gt=now - KEPT, since__lte=now + WINDOW
    ).first()
    many = own is not None and own.since > allowed.since and own.misses > FORGIVEN
    # A user with invalid codes of their own also counts against the limit of all callers.
    exempt = set() if own else {SHORT_CODES}
    if not many:
        exempt.add(f"address:{network_of(guesser.address)}")
    return {bucket: limit for bucket, limit in allowed.limits.items() if bucket not in exempt}


def forget(now: datetime) -> None:
    """Delete the counts that began more than a day ago. They stop limiting after ten minutes."""
    old = GiftMisses.objects.filter(Q(since__lte=now - KEPT) | Q(since__gt=now + KEPT))
    for _ in due_rows.change_free(old, lambda rows: rows.delete()[0]):
        pass


def forget_user(user_id: str) -> int:
    """Delete the count of a user; return the number of deleted rows."""
    return GiftMisses.objects.filter(pk=GiftMisses.bucket_of(user_id)).delete()[0]


def _refuse(
    limits: Mapping[str, int], counted: Mapping[str, tuple[int, datetime]], now: datetime
) -> None:
    starts = {
        bucket: since
        for bucket, (misses, since) in counted.items()
        if bucket in limits and misses >= limits[bucket]
    }
    if starts:
        # Sorted, like the buckets of `_count`, so that two refusals cannot deadlock.
        for bucket in sorted(starts):
            GiftMisses.objects.filter(pk=bucket).update(refused=F("refused") + 1)
        raise error_until(max(starts.values()), now=now)


def _counted(allowed: Allowance) -> dict[str, tuple[int, datetime]]:
    # A count in the future was written while a clock was wrong. The clocks of hosts normally
    # differ by less than a window.
    rows = GiftMisses.objects.filter(
        bucket__in=list(allowed.limits),
        since__gt=allowed.since,
        since__lte=allowed.since + 2 * WINDOW,
    )
    return {
        bucket: (n, since) for bucket, n, since in rows.values_list("bucket", "misses", "since")
    }


def _count(allowed: Allowance, now: datetime) -> dict[str, tuple[int, datetime]]:
    # Sorted, so that two concurrent calls lock the rows in the same order and cannot deadlock.
    values: dict[str, Any] = {
        "buckets": sorted(allowed.limits),
        "now": now,
        "start": allowed.since,
        "end": now + WINDOW,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        return {bucket: (misses, since) for bucket, misses, since in cursor.fetchall()}
