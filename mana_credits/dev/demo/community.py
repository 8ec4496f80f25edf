"""A complete set of demo data, made in batches. Existing batches are kept."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from random import Random

from credits.catalogue import catalogue
from credits.models import Balance, Package
from credits.sync.cloud_sync import OPERATION as SYNC
from mana_credits.dev.demo import batch_writer, demo_users, histories
from mana_credits.dev.demo.demo_users import DemoPerson, DemoSize
from mana_credits.dev.demo.planned_account import DemoWorld

PACKAGES = (("Starter", 500, 499), ("Plus", 1_200, 999), ("Studio", 5_000, 3_499))


def has_real_users() -> bool:
    """Return whether the database has users other than demo users."""
    return Balance.objects.exclude(pk__startswith=demo_users.PREFIX).exists()


def make(size: DemoSize, *, now: datetime) -> Iterator[tuple[list[DemoPerson], int]]:
    """Create the missing batches. Yield the people of each batch and their number of transactions.

    Each batch is one transaction, so that a repeated call completes an interrupted run. Raises
    NotAsPlanned.
    """
    world = _world(now)
    for number, batch in enumerate(demo_users.batches(size, now=now)):
        if not Balance.objects.filter(pk__in=[person.id for person in batch]).exists():
            # A seed per batch, so that a missing batch is the same whichever run creates it.
            chance = Random(f"{size.seed}:{number}")  # noqa: S311
            batch_writer.write(batch, histories.of(batch, world, chance))
        yield batch, sum(len(person.times) for person in batch)


def _world(now: datetime) -> DemoWorld:
    # Histories are planned without the database, so with prices that need no computation there.
    offered = list(catalogue.on_offer().filter(metering__isnull=True))
    sync = next((one.cost for one in offered if one.key == SYNC), None)
    return DemoWorld(now, [one for one in offered if one.key != SYNC], sync, _packages())


def _packages() -> list[Package]:
    if not Package.objects.filter(active=True).exists():
        Package.objects.bulk_create(
            Package(name=name, credits=Decimal(amount), price_euro_cents=cents, sort_order=order)
            for order, (name, amount, cents) in enumerate(PACKAGES, start=1)
        )
    return list(Package.objects.filter(active=True).order_by("price_euro_cents"))
