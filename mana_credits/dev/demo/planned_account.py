"""The planning state of one person: entries so far, available credits and current time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import NamedTuple
from uuid import UUID

from credits.ids import id_at
from credits.ledger import Memo, Origin
from credits.ledger.bulk_posting import BulkEntry
from credits.ledger.posting import Movement
from credits.models import (
    MoneyBack,
    Operation,
    Package,
    Purchase,
    StripeCustomer,
    SyncSubscription,
)
from gifts.models import GiftCode, GiftRedemption
from mana_credits.dev.demo.demo_users import DemoPerson


class DemoWorld(NamedTuple):
    """The data that all histories share: current time, offered operations, packages by price.

    `sync_cost` is the price of a month of Cloud Sync, or None if it is not offered.
    """

    now: datetime
    operations: Sequence[Operation]
    sync_cost: Decimal | None
    packages: Sequence[Package]


class PlannedHold(NamedTuple):
    """A reservation to leave open, priced by the catalogue."""

    user_id: str
    operation: str
    reason: str
    at: datetime


@dataclass
class Histories:
    """A batch: ledger entries in posting order, and the rows that explain them."""

    entries: list[BulkEntry] = field(default_factory=list)
    customers: list[StripeCustomer] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    returns: list[MoneyBack] = field(default_factory=list)
    gifts: list[GiftCode] = field(default_factory=list)
    redemptions: list[GiftRedemption] = field(default_factory=list)
    subscriptions: list[SyncSubscription] = field(default_factory=list)
    holds: list[PlannedHold] = field(default_factory=list)


Act = Callable[["PlannedAccount"], None]


class PlannedUsage(NamedTuple):
    """A usage that may be refunded later."""

    id: UUID
    cost: Decimal
    app_id: str


@dataclass
class PlannedAccount:
    """An account while its history is planned. `plans` maps later positions to planned acts."""

    person: DemoPerson
    friends: Sequence[DemoPerson]
    world: DemoWorld
    chance: Random
    made: Histories
    index: int = 0
    available: Decimal = Decimal(0)
    plans: dict[int, Act] = field(default_factory=dict)
    customer_id: str | None = None
    last_usage: PlannedUsage | None = None
    subscribed: bool = False

    @property
    def at(self) -> datetime:
        """Return the time of the next entry."""
        return self.person.times[self.index]

    @property
    def last(self) -> bool:
        """Return whether the next entry is the person's last."""
        return self.index + 1 == len(self.person.times)

    def plan(self, act: Act, *, within: int) -> datetime | None:
        """Schedule `act` within the next entries. Return its time, or None if none is free."""
        place, times = self.index + self.chance.randint(1, within), self.person.times
        if place >= len(times) or place in self.person.inbox or place in self.plans:
            return None
        self.plans[place] = act
        return times[place]

    def new_id(self) -> UUID:
        """Return an id that contains the current time."""
        return id_at(self.at, self.chance.getrandbits(74))

    def hexadecimal(self, digits: int) -> str:
        """Return random hexadecimal digits, for ids of other services."""
        return f"{self.chance.getrandbits(4 * digits):0{digits}x}"

    def post(self, movement: Movement, change: Decimal, memo: Memo, actor: str) -> BulkEntry:
        """Plan an entry at the current time that changes the available credits by `change`."""
        origin = Origin(actor, request_id=self.hexadecimal(32), at=self.at)
        entry = BulkEntry(self.new_id(), self.person.id, movement, memo, origin)
        self.made.entries.append(entry)
        self.available += change
        return entry
