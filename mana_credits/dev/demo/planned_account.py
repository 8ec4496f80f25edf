"""One person's planned account: what was posted so far, what is available, which moment it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import NamedTuple
from uuid import UUID

from credits.ids import id_at
from credits.ledger.bulk_posting import Entry
from credits.ledger.posting import Memo, Movement, Origin
from credits.models import (
    Operation,
    Package,
    Purchase,
    Return,
    StripeCustomer,
    SyncSubscription,
)
from gifts.models import GiftCode, GiftRedemption
from mana_credits.dev.demo.demo_users import Person


class World(NamedTuple):
    """What all histories share: the moment, what is on offer, the packages from small to large.

    `sync_cost` is that of a month of Cloud Sync, None when it is not on offer.
    """

    now: datetime
    operations: Sequence[Operation]
    sync_cost: Decimal | None
    packages: Sequence[Package]


class Hold(NamedTuple):
    """A reservation to be made and left open, priced by the catalogue."""

    user_id: str
    operation: str
    reason: str
    at: datetime


@dataclass
class Histories:
    """A batch: ledger entries in the order of posting, and the rows that explain them."""

    entries: list[Entry] = field(default_factory=list)
    customers: list[StripeCustomer] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)
    gifts: list[GiftCode] = field(default_factory=list)
    redemptions: list[GiftRedemption] = field(default_factory=list)
    subscriptions: list[SyncSubscription] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)


Act = Callable[["Account"], None]


class Usage(NamedTuple):
    """A usage that may be refunded."""

    id: UUID
    cost: Decimal
    app_id: str


@dataclass
class Account:
    """The account while its history is planned; `plans` is what comes later, by its place."""

    person: Person
    friends: Sequence[Person]
    world: World
    chance: Random
    made: Histories
    index: int = 0
    available: Decimal = Decimal(0)
    plans: dict[int, Act] = field(default_factory=dict)
    customer_id: str | None = None
    last_usage: Usage | None = None
    subscribed: bool = False

    @property
    def at(self) -> datetime:
        """The moment of the next entry."""
        return self.person.times[self.index]

    @property
    def last(self) -> bool:
        """Whether this is the person's last moment."""
        return self.index + 1 == len(self.person.times)

    def plan(self, act: Act, *, within: int) -> datetime | None:
        """Let `act` come within so many entries; return when, or None where there is no room."""
        place, times = self.index + self.chance.randint(1, within), self.person.times
        if place >= len(times) or place in self.person.inbox or place in self.plans:
            return None
        self.plans[place] = act
        return times[place]

    def new_id(self) -> UUID:
        """Return an id of this moment."""
        return id_at(self.at, self.chance.getrandbits(74))

    def hexadecimal(self, digits: int) -> str:
        """Return so many random digits, for names that others give."""
        return f"{self.chance.getrandbits(4 * digits):0{digits}x}"

    def post(self, movement: Movement, change: Decimal, memo: Memo, actor: str) -> Entry:
        """Plan the entry of this moment, which changes what is available by `change`."""
        origin = Origin(actor, request_id=self.hexadecimal(32), at=self.at)
        entry = Entry(self.new_id(), self.person.id, movement, memo, origin)
        self.made.entries.append(entry)
        self.available += change
        return entry
