"""Daily anchors: one digest over the newest digests of all users, computed from the history.

A user's newest digest at the end of a UTC day is that of the last transaction written before it.
Each digest includes the one before it, so an anchor proves the whole history up to its day. It can
be computed again at any time, because rows are only added, and an erasure changes no digest. The
order is that of the chains' ids, which an erasure leaves.
See docs/decisions/0090-the-chain-of-digests.md.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from credits.ledger.books import Discrepancy
from credits.ledger.db_functions import server_cursor
from credits.models import Anchor

RULE = "the ledger matches its anchors"
ONE_DAY = timedelta(days=1)
USERS_PER_BATCH = 1_000
FIRST = UUID(int=0)

# The digests of a batch of users at the end of each day, in the order of their chains.
# A row with a timestamp in the past, such as an imported one, counts on the day on which it was
# written (`recorded_at`). Otherwise it would change the anchors of days that are over.
# `batch` is materialized, so that PostgreSQL reads it once and not for each day.
_NEWEST = """
    WITH batch AS MATERIALIZED (
        SELECT chain_id, user_id FROM credits.balances
        WHERE chain_id > %(after)s ORDER BY chain_id LIMIT %(size)s
    )
    SELECT d.place - 1, (SELECT chain_id FROM batch ORDER BY chain_id DESC LIMIT 1),
           count(t.digest), coalesce(sum(t.balance_after), 0),
           coalesce(string_agg(t.digest, ''::bytea ORDER BY b.chain_id), ''::bytea)
    FROM batch b
    CROSS JOIN unnest(%(ends)s::timestamptz[]) WITH ORDINALITY AS d (until, place)
    LEFT JOIN LATERAL (
        SELECT digest, balance_after FROM credits.transactions
        WHERE user_id = b.user_id AND coalesce(recorded_at, created_at) < d.until
        ORDER BY number DESC LIMIT 1
    ) t ON true
    GROUP BY d.place ORDER BY d.place
"""


@dataclass(slots=True)
class ComputedAnchor:
    """The anchor of a day as computed from the history, to compare with a stored or kept one."""

    day: date
    count: int = 0
    sum: Decimal = Decimal(0)
    hashed: Any = field(default_factory=hashlib.sha256)

    @property
    def hex(self) -> str:
        """Return the digest as 64 hexadecimal digits."""
        digest: str = self.hashed.hexdigest()
        return digest

    def add(self, count: int, total: Decimal, digests: bytes) -> None:
        """Add the next users in the order of their chains."""
        self.count += count
        self.sum += total
        self.hashed.update(digests)


@dataclass(frozen=True, slots=True)
class AnchorClaim:
    """An anchor to check: a stored one, or one that was kept elsewhere."""

    day: date
    count: int
    sum: Decimal
    hex: str


def published() -> QuerySet[Anchor]:
    """Return all anchors, newest first."""
    return Anchor.objects.order_by("-number")


def newest_day() -> date | None:
    """Return the day of the newest anchor."""
    day: date | None = Anchor.objects.order_by("-day").values_list("day", flat=True).first()
    return day


def newest() -> Anchor | None:
    """Return the newest anchor."""
    return published().first()


def claims(*, last: int) -> list[AnchorClaim]:
    """Return the newest stored anchors, `last` of them, oldest first."""
    found = list(Anchor.objects.order_by("-day")[:last])
    return [AnchorClaim(one.day, one.count, one.sum, one.hex) for one in reversed(found)]


def make_due(*, now: datetime) -> Iterator[Anchor]:
    """Make the anchors of the days that are over since the newest one; the first is yesterday's.

    Yields each new anchor, but not one that another process made meanwhile.
    """
    yesterday = now.astimezone(UTC).date() - ONE_DAY
    last = newest_day()
    # The first anchor proves all history before it, so earlier days need none.
    first = last + ONE_DAY if last else yesterday
    days = [first + offset * ONE_DAY for offset in range((yesterday - first).days + 1)]
    for computed in compute(days):
        values = {"count": computed.count, "sum": computed.sum, "created_at": now}
        # Two workers may compute the same day. `day` is unique, and the row that came first stays.
        anchor, made = Anchor.objects.get_or_create(
            day=computed.day, defaults={**values, "digest": computed.hashed.digest()}
        )
        if made:
            yield anchor


def compute(days: Sequence[date], *, batch_size: int = USERS_PER_BATCH) -> list[ComputedAnchor]:
    """Compute the anchors of these days from the history.

    Reads all users once, batch by batch; memory grows with the number of days only.
    """
    found = [ComputedAnchor(day) for day in days]
    ends = [datetime.combine(day + ONE_DAY, time(), UTC) for day in days]
    after = FIRST
    # All days in one pass: each user's chain is read once, and not once per day.
    while rows := _newest_digests(after, ends, batch_size):
        for place, last, count, total, digests in rows:
            found[place].add(count, total, bytes(digests))
            after = last
    return found


def check(claimed: Iterable[AnchorClaim]) -> list[Discrepancy]:
    """Return the anchors that differ from the history, in the order of their days."""
    ordered = sorted(claimed, key=lambda claim: claim.day)
    found = compute([claim.day for claim in ordered])
    return [
        Discrepancy(RULE, "", _sentence(claim, computed))
        for claim, computed in zip(ordered, found, strict=True)
        if (claim.count, claim.sum, claim.hex) != (computed.count, computed.sum, computed.hex)
    ]


def _sentence(claim: AnchorClaim, computed: ComputedAnchor) -> str:
    return (
        f"the anchor of {claim.day} has {claim.count} users with {claim.sum:f} credits and digest "
        f"{claim.hex}, the ledger has {computed.count} with {computed.sum:f} and {computed.hex}"
    )


def _newest_digests(after: UUID, ends: list[datetime], size: int) -> list[tuple[Any, ...]]:
    with server_cursor() as cursor:
        cursor.execute(_NEWEST, {"after": after, "ends": ends, "size": size})
        return cursor.fetchall()
