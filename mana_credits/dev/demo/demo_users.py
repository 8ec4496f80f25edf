"""The users of the demo data: most have few transactions, a few have very many."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import log
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gifts.models import GiftCode

PREFIX = "demo-"
YEAR = timedelta(days=365)
# Among 100,000 users, the busiest has about 2 % of all transactions.
FLATNESS = 4
BATCH_TRANSACTIONS = 5_000
FIRST = ("Ada", "Ben", "Cem", "Dana", "Emil", "Fatma", "Greta", "Hugo", "Ines", "Jonas", "Kim")
LAST = ("Adler", "Berg", "Conti", "Demir", "Engel", "Fuchs", "Graf", "Horn", "Ilic", "Jung")


class DemoSize(NamedTuple):
    """The size of the demo data: users, transactions, and the seed of the random numbers."""

    users: int
    transactions: int
    seed: int


@dataclass
class DemoPerson:
    """A user, the times of their entries, and the gifts to redeem at some of these times."""

    id: str
    name: str
    email: str
    times: list[datetime]
    inbox: "dict[int, GiftCode]" = field(default_factory=dict)


def batches(size: DemoSize, *, now: datetime) -> Iterator[list[DemoPerson]]:
    """Yield all people in batches of a few thousand transactions, the same for the same size.

    All times lie in the year before `now`.
    """
    counts = _counts(size)
    Random(size.seed).shuffle(counts)  # noqa: S311
    batch: list[DemoPerson] = []
    waiting = 0
    for number, count in enumerate(counts, start=1):
        batch.append(_person(size.seed, number, count, now))
        waiting += count
        if waiting >= BATCH_TRANSACTIONS:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _counts(size: DemoSize) -> list[int]:
    """Return the number of transactions per user, in descending order: at least 1, exact in sum."""
    # The ranks share the transactions by the integral of 1 / (rank + FLATNESS). Differences of its
    # rounded values have an exact sum.
    scale = (size.transactions - size.users) / log((size.users + FLATNESS) / FLATNESS)
    upto = [round(scale * log((rank + FLATNESS) / FLATNESS)) for rank in range(size.users + 1)]
    return [1 + upto[rank] - upto[rank - 1] for rank in range(1, size.users + 1)]


def _person(seed: int, number: int, count: int, now: datetime) -> DemoPerson:
    user_id = f"{PREFIX}{seed}-{number:07}"
    chance = Random(user_id)  # noqa: S311
    name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
    email = f"{name.lower().replace(' ', '.')}.{number}@example.test"
    # Users with many entries need the whole year, so that their entries do not lie too close
    # together.
    joined = now - YEAR * chance.uniform(0.01, 1) if count < 500 else now - YEAR
    return DemoPerson(user_id, name, email, _times(chance, count, joined, now))


def _times(chance: Random, count: int, start: datetime, end: datetime) -> list[datetime]:
    """Return `count` ascending, distinct times with millisecond precision."""
    # Distinct times, because the order of a user's entries must not depend on their ids.
    room = int((end - start) / timedelta(milliseconds=1)) - 2 * count
    offsets = sorted(chance.randrange(room) for _ in range(count))
    return [start + timedelta(milliseconds=at + 1 + n) for n, at in enumerate(offsets)]
