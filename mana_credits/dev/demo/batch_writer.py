"""Writing a batch of histories: one transaction, with the ledger's rules for each entry."""

from collections.abc import Sequence

from django.db import transaction

from credits import contacts
from credits.ledger import Origin, Priced, bulk_posting, reservations
from credits.models import MoneyBack, Purchase, StripeCustomer, SyncSubscription
from credits.principals import User
from gifts.models import GiftCode, GiftRedemption
from mana_credits.dev.demo.demo_users import DemoPerson
from mana_credits.dev.demo.planned_account import Histories, PlannedHold

ROWS_AT_ONCE = 1_000


class NotAsPlanned(Exception):
    """The ledger rejected an entry: prices have changed, or the ids are in use."""


@transaction.atomic
def write(people: Sequence[DemoPerson], made: Histories) -> int:
    """Post the entries and create the rows that explain them. Return the number of entries.

    Each person is known by name and address, as if they had come with a token at their last entry.

    Raises NotAsPlanned.
    """
    refused = bulk_posting.post_all(made.entries)
    if refused:
        raise NotAsPlanned(f"{len(refused)} entries were not posted, the first: {refused[0]}")
    contacts.record({User(one.id, one.email, one.name): one.times[-1] for one in people})
    StripeCustomer.objects.bulk_create(made.customers, ROWS_AT_ONCE)
    Purchase.objects.bulk_create(made.purchases, ROWS_AT_ONCE)
    MoneyBack.objects.bulk_create(made.returns, ROWS_AT_ONCE)
    GiftCode.objects.bulk_create(made.gifts, ROWS_AT_ONCE)
    GiftRedemption.objects.bulk_create(made.redemptions, ROWS_AT_ONCE)
    SyncSubscription.objects.bulk_create(made.subscriptions, ROWS_AT_ONCE)
    for hold in made.holds:
        _reserve(hold)
    return len(made.entries)


def _reserve(hold: PlannedHold) -> None:
    reservations.reserve(
        hold.user_id,
        Priced(hold.operation),
        reason=hold.reason,
        origin=Origin(f"service:{hold.reason.partition(':')[0]}", at=hold.at),
    )
